import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import sklexplain

PACKAGE = Path(sklexplain.__file__).parent
HEAVY = ["torch", "skorch", "matplotlib", "pandas", "shap"]

# Which rooms a room may import from, beside itself. Nothing imports upwards.
GROUND = {"inference", "_progress", "_tables", "_version"}
ROOMS = {
    "_progress": set(),
    "_tables": set(),
    "_version": set(),
    "inference": set(),
    "core": {"inference"},
    "solvers": {"inference"},
    "recurrent": {"inference", "_progress"},
    "windows": {"_tables"},
    "datasets": {"_tables"},
}
LOWER = GROUND | set(ROOMS)
ROOMS |= {room: LOWER for room in ("explainers", "display")}
ROOMS |= {room: LOWER | {"explainers", "display"} for room in ("evaluation", "cli")}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


class TestImport:
    def test_loads_nothing_heavy(self):
        loaded = run(f"import sys, sklexplain; print([m for m in {HEAVY} if m in sys.modules])")
        assert loaded == "[]"

    def test_explaining_a_scikit_learn_model_needs_no_torch(self):
        loaded = run(
            "import sys, numpy as np\n"
            "from sklearn.linear_model import Ridge\n"
            "from sklexplain import KernelSHAP, PermutationImportance\n"
            "X = np.random.default_rng(0).normal(size=(20, 3))\n"
            "KernelSHAP(Ridge(), background=5).fit(X, X[:, 0]).explain(X[:2])\n"
            "PermutationImportance(Ridge()).fit(X, X[:, 0])\n"
            "print([m for m in ('torch', 'skorch', 'shap', 'matplotlib') if m in sys.modules])"
        )
        assert loaded == "[]"

    def test_names_are_shown_before_they_are_loaded(self):
        shown = run("import sklexplain; print(' '.join(dir(sklexplain)))").split()
        assert shown == sorted(sklexplain.__all__)


class TestNames:
    @pytest.mark.parametrize("name", sklexplain.__all__)
    def test_resolves_and_is_documented(self, name):
        value = getattr(sklexplain, name)
        if name == "__version__":
            assert value.count(".") == 2
            return
        assert value.__name__ == name
        assert value.__module__.startswith("sklexplain.")
        assert inspect.getdoc(value)
        assert value.__doc__, f"{name} only inherits a docstring"

    def test_all_is_complete_and_unique(self):
        assert len(set(sklexplain.__all__)) == len(sklexplain.__all__)
        assert {"KernelSHAP", "PermutationImportance", "GRURegressor"} <= set(sklexplain.__all__)

    def test_type_checkers_see_the_same_names(self):
        tree = ast.parse((PACKAGE / "__init__.py").read_text())
        blocks = [node for node in tree.body if isinstance(node, ast.If)]
        seen = {
            (alias.name, node.module)
            for block in blocks
            for node in block.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        assert seen == set(sklexplain._HOMES.items())

    def test_unknown_name(self):
        with pytest.raises(AttributeError, match="no attribute 'KernelShap'"):
            sklexplain.KernelShap  # noqa: B018
        with pytest.raises(ImportError):
            from sklexplain import KernelShap  # noqa: F401


def imported_rooms(path):
    """Return the rooms of the package that a file imports from, at any depth of its code."""
    package = ["sklexplain", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = [*base, *(node.module.split(".") if node.module else [])]
            modules = [".".join([*stem, alias.name]) for alias in node.names]
        else:
            continue
        for module in modules:
            parts = module.split(".")
            if parts[0] == "sklexplain":
                yield parts[1] if len(parts) > 1 else "sklexplain"


class TestFloors:
    def test_every_file_has_a_room(self):
        rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
        assert rooms <= set(ROOMS)
        assert {"core", "solvers", "explainers", "inference"} <= rooms

    def test_imports_are_found(self):
        rooms = set(imported_rooms(PACKAGE / "explainers" / "pipelines.py"))
        assert {"windows"} <= rooms

    @pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
    def test_no_file_imports_upwards_or_next_door(self, path):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        assert set(imported_rooms(path)) <= ROOMS[room] | {room}


@pytest.mark.parametrize("name", sklexplain.__all__)
def test_docstrings_are_complete(name):
    """Shared descriptions stand in place of their names."""
    assert "%(" not in (getattr(sklexplain, name).__doc__ or "")
