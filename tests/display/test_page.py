"""The page: escaped, self-contained, told in words too."""

import re
import sys
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from sklexplain.display.page import (
    Facts,
    Numbers,
    Section,
    Table,
    inline_svg,
    render_page,
    svg_axes,
    write_page,
)
from sklexplain.display.report_parts import importance_picture, sequence_picture
from sklexplain.display.style import INK
from tests.pages import Page, assert_asks_nothing_of_the_network

ATTACK = "<script>alert(1)</script>"


@pytest.fixture
def pictures(explanation_of):
    explanation = explanation_of("cell", (5, 3), feature_names=[ATTACK, 'b" onload="x', "c"])
    return [
        importance_picture(explanation, "bars", caption=ATTACK, title=ATTACK, unit=ATTACK),
        sequence_picture(explanation, "cells", caption="Cells", title="&<b>"),
    ]


@pytest.fixture
def html(pictures):
    blocks = [
        Numbers([(ATTACK, ATTACK, ATTACK)]),
        Facts([(ATTACK, ATTACK)]),
        *pictures,
        Table([ATTACK, "b"], [[ATTACK, ATTACK]], ATTACK),
    ]
    return render_page(ATTACK, ATTACK, [Section(ATTACK, [ATTACK], blocks, [ATTACK])], footer=ATTACK)


def test_every_element_is_closed_and_names_appear_only_escaped(html):
    page = Page(html)
    assert "<script" not in html.lower()
    assert page.named("script", "b") == []
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert sum(ATTACK in text for text in page.texts) >= 13


def test_pictures_have_alternative_texts(html):
    pictures = Page(html).named("svg", "img")
    assert len(pictures) == 2
    for attrs in pictures:
        assert attrs["role"] == "img"
        assert len(attrs["aria-label"]) > 40


def test_the_alternative_text_tells_the_largest_number(explanation_of):
    explanation = explanation_of(shape=(3,))
    svg = importance_picture(explanation, "bars", caption="").svg
    label = ElementTree.fromstring(svg).attrib["aria-label"]
    largest = explanation.importances().max()
    name = explanation.players.names[explanation.importances().argmax()]
    assert f"{name} {largest:.3f}" in label or f"{name} {largest:.4f}" in label


def test_nothing_is_asked_of_the_network(html):
    assert_asks_nothing_of_the_network(html)
    policy = next(meta["content"] for meta in Page(html).named("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy


def test_ids_are_unique_and_references_lead_somewhere(html):
    ids = [attrs["id"] for _, attrs in Page(html).elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = re.findall(r'href="#([^"]*)"', html) + re.findall(r"url\(#([^)]*)\)", html)
    assert targets
    assert set(targets) <= set(ids)


def test_the_page_fits_phones_and_dark_screens(html):
    metas = Page(html).named("meta")
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in metas
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_ink_takes_the_colour_of_the_page(pictures):
    for picture in pictures:
        assert INK.lower() not in picture.svg.lower()
        assert "currentColor" in picture.svg


def test_a_page_leaves_pyplot_and_settings_alone(explanation_of):
    plt.close("all")
    with mpl.rc_context({"font.size": 33, "axes.facecolor": "red"}):
        settings = dict(mpl.rcParams)
        ours = importance_picture(explanation_of(), "bars", caption="").svg
        assert dict(mpl.rcParams) == settings
    assert plt.get_fignums() == []
    assert ours == importance_picture(explanation_of(), "bars", caption="").svg


def test_the_same_picture_is_the_same_text(explanation_of):
    first, second = (
        sequence_picture(explanation_of("cell", (5, 3)), "cells", caption="").svg for _ in range(2)
    )
    assert first == second


def test_names_of_pictures_are_checked():
    with svg_axes() as ax, pytest.raises(ValueError, match="must consist of lower-case letters"):
        inline_svg(ax.figure, "alt", 'x" onload="')


def test_writing_returns_the_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_page("page.html", "Größe", "lead", [])
    assert path == tmp_path / "page.html"
    assert "<title>Größe</title>" in path.read_text(encoding="utf-8")


def test_a_missing_jinja2_is_named_with_the_line_that_installs_it(monkeypatch):
    from sklexplain.display import page

    page._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"jinja2.*pip install 'sklexplain\[report\]'"):
        render_page("title", "lead", [])
