"""`sklexplain explain`, run as a user runs it, against the same work done in Python."""

import csv as csv_module
import json

import joblib
import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklexplain import GRURegressor, make_windows
from sklexplain.core.explanation_sets import load_all
from tests.cli.command import run
from tests.pages import Page, assert_asks_nothing_of_the_network

FEATURES = ("temperature", "load", "noise")
FILES = ["explanations.npz", "importances.csv", "model.joblib", "report.html", "run.json"]


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def importances_in(folder):
    with (folder / "importances.csv").open(encoding="utf-8", newline="") as file:
        return list(csv_module.DictReader(file))


@pytest.fixture(scope="module")
def ridge(csv, tmp_path_factory):
    out = tmp_path_factory.mktemp("ridge") / "made" / "here"
    options = "--time date --window 4 --horizon 1 --model ridge --test-size 0.25 --cv 3"
    methods = "--methods permutation,kernelshap,lime --n-explain 6 --param alpha=2"
    result = run("explain", csv, "--target temperature --out", out, options, methods)
    assert result.returncode == 0, result.stderr
    return result, out


@pytest.fixture(scope="module")
def division(sensors):
    """Return windows and targets, the number to train on, and the last row of each window."""
    table = sensors[list(FEATURES)].to_numpy()
    windows, targets, ends = make_windows(table, table[:, 0], window=4, return_index=True)
    return windows, targets, len(targets) - int(np.ceil(0.25 * len(targets))), ends


@pytest.fixture(scope="module")
def same_model(division):
    windows, targets, n_train, _ = division
    flat = windows.reshape(len(windows), -1)
    return make_pipeline(StandardScaler(), Ridge(alpha=2)).fit(flat[:n_train], targets[:n_train])


def test_all_files_are_there_and_told(ridge):
    result, out = ridge
    assert files_in(out) == FILES
    assert f"The report is in {out / 'report.html'}" in result.stdout.splitlines()
    assert "load only what you trust" in result.stdout
    steps = [line.split()[0] for line in result.stderr.splitlines()]
    assert steps == [f"{i}/7" for i in range(1, 8)]


def test_the_model_learned_from_the_first_rows_only(ridge, division, same_model):
    windows, _, n_train, _ = division
    loaded = joblib.load(ridge[1] / "model.joblib")
    expected = same_model.predict(windows.reshape(len(windows), -1))
    np.testing.assert_allclose(loaded.predict(windows), expected)
    scaler = loaded.named_steps["standardscaler"]
    np.testing.assert_allclose(scaler.mean_, windows[:n_train].reshape(n_train, -1).mean(axis=0))


def test_scores_stand_beside_those_of_naive_guesses(ridge, sensors, division, same_model):
    windows, targets, n_train, ends = division
    flat, truth = windows.reshape(len(windows), -1), targets[n_train:]
    guesses = {
        "ridge": same_model.predict(flat[n_train:]),
        "last known value": sensors["temperature"].to_numpy()[ends[n_train:]],
        "mean of the training rows": np.full(len(truth), targets[:n_train].mean()),
    }
    told = json.loads((ridge[1] / "run.json").read_text("utf-8"))
    assert list(told["scores"]) == list(guesses)
    for name, guess in guesses.items():
        assert told["scores"][name]["R²"] == pytest.approx(r2_score(truth, guess))
        error = mean_absolute_error(truth, guess)
        assert told["scores"][name]["mean absolute error"] == pytest.approx(error)
        assert f"{error:.4g}" in ridge[0].stdout
    folds = [
        same_model.__sklearn_clone__()
        .fit(flat[train], targets[train])
        .score(flat[test], targets[test])
        for train, test in TimeSeriesSplit(3).split(flat[:n_train])
    ]
    np.testing.assert_allclose(told["cross_validation"]["R²"], folds)
    assert told["features"] == list(FEATURES)
    assert told["request"]["window"] == 4


def test_explanations_are_of_test_rows_and_labelled_by_their_target(ridge, sensors, division):
    windows, _, n_train, ends = division
    explanations = load_all(ridge[1] / "explanations.npz")
    assert list(explanations) == ["permutation", "kernelshap", "lime"]
    shap = explanations["kernelshap"]
    chosen = n_train + np.round(np.linspace(0, len(windows) - n_train - 1, 6)).astype(int)
    np.testing.assert_array_equal(shap.data, windows[chosen])
    assert shap.index.tolist() == sensors["date"].iloc[ends[chosen] + 1].tolist()
    model = joblib.load(ridge[1] / "model.joblib")
    np.testing.assert_allclose(shap.predictions, model.predict(windows[chosen]))
    np.testing.assert_allclose(shap.values.sum(axis=1) + shap.base_values, shap.predictions)
    # The truth that the data were made by.
    for explanation in explanations.values():
        assert explanation.players.names == FEATURES
        assert np.argmin(explanation.importances()) == FEATURES.index("noise")


