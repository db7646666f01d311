"""The suite of measurements: two rows for real, and what becomes of a row that fails."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Return a function that imports a script by name, as the scripts import one another."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCHMARKS)):
            del sys.modules[name]


@pytest.fixture
def comparison(load):
    def make(ours, theirs, goal):
        comparisons = load("comparisons")
        sides = comparisons.Side("ours", ours, 10), comparisons.Side("theirs", theirs, 1000)
        return comparisons.Comparison("the work", "error", *sides, goal)

    return make


def table_of(text, heading):
    """Return the cells of the table under a heading, header first."""
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_two_rows_are_measured_and_written(tmp_path):
    command = [sys.executable, BENCHMARKS / "suite.py", "--quick", "--rounds", "1"]
    command += ["--only", "import_time,predict_recurrent", "--out", tmp_path]
    subprocess.run(command, check=True, capture_output=True, text=True)
    record = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert record["quick"]
    assert [section["key"] for section in record["sections"]] == [
        "import_time",
        "predict_recurrent",
    ]
    imports, predicting = (section["lines"] for section in record["sections"])
    for line in (*imports, *predicting):
        ours, theirs = line["ours"]["seconds"], line["theirs"]["seconds"]
        assert line["ratio"]["of"] == "ours / theirs"
        assert line["ratio"]["largest"] == max(a / b for a, b in zip(ours, theirs, strict=True))
    text = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert "A quick look" in text
    header, _, *lines = table_of(text, "Predicting with the recurrent estimators")
    assert [line[0] for line in lines] == [line["work"] for line in predicting]
    assert {len(line) for line in lines} == {len(header)}
    in_brief = table_of(text, "In brief")
    assert len(in_brief) == 2 + sum(line["goal"] is not None for line in (*imports, *predicting))


def test_the_machine_is_told_without_its_name(load):
    import platform

    machine = load("side_by_side").machine(1)
    assert "cores" in machine
    assert "GiB" in machine
    assert platform.node() not in machine
    assert "/" not in machine


@pytest.mark.filterwarnings("ignore")
def test_a_row_that_fails_is_reported_and_the_others_are_kept(
    load, comparison, tmp_path, monkeypatch
):
    suite, comparisons = load("suite"), load("comparisons")

    def compare(case, effort):
        if case == "broken":
            raise ValueError("no budget reaches\nthe error")
        return [comparison([1.0] * 3, [4.0, 5.0, 9.0], comparisons.faster(4))]

    row = SimpleNamespace(TITLE="Rows", NOTE="A note.", CASES=["a", "broken", "b"], compare=compare)
    row.__name__ = "some_rows"
    monkeypatch.setitem(sys.modules, "some_rows", row)
    options = suite.parsed(["--only", "no_such_module,some_rows", "--out", str(tmp_path)])
    sections = suite.run(options)
    assert [len(section.lines) for section in sections] == [0, 2]
    record = json.loads((tmp_path / "results.json").read_text("utf-8"))
    missing, kept = record["sections"]
    assert "no_such_module" in missing["failures"]["no_such_module"]
    assert kept["failures"] == {"broken": "ValueError: no budget reaches\nthe error"}
    text = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert "**Failed**: broken: `ValueError: no budget reaches the error`" in text
    assert [line[-1] for line in table_of(text, "In brief")[2:]] == [
        "**failed**",
        "yes",
        "yes",
        "**failed**",
    ]


@pytest.mark.filterwarnings("ignore")
def test_a_row_that_misses_its_goal_says_where_its_time_goes(load, tmp_path, monkeypatch):
    suite, comparisons = load("suite"), load("comparisons")

    def busy():
        sorted(range(200_000), key=lambda number: -number)

    def compare(case, effort):
        times = {"fast": [1.0] * 3, "slow": [3.0] * 3}[case]
        ours = comparisons.Side("ours", times, run=busy)
        theirs = comparisons.Side("theirs", [2.0] * 3)
        return [comparisons.Comparison(case, "work", ours, theirs, comparisons.NOT_SLOWER)]

    row = SimpleNamespace(TITLE="Rows", NOTE="A note.", CASES=["fast", "slow"], compare=compare)
    row.__name__ = "some_rows"
    monkeypatch.setitem(sys.modules, "some_rows", row)
    suite.run(suite.parsed(["--only", "some_rows", "--out", str(tmp_path)]))
    profiles = json.loads((tmp_path / "results.json").read_text("utf-8"))["sections"][0]["profiles"]
    assert list(profiles) == ["slow"]
    shares = [int(word.strip("%,")) for word in profiles["slow"].split() if "%" in word]
    assert (
        "`builtins.sorted`" in profiles["slow"] or "`test_benchmarks.<lambda>`" in profiles["slow"]
    )
    assert shares == sorted(shares, reverse=True)
    assert 50 < sum(shares) <= 101
    assert f"- slow: {profiles['slow']}" in (tmp_path / "RESULTS.md").read_text("utf-8")


def test_what_is_done_is_on_disk_before_the_rest_is_measured(
    load, comparison, tmp_path, monkeypatch
):
    suite, comparisons = load("suite"), load("comparisons")

    def compare(case, effort):
        if case == "last":
            # As a process that is stopped by its user.
            raise KeyboardInterrupt
        return [comparison([1.0], [2.0], comparisons.faster(4))]

    row = SimpleNamespace(TITLE="Rows", NOTE="A note.", CASES=["first", "last"], compare=compare)
    row.__name__ = "some_rows"
    monkeypatch.setitem(sys.modules, "some_rows", row)
    with pytest.raises(KeyboardInterrupt):
        suite.run(suite.parsed(["--only", "some_rows", "--out", str(tmp_path)]))
    record = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert len(record["sections"][0]["lines"]) == 1


def test_only_the_whole_suite_replaces_the_published_results(load):
    suite = load("suite")
    assert suite.parsed([]).out == BENCHMARKS
    for part in (["--quick"], ["--only", "deep_shap"]):
        assert BENCHMARKS not in (suite.parsed(part).out, *suite.parsed(part).out.parents)


class TestGoals:
    @pytest.mark.parametrize(
        ("theirs", "reached"),
        [([4, 5, 9], "yes"), ([3, 3.9, 4.1], "within the spread"), ([3, 3.5, 3.9], "**no**")],
    )
    def test_times_as_fast(self, load, comparison, theirs, reached):
        line = comparison([1.0] * 3, theirs, load("comparisons").faster(4))
        assert line.ratios == theirs
        assert line.reached == reached

    @pytest.mark.parametrize(
        ("ours", "reached"),
        [([0.9, 1.0, 1.3], "yes"), ([1.02, 1.04, 1.05], "even"), ([1.1, 1.2, 1.3], "**no**")],
    )
    def test_not_slower(self, load, comparison, ours, reached):
        line = comparison(ours, [1.0] * 3, load("comparisons").NOT_SLOWER)
        assert line.ratios == ours
        assert line.reached == reached

    def test_the_exponent_is_the_slope(self, load):
        growth = load("growth")
        sizes = growth.QUANTITIES["rows"]
        line = growth.Growth("a method", "rows", sizes, [[n**1.5 / 100] * 3 for n in sizes])
        assert line.exponent(3) == pytest.approx(1.5)
        assert line.reached == "**no**"


class TestCheapestBudget:
    """The search finds the least budget that is good enough, when errors fall."""

    @pytest.fixture
    def search(self, load):
        pytest.importorskip("captum")
        pytest.importorskip("shap")
        pytest.importorskip("shapiq")
        return load("time_to_error").cheapest

    @pytest.mark.parametrize("enough", [100, 730, 5100, 40_000])
    def test_to_a_tenth(self, search, enough):
        import numpy as np

        case = SimpleNamespace(exact=np.ones((2, 3)))

        def explain(case, budget, seed):
            return case.exact * (1 + 0.03 * enough / budget) if budget >= 50 else None

        budget, error = search(explain, case, 10, 10)
        assert enough <= budget <= max(1.1 * enough, enough + 10) + 10
        assert error <= 0.03
