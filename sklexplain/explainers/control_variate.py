"""What KernelSHAP may know before it samples: a torch net's own contributions, pair by pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.background import Background
from ..core.players import Players
from ..core.tables import RowCodec
from ..solvers.coalitions import PairedDesign
from .deep_shap import EVALS_PER_REFERENCE, TracedNet, traced_net, working_bytes


class DeepControlVariate:
    """DeepLIFT contributions of players for every pair of a row with a background row.

    Parameters
    ----------
    net : TracedNet
    background : Background
    """

    def __init__(self, net: TracedNet, background: Background) -> None:
        self.net, self.background = net, background

    @property
    def n_evals(self) -> int:
        """What it costs for one row, in model evaluations."""
        return EVALS_PER_REFERENCE * len(self.background)

    def contributions(self, rows: np.ndarray, players: Players) -> np.ndarray:
        """Return the contributions, shape (n_rows, n_background, n_players, n_outputs)."""
        from ..solvers.deeplift import deeplift_pairs

        references = self.net.tensor(self.background.rows)
        blocks = deeplift_pairs(
            self.net.module,
            self.net.tensor(rows),
            references,
            players.labels.copy(),  # torch takes no read-only arrays
            head=self.net.head,
            max_bytes=working_bytes() // 4,
        )
        contributions: Any = None
        for block in blocks:
            values = block.values.double().cpu().numpy()
            if contributions is None:
                contributions = np.empty((len(rows), len(references), *values.shape[2:]))
            contributions[block.rows, block.references] = values
        return contributions


def deep_control_variate(
    estimator: Any, output: str, codec: RowCodec, background: Background, players: Players
) -> DeepControlVariate:
    """Return the control variate of a torch net, tried on one pair.

    Raises
    ------
    TypeError
        If the estimator is not a torch net that can be traced.
    UnsupportedOperationError
        If the net has an operation that no rule covers.
    """
    found = DeepControlVariate(traced_net(estimator, output, codec), background)
    first = DeepControlVariate(found.net, Background(background.rows[:1]))
    first.contributions(background.rows[:1], players)
    return found


@dataclass(frozen=True)
class Known:
    """What a control variate says of some rows: nothing where there is none.

    Parameters
    ----------
    contributions : ndarray of shape (n_rows, n_background, n_players, n_outputs) or None
    means : ndarray of shape (n_rows, n_players, n_outputs)
        Over the background: what is added back.
    n_evals : int
        What it costs for one row.
    """

    contributions: np.ndarray | None
    means: np.ndarray
    n_evals: int

    @classmethod
    def of(
        cls,
        control_variate: DeepControlVariate | None,
        rows: np.ndarray,
        players: Players,
        weights: np.ndarray,
        n_outputs: int,
    ) -> Known:
        """Ask a control variate, if there is one.

        Parameters
        ----------
        control_variate : DeepControlVariate or None
        rows : ndarray of shape (n_rows, *sample_shape)
        players : Players
        weights : ndarray of shape (n_background,)
        n_outputs : int
        """
        if control_variate is None:
            return cls(None, np.zeros((len(rows), players.n_players, n_outputs)), 0)
        contributions = control_variate.contributions(rows, players)
        means = np.einsum("nbpo,b->npo", contributions, weights)
        return cls(contributions, means, control_variate.n_evals)

    def half_differences(self, design: PairedDesign, waiting: np.ndarray) -> np.ndarray:
        """Return what the contributions say of the pairs, shape (n_waiting, n_pairs, n_outputs)."""
        halves = np.zeros((len(waiting), len(design), self.means.shape[2]))
        if self.contributions is None:
            return halves
        signs = np.where(design.coalitions, 0.5, -0.5)
        for reference in np.unique(design.references):
            met = design.references == reference
            against = self.contributions[waiting, reference]
            halves[:, met] = np.einsum("kp,npo->nko", signs[met], against)
        return halves
