import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestRegressor
from torch import nn

from sklexplain import KernelSHAP

N_PLAYERS = 14
rng = np.random.default_rng(0)
X = rng.normal(size=(60, N_PLAYERS))


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(N_PLAYERS, 16), nn.Tanh(), nn.Linear(16, 2)).double()


def explained(**params):
    params = {"background": X[:20], "random_state": 0, **params}
    return KernelSHAP(net(), **params).fit(X).explain(X[40:46])


@pytest.fixture(scope="module")
def truth():
    return explained(max_evals="exact").values


def error(explanation, truth):
    return np.linalg.norm(explanation.values - truth) / np.linalg.norm(truth)


def test_the_same_values_from_fewer_evaluations(truth):
    budgets = {"max_evals": 161}
    seeds = range(5)
    alone = [explained(control_variate=None, random_state=s, **budgets) for s in seeds]
    helped = [explained(control_variate="deep", random_state=s, **budgets) for s in seeds]
    assert all(e.diagnostics["n_evals"].max() <= 161 for e in alone + helped)
    assert np.mean([error(e, truth) for e in helped]) < 0.7 * np.mean(
        [error(e, truth) for e in alone]
    )


def test_what_is_taken_away_is_given_back(truth):
    """With many evaluations the values are the Shapley values, not DeepLIFT's."""
    helped = explained(control_variate="deep", max_evals=6000)
    assert error(helped, truth) < 0.01
    totals = helped.values.sum(axis=1) + helped.base_values
    np.testing.assert_allclose(totals, helped.predictions, atol=1e-12)


def test_no_bias_at_a_small_budget(truth):
    values = np.array(
        [explained(control_variate="deep", max_evals=161, random_state=s).values for s in range(40)]
    )
    spread = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    z = (values.mean(axis=0) - truth) / spread
    # 168 comparisons: Bonferroni's bound for one in a thousand.
    assert np.abs(z).max() < 4.8


def test_its_cost_counts(truth):
    helped = explained(control_variate="deep", max_evals=161)
    n_evals = helped.diagnostics["n_evals"]
    np.testing.assert_array_equal(n_evals, 161)
    # Twice the background, and pairs for the rest.
    alone = explained(control_variate=None, max_evals=121)
    assert error(helped, truth) < error(alone, truth)


@pytest.mark.parametrize(
    ("max_evals", "used"), [(100, True), (160, True), (161, False), (400, False)]
)
def test_automatic_choice_uses_it_where_it_helps(max_evals, used):
    explainer = KernelSHAP(net(), background=X[:20], max_evals=max_evals).fit(X)
    assert (explainer.solver_.control_variate is not None) == used


def test_rows_do_not_depend_on_each_other():
    explainer = KernelSHAP(net(), background=X[:20], max_evals=161, random_state=0).fit(X)
    together = explainer.explain(X[40:46]).values
    alone = np.concatenate([explainer.explain(X[i : i + 1]).values for i in range(40, 46)])
    np.testing.assert_allclose(alone, together, rtol=1e-9, atol=1e-12)


def test_refusals_name_the_remedy():
    forest = RandomForestRegressor(3, random_state=0)
    with pytest.raises(TypeError, match="torch net"):
        KernelSHAP(forest, control_variate="deep", background=X[:5]).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="costs 40 of max_evals=61"):
        KernelSHAP(net(), control_variate="deep", max_evals=61, background=X[:20]).fit(X)
    with pytest.raises(ValueError, match="identity"):
        KernelSHAP(net(), control_variate="deep", link="logit", background=X[:5]).fit(X)


class _Signed(nn.Module):
    def forward(self, x):
        return torch.sign(x).sum(dim=1, keepdim=True)


def test_a_net_that_cannot_be_traced_is_a_black_box_unless_asked_for():
    params = {"background": X[:20], "max_evals": 161}
    automatic = KernelSHAP(_Signed(), **params).fit(X)
    assert automatic.solver_.control_variate is None
    with pytest.raises(NotImplementedError, match="sign"):
        KernelSHAP(_Signed(), control_variate="deep", **params).fit(X)
