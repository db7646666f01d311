from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score

from sklexplain import load_google_stock
from sklexplain.cli.demo import ERROR, PRICES, STEPS, run_demo
from sklexplain.cli.demo_page import write_demo_page
from tests.pages import Page, assert_asks_nothing_of_the_network

CHEAP = {"max_epochs": 2, "n_repeats": 3, "n_background": 4, "max_evals": 200}


@pytest.fixture(scope="module")
def demo():
    return run_demo(**CHEAP)


@pytest.fixture(scope="module")
def html(demo, tmp_path_factory):
    return write_demo_page(demo, tmp_path_factory.mktemp("demo") / "a.html").read_text("utf-8")


def test_the_target_is_the_next_close_and_the_test_days_come_last(demo):
    close = load_google_stock().data["close"]
    assert len(demo.train_target) == int(0.8 * (len(close) - 20))
    np.testing.assert_array_equal(demo.test_target, close.loc[demo.test_dates])
    np.testing.assert_array_equal(demo.naive, close.shift(1).loc[demo.test_dates])
    np.testing.assert_array_equal(
        np.concatenate([demo.train_target, demo.test_target]), close.iloc[20:]
    )
    assert demo.test_dates[-1] == close.index[-1]


def test_scores_are_those_of_the_model_and_of_the_naive_guess(demo):
    (model, naive), guess = demo.scores().values(), demo.model.predict(demo.test_windows)
    truth = demo.test_target
    assert model == (r2_score(truth, guess), mean_absolute_error(truth, guess))
    assert naive == (r2_score(truth, demo.naive), mean_absolute_error(truth, demo.naive))


def test_every_method_explains_the_test_days(demo):
    np.testing.assert_allclose(
        demo.shap.values.sum(axis=1) + demo.shap.base_values, demo.predictions, rtol=1e-5
    )
    assert list(demo.shap.index) == [f"{day:%Y-%m-%d}" for day in demo.test_dates]
    names = ("open", "high", "low", "close", "volume")
    assert demo.by_feature.players.names == demo.shap.players.names == names
    assert demo.by_timestep.players.n_players == 20
    assert demo.by_cell.players.n_players == 100
    together = demo.by_price[:, PRICES, ERROR]
    assert together.importances()[0] > demo.by_feature[:, :, ERROR].importances().max()


def test_the_page_shows_the_numbers_of_the_explanations(demo, html):
    tables = {tuple(table[0]): table[1:] for table in Page(html).tables}
    scores = next(rows for head, rows in tables.items() if "R²" in head)
    for row, (r2, error) in zip(scores, demo.scores().values(), strict=True):
        assert float(row[1]) == pytest.approx(error, abs=0.006)
        assert row[3] == f"{r2:.3f}"
    importances = next(rows for head, rows in tables.items() if head[0] == "feature")
    shown = {row[0]: [float(cell.split(" ± ")[0]) for cell in row[1:]] for row in importances}
    drops = demo.by_feature.importances()
    for player, name in enumerate(demo.shap.players.names):
        expected = [drops[player, 1], demo.shap.importances()[player]]
        np.testing.assert_allclose(shown[name], expected, atol=0.006)
    step = next(rows for head, rows in tables.items() if head[0] == "feature and its value")
    assert float(step[0][1]) == pytest.approx(demo.shap.base_values[0], abs=0.06)
    assert float(step[-1][1]) == pytest.approx(demo.shap.predictions[0], abs=0.06)


def test_the_page_is_whole_told_in_words_and_needs_no_network(html):
    page = Page(html)
    assert_asks_nothing_of_the_network(html)
    pictures = page.named("svg")
    assert len(pictures) == 11
    assert all(len(attrs["aria-label"]) > 40 for attrs in pictures)
    text = " ".join(page.texts)
    for fact in ("2004-08-19", "2008-10-14", "1,047 trading days", "hidden_size", "Compare"):
        assert fact in text
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("shift", "verdict"), [(0, "a little nearer"), (90, "does not beat")])
def test_the_verdict_follows_the_scores(demo, shift, verdict, tmp_path):
    changed = replace(demo, predictions=demo.test_target + shift)
    html = write_demo_page(changed, tmp_path / "report.html").read_text("utf-8")
    told = Page(html).texts
    assert any(verdict in text for text in told)


def test_equal_seeds_give_the_same_page_and_threads_are_left_alone(html, tmp_path):
    n_threads = torch.get_num_threads()
    steps = []
    again = run_demo(**CHEAP, on_step=steps.append)
    assert write_demo_page(again, tmp_path / "b.html").read_text("utf-8") == html
    assert torch.get_num_threads() == n_threads
    assert tuple(steps) == STEPS[:-1]
