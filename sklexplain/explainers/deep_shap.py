"""DeepSHAP: Shapley values of torch nets, in one pass forwards and one backwards."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import _fit_context
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import Interval, StrOptions

from .._progress import tqdm
from ..core.adapters import Head, is_plain, unwrapped
from ..core.explanation import Explanation
from ..core.failures import RowNames, blame, refuse_non_finite_rows
from ..core.models import OUTPUTS, Model, ModelError, naming_errors
from ..core.players import Players
from ..core.tables import RowCodec
from .attribution import AttributionExplainer
from .docs import documented
from .inside import opened, package, refuse_strange

# Tracing a net back costs as much as this many evaluations for each background row, measured on
# recurrent nets of two layers.
EVALS_PER_REFERENCE = 2
_NOTABLE_GAP = 1e-3
# Enough that what a part costs beside its rows is little, and few enough to report on.
_ROWS_PER_PART = 256


@documented
class DeepSHAP(AttributionExplainer):
    """Approximate Shapley values of a torch net, by DeepLIFT against a background of real rows.

    The difference between a row's output and a background row's is traced back through the net,
    operation by operation: linear maps pass it on, a nonlinearity passes on the slope of its
    secant, and a product divides it between its factors as the Shapley value of two players does.
    The result is averaged over the background. One row costs about as much as a few forward
    passes for each background row, however many players there are; and the values of a row add
    up to its prediction minus the base value, to rounding.

    What is approximate is the division between players: each operation is divided fairly, which is
    not the same as dividing the whole net fairly. :class:`KernelSHAP` estimates the Shapley values
    themselves.

    Parameters
    ----------
    estimator : estimator, Pipeline, skorch net or nn.Module
        Cloned and fitted, unless it is a `FrozenEstimator` or a bare module, which are taken as
        they are. Of a Pipeline, the steps before the windows run as they are, and of what follows
        scalers of single columns are let through. A `TransformedTargetRegressor` may have a linear
        transformer.
    players : str, array of int, mapping or Players, default="auto"
        Whose cells' values are added up: see :func:`make_players`.
    background : int, array-like, DataFrame or Background, default=100
        A number of training rows to draw, the rows themselves, or ``Background.kmeans(X, n)``.
    output : {"auto", "predict", "predict_proba", "decision_function"}, default="auto"
        What is explained. ``"auto"`` takes a classifier's probabilities; ``"decision_function"``
        its logits, whose values are less bent by the final softmax.
    unsupported : {"error", "gradient"}, default="error"
        What to do about an operation of the net that no rule covers: refuse, or take its gradient,
        with a warning. The gap that this leaves is in ``diagnostics["completeness_gap"]``.
    batch_size : int or "auto", default="auto"
        Rows explained at a time; ``"auto"`` is up to 256, fewer where scikit-learn's
        `working_memory` holds no more.
    %(feature_names)s
    %(memory)s
    %(on_error)s
    random_state : int, RandomState or None, default=None
        Of the draw of background rows.
    %(verbose)s

    Attributes
    ----------
    estimator_ : estimator
    background_ : Background
    base_values_ : ndarray of shape (n_outputs,)
        Mean output over the background.
    players_ : Players
    output_names_ : tuple of str
        Empty for a single output.
    %(importances)s

    Notes
    -----
    Shrikumar, Greenside and Kundaje (2017); Lundberg and Lee (2017). The rules are those of
    :func:`sklexplain.solvers.deeplift.deeplift`.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from sklexplain import DeepSHAP
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> explanation = DeepSHAP(net).fit(X).explain(X[:5])
    >>> total = explanation.values.sum(axis=1) + explanation.base_values
    >>> bool(np.allclose(total, explanation.predictions, atol=1e-6))
    True
    """

    _parameter_constraints: dict[str, Any] = {
        **AttributionExplainer._parameter_constraints,
        "background": "no_validation",
        "output": [StrOptions(set(OUTPUTS))],
        "unsupported": [StrOptions({"error", "gradient"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        players: Any = "auto",
        background: Any = 100,
        output: str = "auto",
        unsupported: str = "error",
        batch_size: int | str = "auto",
        feature_names: Any = None,
        memory: Any = None,
        on_error: str = "raise",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.players = players
        self.background = background
        self.output = output
        self.unsupported = unsupported
        self.batch_size = batch_size
        self.feature_names = feature_names
        self.memory = memory
        self.on_error = on_error
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> DeepSHAP:
        """Fit the estimator and keep the background.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns) or \
                (n_samples, n_timesteps, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        **fit_params : dict
            For the estimator's `fit`.

        Returns
        -------
        self : DeepSHAP

        Raises
        ------
        TypeError
            If the estimator holds no torch net, or does more with its output than can be traced.
        """
        _refuse_known(self.estimator)
        rows = self._fit_estimator(X, y, **fit_params)
        self.background_ = self._make_background(rows)
        self.importance_rows_ = self._rows_of_importances(rows)
        net = traced_net(self.explained_estimator_, self.output, self.codec_)
        outputs = net.run(self.background_.rows)
        self.base_values_ = self.background_.mean(outputs)
        self.output_names_ = net.model.output_names(outputs.shape[1])
        self.__dict__.pop("_importances_cache", None)
        return self

    def _check_rows(self, rows: np.ndarray, players: Players) -> None:
        self._make_background(rows)

    def _explain_rows(
        self,
        rows: np.ndarray,
        codec: RowCodec | None = None,
        numbers: np.ndarray | None = None,
    ) -> Explanation:
        from ..solvers.deeplift import deeplift

        net = traced_net(self.explained_estimator_, self.output, self.codec_)
        references = net.tensor(self.background_.rows)
        weights = net.tensor(self.background_.weights)
        n_outputs = len(self.base_values_)
        values = np.zeros((len(rows), self.players_.n_players, n_outputs))
        predictions, gaps = np.zeros((2, len(rows), n_outputs))
        distances = np.zeros_like(gaps)
        uncovered: set[str] = set()
        called = np.arange(len(rows)) if numbers is None else numbers
        with tqdm(
            total=len(rows), desc="DeepSHAP", unit="row", disable=not self.verbose
        ) as progress:
            for part in self._parts(rows, n_outputs):
                named = RowNames(called[part])
                try:
                    result = deeplift(
                        net.module,
                        net.tensor(rows[part]),
                        references,
                        head=net.head,
                        weights=weights,
                        unsupported=self.unsupported,
                        max_bytes=working_bytes() // 2,
                    )
                except Exception:
                    # What the net itself raises is told with its row.
                    net.checked_run(rows[part], named)
                    raise
                cells = result.values.double().cpu().numpy()
                values[part] = self.players_.sum_cells(cells)
                outputs = result.outputs.double().cpu().numpy()
                predictions[part] = refuse_non_finite_rows(outputs, named)
                gaps[part] = result.gaps.double().cpu().numpy()
                distances[part] = result.distances.double().cpu().numpy()
                uncovered.update(result.uncovered)
                progress.update(len(cells))
        _warn_of_gaps(gaps, distances, predictions, uncovered)
        params = {
            "n_background": len(self.background_),
            "output": net.model.method,
            "uncovered": sorted(uncovered),
        }
        return self._explained(rows, values, predictions, params, {"completeness_gap": gaps})

    def _evals_per_row(self) -> int:
        return EVALS_PER_REFERENCE * len(self.background_)

    def _answers(self, rows: np.ndarray) -> np.ndarray:
        net = traced_net(self.explained_estimator_, self.output, self.codec_)
        return net.checked_run(rows, RowNames(None))

    def _learned(self) -> Any:
        return self.background_.rows, self.background_.weights

    def _parts(self, rows: np.ndarray, n_outputs: int) -> list[slice]:
        # Cell values come back whole, in float64 beside the net's own type.
        bytes_per_row = 16 * n_outputs * int(np.prod(rows.shape[1:]))
        most = max(1, working_bytes() // 4 // bytes_per_row)
        wanted = _ROWS_PER_PART if self.batch_size == "auto" else int(self.batch_size)
        size = min(most, wanted)
        return [slice(i, i + size) for i in range(0, len(rows), size)]


class TracedNet:
    """A torch module with what comes before and after it, as tensors."""

    def __init__(
        self,
        model: Model,
        module: Any,
        head: Head,
        scalers: tuple[Any, ...] = (),
        codec: RowCodec | None = None,
    ) -> None:
        self.model, self.module, self.head, self.scalers = model, module, head, scalers
        self.codec = RowCodec() if codec is None else codec

    def tensor(self, rows: np.ndarray) -> Any:
        """Return rows, scaled, on the module's device and in its type; weights as they are."""
        import torch

        from ..inference import module_device, module_dtype

        if rows.ndim > 1 and self.scalers:
            # As the table that the scalers were fitted on, in its types.
            table = self.codec.decode(rows)
            for scaler in self.scalers:
                table = scaler.transform(table)
            rows = np.asarray(table)
        # A copy, because torch takes neither what may not be written nor negative strides.
        rows = np.array(rows, order="C")
        return torch.as_tensor(rows).to(module_device(self.module), module_dtype(self.module))

    def run(self, rows: np.ndarray) -> np.ndarray:
        """Return the outputs for rows, shape (n_rows, n_outputs)."""
        from ..inference import forward

        return self.head(forward(self.module, self.tensor(rows))).double().cpu().numpy()

    def checked_run(self, rows: np.ndarray, name: Callable[[int], str]) -> np.ndarray:
        """Return the outputs for rows if all are finite.

        Raises
        ------
        ModelError
            Naming the row at which the module raises or returns what is not finite.
        """

        def run(part: np.ndarray) -> np.ndarray:
            with naming_errors():
                return self.run(part)

        try:
            outputs = run(rows)
        except ModelError as error:
            raise blame(error, run, rows, name) from error.__cause__
        return refuse_non_finite_rows(outputs, name)


def traced_net(estimator: Any, output: str, codec: RowCodec) -> TracedNet:
    """Return the torch net inside an estimator.

    Raises
    ------
    TypeError
        If there is none, or if something stands around it that cannot be traced.
    """
    core = unwrapped(estimator)
    core = unwrapped(getattr(core, "best_estimator_", core))
    if isinstance(core, Pipeline):
        steps = [step for _, step in core.steps[:-1] if step not in (None, "passthrough")]
        refuse_strange(steps, "DeepSHAP")
        inner = traced_net(core.steps[-1][1], output, RowCodec() if steps else codec)
        return TracedNet(inner.model, inner.module, inner.head, (*steps, *inner.scalers), codec)
    if isinstance(core, TransformedTargetRegressor):
        inner = traced_net(core.regressor_, output, codec)
        head = _rescaled(inner.head, core)
        return TracedNet(inner.model, inner.module, head, inner.scalers, codec)
    model = Model(core, output=output, codec=codec)
    if model.module is None or model.head is None:
        raise _no_net(core, f" that gives {model.method!r}")
    return TracedNet(model, model.module, model.head)


def _rescaled(head: Head, estimator: TransformedTargetRegressor) -> Head:
    """Return the head followed by the inverse of a linear transformation of the target."""
    import torch

    transformer = estimator.transformer_
    n_targets = getattr(transformer, "n_features_in_", 1) or 1
    # Beyond zero on both sides, because what is clipped may be linear on one.
    unit = np.eye(n_targets)
    probes = np.vstack([np.zeros(n_targets), unit, -1e3 * unit, -unit, 2 * unit + 1, 1e3 * unit])
    with np.errstate(all="ignore"):
        images = np.asarray(transformer.inverse_transform(probes), dtype=float)
    images = images.reshape(len(probes), -1)
    offset = images[0]
    matrix = images[1 : n_targets + 1] - offset
    if not np.allclose(images, probes @ matrix + offset, rtol=1e-6, atol=1e-9):
        raise TypeError(
            "DeepSHAP needs a linear transformer of the target, but "
            f"{type(transformer).__name__} is not; use "
            "KernelSHAP, which explains any model"
        )

    def rescaled(output: Any) -> Any:
        inner = head(output)
        scale = torch.as_tensor(matrix).to(inner)
        return inner @ scale + torch.as_tensor(offset).to(inner)

    return rescaled


def _refuse_known(estimator: Any) -> None:
    """Refuse, before it is fitted, an estimator that cannot hold a net that can be traced."""
    steps, core = opened(estimator)
    no_module = is_plain(core) and not hasattr(core, "parameters")
    if no_module or package(core) in ("sklearn", "xgboost", "lightgbm", "catboost"):
        raise _no_net(core)
    refuse_strange(steps, "DeepSHAP")


def _no_net(core: Any, giving: str = "") -> TypeError:
    return TypeError(
        f"DeepSHAP needs a torch net, but {type(core).__name__} holds none{giving}; KernelSHAP "
        "explains any model, TreeSHAP trees"
    )


def working_bytes() -> int:
    """Return scikit-learn's `working_memory` in bytes."""
    return int(get_config()["working_memory"] * 2**20)


def _warn_of_gaps(
    gaps: np.ndarray, distances: np.ndarray, predictions: np.ndarray, uncovered: set[str]
) -> None:
    if uncovered:
        warnings.warn(
            f"no rule covers {', '.join(sorted(uncovered))}; the plain gradient was used there",
            ConvergenceWarning,
            stacklevel=4,
        )
    if gaps.size == 0:
        return
    # Against the output's largest distance: a row whose output hardly differs has no scale, and
    # differences of the size of rounding have none at all.
    rounding = np.finfo(np.float32).eps / _NOTABLE_GAP * np.abs(predictions).max(axis=0)
    scale = np.maximum(distances.max(axis=0), rounding)
    relative = gaps.max(axis=0) / np.maximum(scale, np.finfo(float).tiny)
    if relative.max() > _NOTABLE_GAP:
        warnings.warn(
            f"the values miss the prediction by up to {relative.max():.2%} of its distance from a "
            'background row; see diagnostics["completeness_gap"], or use KernelSHAP',
            ConvergenceWarning,
            stacklevel=4,
        )
