"""What `sklexplain explain` is asked to do, checked before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .wrong import WrongUsage, listed, suggestion

NETS = {"gru": "GRU", "lstm": "LSTM", "rnn": "RNN", "feedforward": "FeedForward"}
TREES = ("forest", "boosting")
MODELS = (*NETS, "ridge", *TREES)
METHODS = {
    "permutation": "permutation importance",
    "kernelshap": "KernelSHAP",
    "lime": "LIME",
    "deepshap": "DeepSHAP",
    "treeshap": "TreeSHAP",
    "shap": "SHAP",
}
TASKS = ("auto", "regression", "classification")
PLAYERS = ("auto", "feature", "timestep", "cell")
# They are set by options of their own, or cannot be written on a command line.
_RESERVED = {
    "random_state": "use --seed",
    "device": "use --device",
    "n_timesteps": "--window says it",
    "verbose": "use --quiet",
    "callbacks": "use the Python interface",
    "net_params": "use the Python interface",
}


@dataclass(frozen=True)
class Request:
    """The options of `sklexplain explain`.

    Parameters
    ----------
    data : Path
    target : str
    out : Path
    time, group : str or None
        Columns.
    features : tuple of str
        Empty for all columns that can be used.
    window, horizon : int
    model : str
        One of ``MODELS``.
    params : tuple of str
        As given: ``"hidden_size=64"``.
    methods : tuple of str
        Of ``METHODS``.
    players, task : str
        Of ``PLAYERS`` and ``TASKS``.
    test_size : float
    n_explain : int
        Rows to explain.
    cv : int
        Folds of a cross-validation within the training rows; 0 for none.
    seed : int
    device, unit : str

    Raises
    ------
    WrongUsage
        If an option is unknown or two are at odds.
    """

    data: Path
    target: str
    out: Path
    time: str | None = None
    group: str | None = None
    features: tuple[str, ...] = ()
    window: int = 20
    horizon: int = 1
    model: str = "gru"
    params: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("permutation", "kernelshap", "lime")
    players: str = "auto"
    task: str = "auto"
    test_size: float = 0.2
    n_explain: int = 50
    cv: int = 0
    seed: int = 0
    device: str = "auto"
    unit: str = ""

    def __post_init__(self) -> None:
        _one_of("--model", self.model, MODELS)
        _one_of("--task", self.task, TASKS)
        _one_of("--players", self.players, PLAYERS)
        if not self.methods:
            raise WrongUsage(f"--methods names none; known are {', '.join(METHODS)}")
        for method in self.methods:
            _one_of("--methods", method, METHODS)
        twice = {method for method in self.methods if self.methods.count(method) > 1}
        if twice:
            raise WrongUsage(f"--methods names {', '.join(sorted(twice))} more than once")
        for option, least in {"window": 1, "horizon": 0, "n_explain": 1, "seed": 0}.items():
            if getattr(self, option) < least:
                flag = "--" + option.replace("_", "-")
                raise WrongUsage(f"{flag} {getattr(self, option)} must be {least} or more")
        if not 0 < self.test_size < 1:
            raise WrongUsage(
                f"--test-size {self.test_size:g} must be a share of the rows between 0 and 1, "
                "such as 0.2"
            )
        if self.cv < 0 or self.cv == 1:
            raise WrongUsage(f"--cv {self.cv} must be 2 folds or more, or 0 for none")
        if self.players == "timestep" and self.window == 1:
            raise WrongUsage("--players timestep needs --window 2 or more")
        self._check_columns()
        self._check_methods()
        if self.device != "auto" and not self.is_net:
            raise WrongUsage(f"--device {self.device}: --model {self.model} runs on the CPU only")
        for name in parsed_params(self.params):
            if name in _RESERVED:
                raise WrongUsage(f"--param {name}: {_RESERVED[name]}")

    def _check_columns(self) -> None:
        roles = {"--target": self.target, "--time": self.time, "--group": self.group}
        named = [(option, column) for option, column in roles.items() if column is not None]
        for position, (option, column) in enumerate(named):
            for other, same in named[:position]:
                if column == same:
                    raise WrongUsage(f"{other} and {option} both name {column!r}")
            if option != "--target" and column in self.features:
                raise WrongUsage(f"{option} {column} is among --features; leave it out of one")
        if self.horizon == 0 and self.target in self.features:
            raise WrongUsage(
                f"--target {self.target} is among --features, and --horizon 0 asks for its value "
                "in the same row; leave it out of --features, or use --horizon 1"
            )
        twice = {name for name in self.features if self.features.count(name) > 1}
        if twice:
            raise WrongUsage(f"--features names {', '.join(sorted(twice))} more than once")

    def _check_methods(self) -> None:
        if "deepshap" in self.methods and not self.is_net:
            raise WrongUsage(
                f"--methods deepshap needs a torch model ({', '.join(NETS)}), but --model is "
                f"{self.model}; use kernelshap, which explains any model"
            )
        if "treeshap" in self.methods:
            if self.model not in TREES:
                raise WrongUsage(
                    f"--methods treeshap needs trees ({', '.join(TREES)}), but --model is "
                    f"{self.model}; use kernelshap, which explains any model"
                )
            if find_spec("shap") is None:
                raise WrongUsage(
                    "--methods treeshap needs shap, which is not installed. Run: pip install "
                    "'sklexplain[shap]'"
                )

    @property
    def is_net(self) -> bool:
        """Whether the model is a torch net."""
        return self.model in NETS


def _one_of(option: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise WrongUsage(
            f"{option} {value!r} is not known{suggestion(value, known)}; known are "
            f"{', '.join(known)}"
        )


def split_names(given: str | None) -> tuple[str, ...]:
    """Return the names in a list with commas.

    Examples
    --------
    >>> from sklexplain.cli.options import split_names
    >>> split_names("open, close,")
    ('open', 'close')
    """
    return tuple(name.strip() for name in (given or "").split(",") if name.strip())


def parsed_params(given: Iterable[str]) -> dict[str, Any]:
    """Return ``"hidden_size=64"`` as names with numbers, truth values, None or text.

    Raises
    ------
    WrongUsage
        If there is no ``=``, or a name comes twice.

    Examples
    --------
    >>> from sklexplain.cli.options import parsed_params
    >>> parsed_params(["hidden_size=64", "lr=1e-2", "early_stopping=false", "max_features=sqrt"])
    {'hidden_size': 64, 'lr': 0.01, 'early_stopping': False, 'max_features': 'sqrt'}
    """
    parsed: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        name = name.strip()
        if not equals or not name:
            raise WrongUsage(f"--param {item!r} must be a name and a value: --param hidden_size=64")
        if name in parsed:
            raise WrongUsage(f"--param {name} is given more than once")
        parsed[name] = _typed(value.strip())
    return parsed


def _typed(value: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if value.lower() in words:
        return words[value.lower()]
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def check_param_names(given: Iterable[str], known: Iterable[str], model: str) -> None:
    """Refuse parameters that the model does not have.

    Raises
    ------
    WrongUsage
        If there is one; it names those that there are.
    """
    known = sorted(set(known) - set(_RESERVED))
    for name in given:
        if name not in known:
            raise WrongUsage(
                f"--param {name}: {model} has no such parameter{suggestion(name, known)}; known "
                f"are {listed(known, most=40)}"
            )
