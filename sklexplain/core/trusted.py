"""The types that a saved model may hold for `skops` to load it without running foreign code."""

from __future__ import annotations

_RECURRENT = tuple(
    f"sklexplain.recurrent.{name}"
    for name in (
        *(
            f"estimators.{net}{task}"
            for net in ("FeedForward", "GRU", "LSTM", "RNN")
            for task in ("Classifier", "Regressor")
        ),
        "modules.FeedForwardModule",
        "modules.RecurrentModule",
        "training.BatchIterator",
        "training.ClassifierNet",
        "training.EpochProgress",
        "training.LearnScales",
        "training.RegressorNet",
        "training.RowDataset",
        "training.SplitLastRows",
        "training.StopOnDivergence",
    )
)
_SKORCH_AND_TORCH = (
    "functools.partial",
    "skorch.callbacks.logging.EpochTimer",
    "skorch.callbacks.logging.PrintLog",
    "skorch.callbacks.regularization.GradientNormClipping",
    "skorch.callbacks.scoring.PassthroughScoring",
    "skorch.callbacks.training.EarlyStopping",
    "skorch.history.History",
    "skorch.setter.optimizer_setter",
    "skorch.utils.noop",
    "torch.device",
    "torch.nn.modules.loss.CrossEntropyLoss",
    "torch.nn.modules.loss.MSELoss",
    "torch.nn.modules.rnn.GRU",
    "torch.nn.modules.rnn.LSTM",
    "torch.nn.modules.rnn.RNN",
    "torch.optim.adamw.AdamW",
)
_EXPLAINERS = (
    "sklearn.utils._bunch.Bunch",
    "sklexplain.core.adapters.AdaptedRegressor",
    "sklexplain.core.background.Background",
    "sklexplain.core.explanation.Explanation",
    "sklexplain.core.players.Players",
    "sklexplain.core.tables.RowCodec",
    "sklexplain.explainers.deep_shap.DeepSHAP",
    "sklexplain.explainers.fitted_trees.FittedTrees",
    "sklexplain.explainers.front_door.SHAP",
    "sklexplain.explainers.kernel_shap.KernelSHAP",
    "sklexplain.explainers.kernel_shap_rows.RowSolver",
    "sklexplain.explainers.lime.LIME",
    "sklexplain.explainers.lime_draws.ColumnDraws",
    "sklexplain.explainers.lime_draws.ReplacementDraws",
    "sklexplain.explainers.lime_outputs.DrawOutputs",
    "sklexplain.explainers.permutation.PermutationImportance",
    "sklexplain.explainers.tree_shap.TreeSHAP",
    "sklexplain.solvers.discretize.BinnedColumn",
    "sklexplain.solvers.discretize.CategoricalColumn",
    "sklexplain.solvers.discretize.NormalColumn",
    "sklexplain.windows.SlidingWindow",
)


def trusted_types() -> list[str]:
    """Return the types to trust when a model of this package is loaded with `skops`.

    None of them reads or runs anything while it is made from what a file says. Estimators of
    scikit-learn are trusted by skops itself, without being listed.

    Returns
    -------
    list of str
        Full names, for the `trusted` parameter of ``skops.io.load``. skorch's own nets are not
        among them, because they hold a pickle that loading them runs; nor are the nodes of trees
        (``sklearn.tree._tree.Tree``), which scikit-learn follows without checking them.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklexplain import KernelSHAP, trusted_types
    >>> explainer = KernelSHAP(Ridge()).fit([[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0])
    >>> import skops.io
    >>> stored = skops.io.dumps(explainer)
    >>> skops.io.loads(stored, trusted=trusted_types()).predict([[1.0, 0.0]])
    array([0.75])
    """
    return sorted({*_RECURRENT, *_SKORCH_AND_TORCH, *_EXPLAINERS})
