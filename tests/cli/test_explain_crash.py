"""What was finished outlives what fails."""

import csv as csv_module

import joblib
import numpy as np
import pytest
from typer.testing import CliRunner

import sklexplain.cli.methods
from sklexplain.cli.commands import app
from sklexplain.core.explanation_sets import load_all
from sklexplain.explainers.lime import LIME


@pytest.fixture
def options(csv, tmp_path):
    return [
        "explain", str(csv), "--target", "temperature", "--time", "date", "--window", "3",
        "--model", "ridge", "--methods", "permutation,lime", "--out", str(tmp_path / "out"),
    ]  # fmt: skip


def test_a_failed_method_leaves_the_earlier_ones(options, tmp_path, monkeypatch):
    def fail(self, *arguments, **params):
        raise MemoryError("no room for\n10 GB")

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").write_text("of another model")
    monkeypatch.setattr(LIME, "explain", fail)
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 1
    line = result.stderr.splitlines()[-1]
    assert line == (
        "sklexplain: LIME failed: no room for 10 GB (finished before: the model, permutation, in "
        f"{tmp_path / 'out'})"
    )
    assert list(load_all(tmp_path / "out" / "explanations.npz")) == ["permutation"]
    with (tmp_path / "out" / "importances.csv").open(encoding="utf-8") as file:
        assert {row["method"] for row in csv_module.DictReader(file)} == {"permutation"}
    model = joblib.load(tmp_path / "out" / "model.joblib")
    assert model.predict(np.zeros((2, 3, 3))).shape == (2,)
    # A report of an earlier model beside this one would mislead.
    assert not (tmp_path / "out" / "report.html").exists()


def test_debug_raises_what_failed(options, monkeypatch):
    def fail(*arguments, **params):
        raise ZeroDivisionError

    monkeypatch.setattr(sklexplain.cli.methods, "PermutationImportance", fail)
    result = CliRunner().invoke(app, [*options, "--debug"])
    assert isinstance(result.exception.__cause__, ZeroDivisionError)


def test_an_interrupted_run_says_so(options, monkeypatch):
    def interrupt(*arguments, **params):
        raise KeyboardInterrupt

    monkeypatch.setattr(sklexplain.cli.methods, "PermutationImportance", interrupt)
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "sklexplain: interrupted"


def test_bad_data_leaves_the_earlier_results(options, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").write_text("of another model")
    result = CliRunner().invoke(app, [*options[:3], "volume", *options[4:]])
    assert result.exit_code == 1
    assert (tmp_path / "out" / "report.html").read_text() == "of another model"
