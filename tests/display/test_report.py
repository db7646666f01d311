"""write_report: what it refuses, what it writes, and that its numbers are those of the methods."""

import os
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score

from sklexplain import LIME, KernelSHAP, PermutationImportance, TreeSHAP, write_report
from sklexplain.display import page as page_module
from tests.pages import Page

NAMES = ["warm", "cold", "wet"]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=NAMES)
    X.index = [f"day {i}" for i in range(60)]
    return X, 3 * X["warm"] - X["cold"] + 0.1 * rng.normal(size=60)


@pytest.fixture(scope="module")
def model(data):
    X, y = data
    return LinearRegression().fit(X[:40], y[:40])


@pytest.fixture(scope="module")
def shap(data, model):
    return KernelSHAP(FrozenEstimator(model), background=data[0][:20]).fit(data[0]).explain(
        data[0][40:]
    )  # fmt: skip


@pytest.fixture(scope="module")
def drops(data, model):
    X, y = (part[40:] for part in data)
    return PermutationImportance(FrozenEstimator(model), random_state=0).fit(X, y).explanation_


def read(path):
    return Page(path.read_text("utf-8"))


def table_of(page, column):
    """Return the first table that has a column heading, its rows by name."""
    head, *rows = next(table for table in page.tables if column in " ".join(table[0]))
    return head, {row[0]: row[1:] for row in rows}


class TestRefusals:
    @pytest.mark.parametrize(
        ("explanations", "error", "message"),
        [
            ([], ValueError, "explanations is empty"),
            ({}, ValueError, "explanations is empty"),
            (3, TypeError, "explanations is a int"),
            ([np.zeros(3)], TypeError, r"explanations\[0\] is a ndarray"),
            ({"a": None}, TypeError, r"explanations\['a'\] is a NoneType"),
            ([KernelSHAP(len)], TypeError, r"pass what its explain\(X\) returns"),
        ],
    )
    def test_what_is_no_explanation(self, tmp_path, explanations, error, message):
        with pytest.raises(error, match=message):
            write_report(tmp_path / "report.html", explanations)

    def test_no_rows(self, tmp_path, shap):
        with pytest.raises(ValueError, match=r"explanations\[0\] explains no rows"):
            write_report(tmp_path / "report.html", shap[:0])

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"y": [1]}, "y is given without X"),
            ({"X": np.zeros((3, 3)), "y": [1, 2]}, "X has 3 rows but y has 2"),
            ({"baseline": [1.0]}, "baseline is given without y"),
            ({"X": np.zeros((2, 3)), "y": [1, 2], "baseline": [1.0]}, "has 1 predictions for 2"),
            ({"baseline": "median"}, 'must be "auto"'),
            ({"output": "up"}, "output='up' is an output of none"),
            ({"rows": ["day 3"]}, "rows names 'day 3', which is not the label"),
            ({"rows": [20]}, "rows names row 20, but 20 rows are explained"),
        ],
    )
    def test_what_does_not_fit(self, tmp_path, shap, given, message):
        with pytest.raises(ValueError, match=message):
            write_report(tmp_path / "report.html", shap, **given)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("rows", ["all", 3])
    def test_rows_that_are_no_list(self, tmp_path, shap, rows):
        with pytest.raises(TypeError, match='give "auto", or a list'):
            write_report(tmp_path / "report.html", shap, rows=rows)

    def test_a_folder_that_is_not_there_is_named_with_the_remedy(self, tmp_path, shap):
        with pytest.raises(FileNotFoundError, match=r"missing.*does not exist; make it first"):
            write_report(tmp_path / "missing" / "report.html", shap)
        with pytest.raises(IsADirectoryError, match=r"is a folder; name the file too"):
            write_report(tmp_path, shap)

    def test_nothing_is_drawn_before(self, tmp_path, shap, monkeypatch):
        monkeypatch.setattr(page_module, "page_axes", None)
        with pytest.raises(ValueError, match="rows names row 99"):
            write_report(tmp_path / "report.html", shap, rows=[99])


