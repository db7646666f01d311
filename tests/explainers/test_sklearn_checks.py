"""scikit-learn's own checks: every explainer as a regressor's and as a classifier's wrapper."""

from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklexplain import (
    LIME,
    SHAP,
    DeepSHAP,
    FeedForwardClassifier,
    FeedForwardRegressor,
    KernelSHAP,
    PermutationImportance,
    TreeSHAP,
)
from tests.recurrent.test_sklearn_checks import SETTINGS
from tests.recurrent.test_sklearn_checks import expected_failed_checks as failed_checks_of_nets

NET = {**SETTINGS, "hidden_size": 8, "max_epochs": 15}

EXPLAINERS = [
    explainer
    for estimator in (Ridge(), LogisticRegression())
    for explainer in (
        PermutationImportance(estimator, n_repeats=2),
        KernelSHAP(estimator, background=5),
        LIME(estimator, n_samples=50),
        SHAP(estimator, background=5),
    )
]
EXPLAINERS += [
    TreeSHAP(DecisionTreeRegressor(random_state=0)),
    TreeSHAP(DecisionTreeClassifier(random_state=0)),
    DeepSHAP(FeedForwardRegressor(**NET), background=5),
    DeepSHAP(FeedForwardClassifier(**NET), background=5),
]


def expected_failed_checks(explainer):
    return failed_checks_of_nets(explainer) if isinstance(explainer, DeepSHAP) else {}


@parametrize_with_checks(EXPLAINERS, expected_failed_checks=expected_failed_checks)
def test_explainer(estimator, check):
    check(estimator)