def test_the_table_of_importances_is_that_of_the_explanations(ridge):
    explanations = load_all(ridge[1] / "explanations.npz")
    rows = importances_in(ridge[1])
    assert [row["method"] for row in rows] == [name for name in explanations for _ in FEATURES]
    for name, explanation in explanations.items():
        own = [row for row in rows if row["method"] == name]
        assert [row["player"] for row in own] == list(FEATURES)
        means = [float(row["importance"]) for row in own]
        np.testing.assert_allclose(means, explanation.importances(), rtol=1e-7)
        sizes = np.abs(explanation.values) if name != "permutation" else explanation.values
        np.testing.assert_allclose([float(row["std"]) for row in own], sizes.std(axis=0), rtol=1e-7)


def test_the_report_shows_the_scores_and_every_method(ridge):
    html = (ridge[1] / "report.html").read_text("utf-8")
    assert_asks_nothing_of_the_network(html)
    text = " ".join(Page(html).texts)
    for fact in ("temperature", "last known value", "KernelSHAP", "LIME", "permutation importance"):
        assert fact in text


@pytest.fixture(scope="module")
def gru(sensors, tmp_path_factory):
    """Run a net on a Parquet file, quietly, twice."""
    folder = tmp_path_factory.mktemp("gru")
    sensors.sample(frac=1, random_state=0).to_parquet(folder / "shuffled.parquet")
    options = "--target temperature --time date --window 4 --methods permutation,deepshap"
    params = "--n-explain 5 --param max_epochs=3 --param hidden_size=4 --seed 3 --quiet"
    results = [
        run("explain", folder / "shuffled.parquet", "--out", folder / name, options, params)
        for name in ("one", "two")
    ]
    return results, folder / "one", folder / "two"


def test_quiet_prints_nothing(gru):
    for result in gru[0]:
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert files_in(gru[1]) == FILES


def test_a_saved_net_predicts_what_the_same_net_does(gru, division):
    windows, targets, _, _ = division
    n_train = len(targets) - int(np.ceil(0.2 * len(targets)))
    net = GRURegressor(max_epochs=3, hidden_size=4, random_state=3)
    net.fit(windows[:n_train], targets[:n_train])
    loaded = joblib.load(gru[1] / "model.joblib")
    np.testing.assert_allclose(loaded.predict(windows), net.predict(windows), rtol=1e-5)
    assert loaded.get_params()["verbose"] == 0


def test_deepshap_is_shown_by_feature_and_by_cell(gru):
    explanations = load_all(gru[1] / "explanations.npz")
    by_feature, by_cell = explanations["deepshap"], explanations["deepshap-cells"]
    assert by_cell.players.n_players == 12
    cells = by_cell.values.reshape(5, 4, 3)
    np.testing.assert_allclose(by_feature.values, cells.sum(axis=1))


def test_equal_seeds_give_equal_files(gru):
    _, one, two = gru
    assert (one / "importances.csv").read_bytes() == (two / "importances.csv").read_bytes()
    assert (one / "report.html").read_bytes() == (two / "report.html").read_bytes()


def test_groups_of_a_forest_classifying_text(sensors, tmp_path):
    machines = sensors.assign(
        machine=["north", "south"] * 60,
        state=np.where(sensors["temperature"].shift(-2) > 0, "warm", "cold"),
    )
    machines.to_csv(tmp_path / "machines.csv", index=False, sep=";")
    options = "--target state --time date --group machine --window 3 --model forest"
    methods = "--methods permutation,treeshap,shap --n-explain 4 --param n_estimators=10"
    result = run("explain", tmp_path / "machines.csv", "--out", tmp_path / "out", options, methods)
    assert result.returncode == 0, result.stderr
    explanations = load_all(tmp_path / "out" / "explanations.npz")
    assert list(explanations) == ["permutation", "treeshap", "treeshap-cells", "shap"]
    for name in ("treeshap", "treeshap-cells"):
        one = explanations[name]
        assert one.output_names == ("cold", "warm")
        assert one.players.shape == (3, 3)
        assert {label.split(",")[0] for label in one.index} <= {"north", "south"}
        np.testing.assert_allclose(one.values.sum(axis=1) + one.base_values, one.predictions)
    learned = json.loads((tmp_path / "out" / "run.json").read_text("utf-8"))
    assert learned["classes"] == ["cold", "warm"]
    assert {"forest", "last known class", "most frequent class"} == set(learned["scores"])


def test_a_plain_table_needs_no_time(sensors, tmp_path):
    table = sensors[["load", "noise"]].assign(total=lambda t: 3 * t["load"] + 1)
    table.to_csv(tmp_path / "table.csv")  # with pandas' nameless index
    options = "--target total --window 1 --horizon 0 --model ridge --param alpha=1e-9"
    result = run(
        "explain", tmp_path / "table.csv", "--out", tmp_path / "out", options,
        "--methods kernelshap --n-explain 3",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "note: column 'Unnamed: 0' has no name in the file, and is left out" in result.stdout
    shap = load_all(tmp_path / "out" / "explanations.npz")["kernelshap"]
    assert shap.players.names == ("load", "noise")
    np.testing.assert_allclose(shap.values[:, 1], 0, atol=1e-6)
    assert shap.index.tolist() == ["row 97", "row 109", "row 120"]
    slope = (shap.values[0, 0] - shap.values[1, 0]) / (shap.data[0, 0] - shap.data[1, 0])
    assert slope == pytest.approx(3)
