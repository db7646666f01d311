"""The notebooks as committed: without outputs, of one shape, and runnable with their extra."""

import ast
import configparser
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# Where a distribution's name is not what is imported.
IMPORT_NAMES = {"scikit-learn": "sklearn", "ipykernel": "IPython"}


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=nbformat.NO_CONVERT)


def cells(notebook, kind):
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def modules_that_come_with(extra):
    """Return what may be imported after installing the package with an extra."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    lines = setup["options"]["install_requires"].split()
    todo, extras = {extra}, setup["options.extras_require"]
    while todo:
        for line in extras[todo.pop()].split():
            inner = re.fullmatch(r"sklexplain\[(.*)\]", line)
            todo |= set(inner[1].split(",")) if inner else set()
            lines += [] if inner else [line]
    names = [re.match(r"[\w-]+", line)[0] for line in lines]
    return {"sklexplain"} | {IMPORT_NAMES.get(name, name) for name in names}


def imported_modules(notebook):
    tree = ast.parse("\n".join(cell.source for cell in cells(notebook, "code")))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def test_all_four_are_there():
    assert [path.stem for path in NOTEBOOKS] == [
        "01_explaining_an_lstm",
        "02_explanations_inside_cross_validation",
        "03_your_own_torch_module",
        "04_which_method_when",
    ]


def test_is_valid_and_names_no_kernel_of_its_author(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_has_no_outputs(notebook):
    for cell in cells(notebook, "code"):
        assert cell.outputs == []
        assert cell.execution_count is None


def test_begins_with_a_title_and_ends_with_a_conclusion(notebook):
    first, last = notebook.cells[0], notebook.cells[-1]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    headings = re.findall(
        r"^(#+ .*)$", "\n".join(cell.source for cell in cells(notebook, "markdown")), re.MULTILINE
    )
    assert headings[-1] == "## Conclusion"
    assert sum(heading.startswith("# ") for heading in headings) == 1
    # The last sentences are put together from the numbers above them, and checked against them.
    assert last.cell_type == "code"
    assert "assert " in last.source
    assert "Markdown(f" in last.source


def test_imports_only_what_the_extra_installs(notebook):
    imported = set(imported_modules(notebook)) - set(sys.stdlib_module_names)
    assert "sklexplain" in imported
    assert imported <= modules_that_come_with("notebooks")


def test_the_extra_is_read_to_its_end():
    known = modules_that_come_with("notebooks")
    assert {"sklearn", "torch", "matplotlib", "pandas", "IPython"} <= known
    assert not {"shap", "lime", "captum", "typer"} & known
