"""`sklexplain plot`, on a file written in Python."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from sklexplain import LIME, KernelSHAP, PermutationImportance
from sklexplain.cli.commands import app
from sklexplain.core.explanation_sets import save_all
from sklexplain.display import KINDS
from tests.cli.command import error_line, run

NAMES = ["speed", "load", "<b>noise</b>"]
NEEDS = {"waterfall": "--sample 2", "force": "--sample 2", "local": "--sample 2",
         "dependence": "--player speed"}  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4, 3))

    def model(X):
        return X[:, -1, 0] - 2 * X[:, 0, 1]

    shap = KernelSHAP(model, feature_names=NAMES, random_state=0).fit(X).explain(X[:20])
    cells = KernelSHAP(
        model, players="cell", feature_names=NAMES, background=5, random_state=0
    ).fit(X).explain(X[:5])  # fmt: skip
    lime = LIME(model, feature_names=NAMES, n_samples=200, random_state=0).fit(X).explain(X[:20])
    drops = PermutationImportance(model, feature_names=NAMES, scoring="r2", random_state=0)
    path = tmp_path_factory.mktemp("saved") / "explanations.npz"
    found = {"permutation": drops.fit(X, model(X)).explanation_, "kernelshap": shap, "lime": lime}
    save_all(path, {**found, "kernelshap-cells": cells})
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn(saved, kind, tmp_path):
    options = NEEDS.get(kind, "").split()
    out = tmp_path / "picture.png"
    result = CliRunner().invoke(
        app, ["plot", str(saved), "--kind", kind, "--out", str(out), *options]
    )
    assert result.exit_code == 0, result.stderr
    assert f"is in {out}" in result.stdout
    pixels = np.asarray(Image.open(out).convert("L"))
    assert min(pixels.shape) > 150
    assert (pixels < 128).mean() > 0.002


def test_the_real_command_draws_what_was_named(saved, tmp_path):
    options = "--kind importance --method lime --max-display 2 --unit volts --title Mine --out"
    result = run("plot", saved, options, tmp_path / "picture.svg")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"ImportanceDisplay of lime is in {tmp_path / 'picture.svg'}\n"
    assert (tmp_path / "picture.svg").read_text("utf-8").startswith("<?xml")
    quiet = run("plot", saved, "--quiet --out", tmp_path / "picture.pdf")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert (tmp_path / "picture.pdf").read_bytes().startswith(b"%PDF")


ERRORS = [
    (
        "--kind importence",
        2,
        "--kind 'importence' is not known (did you mean 'importance'?); known",
    ),
    ("--method kernelshop", 1, "has no explanation 'kernelshop' for --method (did you mean 'kern"),
    ("--kind waterfall", 2, "shows one row; name it with --sample: a position from 0 to 19"),
    (
        "--kind waterfall --sample 20",
        1,
        "has no row '20' for --sample; give a position from 0 to 19",
    ),
    ("--kind sequence --sample soon", 1, "has no row 'soon' for --sample; give a position from 0"),
    ("--output up", 1, "has no output 'up' for --output; it has a single one; leave --output out"),
    ("--kind importance --sample 1", 2, "--sample has no meaning for --kind importance"),
    ("--max-display 0", 2, "--max-display 0 must be 1 or more"),
    ("--out picture.gif", 2, "--out picture.gif must end in .png, .svg, .pdf"),
    (
        "--out none/picture.png",
        1,
        "cannot write none/picture.png: No such file or directory; choose",
    ),
]


@pytest.mark.parametrize(("options", "code", "message"), ERRORS)
def test_errors_are_one_line(saved, tmp_path, monkeypatch, options, code, message):
    monkeypatch.chdir(tmp_path)
    out = [] if "--out " in options else ["--out", "picture.png"]
    result = CliRunner().invoke(app, ["plot", str(saved), *out, *options.split()])
    assert result.exit_code == code
    (line,) = result.stderr.splitlines()
    assert message in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"", b"a,b\n1,2\n"])
def test_a_file_that_holds_no_explanations(content, tmp_path):
    if content is not None:
        (tmp_path / "data.npz").write_bytes(content)
    line = error_line(run("plot data.npz --out picture.png", cwd=tmp_path), 1)
    missing = "data.npz does not exist"
    assert (missing if content is None else "data.npz holds no saved explanations; give") in line