@pytest.mark.parametrize("broken", ["render_page", "replace"])
def test_an_old_report_survives_a_failure(tmp_path, shap, monkeypatch, broken):
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(page_module if broken == "render_page" else os, broken, fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(path, shap, rows=[])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_absolute_path_is_returned(tmp_path, shap, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_report("report.html", shap, rows=[]) == tmp_path / "report.html"


@pytest.fixture(scope="module")
def page(tmp_path_factory, shap, drops, model, data):
    X, y = (part[40:] for part in data)
    naive = {"yesterday": y.shift(1, fill_value=0.0)}
    path = tmp_path_factory.mktemp("numbers") / "report.html"
    return read(
        write_report(
            path, [drops, shap], estimator=model, X=X, y=y, baseline=naive, unit="degrees",
            title="Weather",
        )
    )  # fmt: skip


class TestNumbers:
    def test_scores_are_beside_those_of_both_baselines(self, page, model, data):
        X, y = (part[40:] for part in data)
        head, rows = table_of(page, "R²")
        assert head[1] == "mean absolute error, degrees"
        guesses = {
            "the model": model.predict(X),
            "yesterday": y.shift(1, fill_value=0.0),
            "always the mean": np.full(len(y), y.mean()),
        }
        assert list(rows) == list(guesses)
        for name, guess in guesses.items():
            error, _, r2 = map(float, rows[name])
            assert error == pytest.approx(mean_absolute_error(y, guess), abs=0.001)
            assert r2 == pytest.approx(r2_score(y, guess), abs=0.001)
        told = " ".join(page.texts)
        assert "So it beats the best naive guess" in told
        assert "“always the mean” is that of the held-out targets themselves" in told
        assert "most frequent class" not in told

    def test_importances_stand_side_by_side(self, page, shap, drops):
        head, rows = table_of(page, "mean |SHAP value|")
        assert head[1:] == [
            "permutation importance: drop in the score",
            "KernelSHAP: mean |SHAP value|, degrees",
        ]
        for player, name in enumerate(NAMES):
            shown = [float(cell.split(" ± ")[0]) for cell in rows[name]]
            expected = [drops.importances()[player], shap.importances()[player]]
            np.testing.assert_allclose(shown, expected, atol=0.001)

    def test_the_telling_rows_are_shown_with_their_truth(self, page, shap, data):
        y = data[1][40:].to_numpy()
        titles = [text for text in page.texts if "prediction" in text and "day" in text]
        errors = np.abs(shap.predictions - y)
        for row, why in (
            (shap.predictions.argmax(), "largest prediction"),
            (shap.predictions.argmin(), "smallest prediction"),
            (errors.argmax(), "largest error"),
        ):
            label = f"{shap.index[row]} ("
            assert any(label in text and why in text for text in page.texts)
        assert len(titles) >= 2

    def test_a_row_leads_from_base_value_to_prediction(self, page, shap):
        row = int(shap.predictions.argmax())
        head, rows = table_of(page, "KernelSHAP, degrees")
        assert head[0] == "column and its value"
        numbers = [float(cells[0]) for cells in rows.values()]
        assert numbers[-1] == pytest.approx(shap.predictions[row], abs=0.001)
        assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.003)

    def test_only_the_methods_used_are_told(self, page):
        text = " ".join(page.texts)
        assert "Permutation importance asks" in text
        assert "KernelSHAP asks any model" in text
        for other in ("LIME", "DeepSHAP", "TreeSHAP"):
            assert other not in text
        for always in ("not about the world", "share their credit", "standard error"):
            assert always in text

    def test_pictures_are_told_in_words_and_ids_are_unique(self, page):
        pictures = page.named("svg", "img")
        assert len(pictures) >= 5
        assert all(len(attrs["aria-label"]) > 40 for attrs in pictures)
        ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        assert len(ids) == len(set(ids))


def test_a_model_that_does_not_beat_the_baseline_is_told_so(tmp_path, shap, model, data):
    X, y = (part[40:] for part in data)
    page = read(
        write_report(
            tmp_path / "a.html", shap, estimator=model, X=X, y=y, baseline=y + 1e-6, rows=[]
        )
    )
    assert "So it does not beat the simplest guess" in " ".join(page.texts)


def test_lime_stands_beside_shap_where_both_have_the_row(tmp_path, shap, model, data):
    X, _ = data
    explainer = LIME(FrozenEstimator(model), n_samples=300, random_state=0).fit(X[:40])
    lime = explainer.explain(X[40:][::-3])
    page = read(write_report(tmp_path / "a.html", [shap, lime], rows=["day 59", 0]))
    tables = [table for table in page.tables if "its value" in table[0][0]]
    (both, only_shap) = (table[0] for table in tables)
    assert any(head.startswith("LIME") for head in both)
    assert not any(head.startswith("LIME") for head in only_shap)
    place = both.index("LIME")
    shown = {row[0].split(" = ")[0]: row[place].split(" ± ")[0] for row in tables[0][1:]}
    for name, value in zip(NAMES, lime.values[0], strict=True):
        assert float(shown[name]) == pytest.approx(value, abs=0.01)


def test_rows_of_other_data_are_not_taken_for_the_same(tmp_path, shap, data):
    X, y = data
    moved = X[40:] + 1.0
    page = read(write_report(tmp_path / "a.html", shap, X=moved, y=y[40:]))
    assert "true value" not in " ".join(page.texts)


@pytest.fixture(scope="module")
def forest():
    X, y = load_iris(return_X_y=True)
    return RandomForestClassifier(20, random_state=0).fit(X[::2], y[::2]), X[1::2], y[1::2]


class TestClasses:
    def test_each_row_shows_the_class_that_it_was_given(self, tmp_path, forest):
        model, X, y = forest
        shap = TreeSHAP(FrozenEstimator(model)).fit(X).explain(X)
        page = read(write_report(tmp_path / "a.html", shap, estimator=model, X=X, y=y))
        text = " ".join(page.texts)
        _, rows = table_of(page, "balanced accuracy")
        assert float(rows["the model"][0]) == pytest.approx(model.score(X, y), abs=6e-4)
        assert float(rows["always the most frequent class"][1]) == pytest.approx(1 / 3, abs=6e-4)
        worst = int(np.argmin(shap.predictions[np.arange(len(y)), y]))
        given = shap.predictions[worst].argmax()
        assert "least probability given to the true class" in text
        assert (
            f"The model gives {shap.predictions[worst, given]:.3f} for {given}; the base value is "
            f"{shap.base_values[worst, given]:.3f}. The true class is {y[worst]}."
        ) in text

    def test_one_class_can_be_chosen(self, tmp_path, forest):
        model, X, _ = forest
        shap = TreeSHAP(FrozenEstimator(model)).fit(X).explain(X)
        page = read(write_report(tmp_path / "a.html", shap, output="1", rows=[0]))
        head, _ = table_of(page, "mean |SHAP value|")
        assert head[1:] == ["TreeSHAP, 1: mean |SHAP value|"]
        _, rows = table_of(page, "TreeSHAP")
        importances = shap[:, :, "1"].importances()
        assert float(rows["x2"][0].split(" ± ")[0]) == pytest.approx(importances[2], abs=1e-3)

    def test_of_two_classes_the_second_is_shown(self, tmp_path, explanation_of):
        explanation = explanation_of(output_names=("no", "yes"))
        share = np.linspace(0.1, 0.9, len(explanation))
        predictions = np.column_stack([1 - share, share])
        base = predictions - explanation.values.sum(axis=1)
        binary = replace(explanation, predictions=predictions, base_values=base)
        page = read(write_report(tmp_path / "a.html", binary))
        head, _ = table_of(page, "mean |SHAP value|")
        assert head[1:] == ["KernelSHAP, yes: mean |SHAP value|"]
        assert re.search(r"The model gives 0\.90* for yes", " ".join(page.texts))

    def test_many_outputs_are_averaged(self, tmp_path, explanation_of):
        explanation = explanation_of(output_names=tuple("abcdef"))
        page = read(write_report(tmp_path / "a.html", explanation, rows=[]))
        head, rows = table_of(page, "mean over 6 outputs")
        expected = np.abs(explanation.values).mean(axis=(0, 2))
        for name, value in zip(explanation.players.names, expected, strict=True):
            assert float(rows[name][0].split(" ± ")[0]) == pytest.approx(value, abs=1e-3)
        assert len(head) == 2


def test_windows_get_heat_maps_and_other_players_sections_of_their_own(tmp_path, explanation_of):
    cells, features, steps = (
        explanation_of(players, (5, 3)) for players in ("cell", "feature", "timestep")
    )
    features, steps = (replace(one, data=cells.data) for one in (features, steps))
    page = read(write_report(tmp_path / "a.html", [cells, features, steps], rows=[2]))
    titles = [
        text for text in page.texts if text.startswith("Which ") and text.endswith("relies on")
    ]
    assert titles == [
        f"Which {what} it relies on" for what in ("single cells", "features", "time steps")
    ]
    labels = [attrs["aria-label"] for attrs in page.named("svg")]
    heat_maps = [label for label in labels if label.startswith("Heat map")]
    assert len(heat_maps) == 2
    strongest = cells.values[2][np.abs(cells.values[2]).argmax()]
    assert any(f"with {strongest:.4g}." in label for label in heat_maps)
    waterfalls = [label for label in labels if label.startswith("Waterfall")]
    assert len(waterfalls) == 2


def test_score_drops_alone_make_a_report(tmp_path, drops):
    page = read(write_report(tmp_path / "a.html", drops))
    assert "Which columns it relies on" in page.texts
    assert "Single predictions" not in page.texts
