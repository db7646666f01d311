"""Self-contained HTML pages: sections of text, numbers, tables and inlined pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from io import StringIO
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

from .style import INK, MUTED, page_axes, page_style

_SVG_NAMESPACE = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True)
class Numbers:
    """A few numbers to be seen first.

    Parameters
    ----------
    items : sequence of (label, value, note)
    """

    items: Sequence[tuple[str, str, str]]
    kind: ClassVar[str] = "numbers"


@dataclass(frozen=True)
class Facts:
    """Short facts: what, and what it is.

    Parameters
    ----------
    items : sequence of (name, value)
    """

    items: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Parameters
    ----------
    columns : sequence of str
    rows : sequence of sequences of str
    caption : str
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Picture:
    """An inlined picture.

    Parameters
    ----------
    svg : Markup
        Of :func:`inline_svg`.
    caption : str
    wide : bool, default=False
        Whether it takes the whole row, and on a phone is moved sideways rather than made small.
    """

    svg: Any
    caption: str
    wide: bool = False
    kind: ClassVar[str] = "picture"


@dataclass(frozen=True)
class Section:
    """A heading, what is to be said, and what is to be shown.

    Parameters
    ----------
    title : str
    paragraphs : sequence of str
        Before the blocks.
    blocks : sequence of Numbers, Facts, Table or Picture
        Pictures that follow one another stand side by side where there is room.
    notes : sequence of str
        After the blocks.
    level : {2, 3}, default=2
        Of the heading: 3 for a part of the section before it.
    """

    title: str
    paragraphs: Sequence[str] = ()
    blocks: Sequence[Numbers | Facts | Table | Picture] = field(default=())
    notes: Sequence[str] = ()
    level: int = 2

    def rows(self) -> Iterator[list[Any]]:
        """Yield the blocks, consecutive pictures together."""
        row: list[Any] = []
        for block in self.blocks:
            if row and not (block.kind == row[-1].kind == "picture"):
                yield row
                row = []
            row.append(block)
        if row:
            yield row


def render_page(title: str, lead: str, sections: Sequence[Section], *, footer: str = "") -> str:
    """Return the HTML of a page that needs nothing beside itself.

    All text is escaped. The page runs no script and asks the network for nothing, and its own
    content security policy forbids both.

    Parameters
    ----------
    title, lead : str
        What the page is about, in a line and in a few sentences.
    sections : sequence of Section
    footer : str, default=""

    Returns
    -------
    str

    Raises
    ------
    ImportError
        If jinja2 is missing.
    """
    template = _environment().get_template("page.html")
    return template.render(title=title, lead=lead, sections=sections, footer=footer)


def write_page(
    path: str | PathLike[str],
    title: str,
    lead: str,
    sections: Sequence[Section],
    *,
    footer: str = "",
) -> Path:
    """Write :func:`render_page` to a file and return its absolute path.

    The file is replaced in one step, so an older page survives whatever fails.
    """
    path = Path(path).absolute()
    html = render_page(title, lead, sections, footer=footer)
    target = path.resolve()
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(html, encoding="utf-8")
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


@contextmanager
def svg_axes(figsize: tuple[float, float] = (5.0, 3.6)) -> Iterator[Any]:
    """Draw for a page: yields axes of a figure that pyplot does not know, in the page's style.

    Pass their figure to :func:`inline_svg` before leaving the context.
    """
    with page_style():
        yield page_axes(figsize)


def inline_svg(figure: Any, alt: str, name: str) -> Any:
    """Return a figure as SVG to be placed in a page.

    Text stays text, in the page's font; what is drawn in ink takes the page's own colour, so
    that it can be read on dark ground too.

    Parameters
    ----------
    figure : matplotlib Figure
    alt : str
        What the picture shows, for those who do not see it.
    name : str
        Letters, digits and hyphens, different for every picture of a page.

    Returns
    -------
    markupsafe.Markup
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"name={name!r} must consist of lower-case letters, digits and hyphens")
    written = StringIO()
    nobody = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # Whatever stands out of the figure is kept, not cut off.
    tight = {"bbox_inches": "tight", "pad_inches": 0.03}
    figure.savefig(written, format="svg", metadata=nobody, **tight)
    root = ElementTree.fromstring(written.getvalue())
    for parent in root.iter():
        for child in list(parent):
            if child.tag.endswith("}metadata"):
                parent.remove(child)
    for element in root.iter():
        _make_inline(element, name)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": alt}
    return _markup()(ElementTree.tostring(root, encoding="unicode"))


def _make_inline(element: ElementTree.Element, name: str) -> None:
    """Free an element of namespaces, of ids that other pictures have too, and of fixed ink."""
    element.tag = element.tag.removeprefix(_SVG_NAMESPACE)
    link = element.attrib.pop(_LINK, None)
    if link is not None:
        element.attrib["href"] = f"#{name}-{link[1:]}" if link.startswith("#") else link
    for attribute, value in element.attrib.items():
        if attribute == "id":
            element.attrib["id"] = f"{name}-{value}"
        elif attribute != "href":
            value = value.replace("url(#", f"url(#{name}-")
            value = value.replace(INK.lower(), "currentColor")
            element.attrib[attribute] = value.replace(MUTED.lower(), "var(--muted)")


def _require_jinja2(module: str = "jinja2") -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            "pages need jinja2, which is not installed. Run: pip install 'sklexplain[report]'"
        ) from error


def _markup() -> Any:
    return _require_jinja2("markupsafe").Markup


@cache
def _environment() -> Any:
    jinja2 = _require_jinja2()
    return jinja2.Environment(
        loader=jinja2.PackageLoader("sklexplain.display", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
