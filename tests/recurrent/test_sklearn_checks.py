"""scikit-learn's own checks, for all eight estimators."""

from sklearn.base import is_regressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklexplain import recurrent

# Small and quick, yet accurate enough for the checks that ask for a score.
SETTINGS = {
    "hidden_size": 16,
    "batch_size": 16,
    "lr": 0.03,
    "n_iter_no_change": 20,
    "device": "cpu",
    "random_state": 0,
}
EPOCHS = {"LSTM": 30, "GRU": 15, "RNN": 15, "FeedForward": 15}
ESTIMATORS = [
    getattr(recurrent, f"{kind}{task}")(**SETTINGS, max_epochs=max_epochs)
    for kind, max_epochs in EPOCHS.items()
    for task in ("Regressor", "Classifier")
]


def expected_failed_checks(estimator):
    failed = {
        "check_sample_weight_equivalence_on_dense_data": (
            "Repeating or removing rows changes the batches and the rows set aside for "
            "validation, as in scikit-learn's own estimators trained by gradient steps."
        ),
    }
    if is_regressor(estimator):
        failed["check_regressor_multioutput"] = (
            "Asks for float64 predictions. They are float32, the type that the module computes "
            "in: float64 would promise digits that are not there."
        )
    return failed


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks)
def test_scikit_learn_check(estimator, check):
    check(estimator)
