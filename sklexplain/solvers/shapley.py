"""Shapley values from the values of coalitions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from scipy.linalg import eigh
from scipy.special import gammaln

from .background_noise import noise_features
from .coalitions import PairedDesign, all_coalitions
from .single_thread import on_one_thread

# With at most this many pairs the regression is solved in the space of pairs, where interactions
# of three players cost nothing extra; beyond it in the space of features.
_MOST_DUAL_PAIRS = 1024
# Of more players, interactions of three are too many to be fitted in the space of features.
MOST_TRIPLED_PLAYERS = 14
# Prior variance of three-player interactions beside the players' own dependence on the background.
_TRIPLE_VARIANCE = 0.1
_PENALTIES = np.geomspace(1e-3, 1e2, 16)


def exact_shapley(coalition_values: np.ndarray) -> np.ndarray:
    """Return the Shapley values of games whose every coalition is known.

    Parameters
    ----------
    coalition_values : ndarray of shape (n_games, 2**n_players, n_outputs)
        Coalitions in the order of :func:`sklexplain.solvers.coalitions.all_coalitions`.

    Returns
    -------
    ndarray of shape (n_games, n_players, n_outputs)

    Notes
    -----
    Shapley (1953): player i receives the sum over coalitions S without i of
    ``|S|! (p - |S| - 1)! / p! * (v(S + i) - v(S))``.
    """
    n_players = int(np.log2(coalition_values.shape[1]))
    coalitions = all_coalitions(n_players)
    sizes = coalitions.sum(axis=1)
    weights = np.exp(
        gammaln(np.arange(n_players) + 1)
        + gammaln(n_players - np.arange(n_players))
        - gammaln(n_players + 1)
    )
    # A coalition with i adds what i brought to the rest of it; one without i subtracts.
    with_player = weights[np.maximum(sizes - 1, 0)][:, None] * coalitions
    without_player = weights[np.minimum(sizes, n_players - 1)][:, None] * ~coalitions
    return np.einsum("kp,gko->gpo", with_player - without_player, coalition_values, optimize=True)


@dataclass(frozen=True)
class _Smoother:
    """The regression of one design, factorised: everything that does not depend on the rows."""

    signs: np.ndarray  # (n_pairs, p): +1 present, -1 absent
    root_weights: np.ndarray  # (n_pairs,)
    unseen: np.ndarray  # (n_pairs,), the share of what the pair was drawn from that was not drawn
    main_basis: np.ndarray  # (n_pairs, p or fewer), orthonormal basis of the weighted signs
    basis: np.ndarray  # (n_pairs, rank), eigenvectors of the smoothing kernel beside the signs
    spectrum: np.ndarray  # (rank,), their eigenvalues
    main: np.ndarray  # (p, n_pairs), the plain regression without constraint
    main_of_basis: np.ndarray  # (p, rank), what the smoother moves between players
    efficiency: np.ndarray  # (p,), how a missing total is shared out


class PairedRegression:
    """Shapley values and their standard errors from paired evaluations against single rows.

    The half difference of a coalition and its complement, both against the same background row,
    is free of all interactions of even order. It is regressed on the players' signs (+1 present,
    -1 absent) by the Shapley kernel, together with penalised terms that take up what is noise to
    that regression: how much each player's contribution depends on the background row it is
    compared with, and interactions of three players. The penalised terms have known Shapley
    values (zero for the first, since they average to nothing over the background), so nothing is
    lost by fitting them. The penalty is chosen for each row by generalised cross-validation.

    The regression does not involve the explained rows, so it is factorised once for all of them.

    Parameters
    ----------
    design : PairedDesign
    features : ndarray of shape (n_players, n_background, rank), optional
        How each player sees the background rows: see
        :func:`sklexplain.solvers.background_noise.background_features`. None for a single row.

    Raises
    ------
    ValueError
        If there are fewer pairs than the regression needs.

    Notes
    -----
    Lundberg and Lee (2017) for the kernel; Covert and Lee (2021) for pairing; Fumagalli et al.
    (2026) for fitting odd interactions. The estimate is ``C @ D`` with D the half differences and
    a matrix C that depends on the penalty alone. The standard errors are those of the sandwich
    ``sum_k C_ik**2 e_k**2`` with the residuals e, corrected for what the fit takes from them.
    Against a single background row, each counts by the share of the coalitions of its size that
    were not drawn: of a size that is complete, nothing is uncertain.
    """

    @on_one_thread
    def __init__(self, design: PairedDesign, features: np.ndarray | None = None) -> None:
        self.design = design
        self._smoother = _factorised(design, features)
        self._operators: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    @on_one_thread
    def solve(self, half_differences: np.ndarray, totals: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the Shapley values of many games and their standard errors.

        Parameters
        ----------
        half_differences : ndarray of shape (n_games, n_pairs)
            ``(v(S, b) - v(complement of S, b)) / 2``.
        totals : ndarray of shape (n_games,)
            The grand coalition's value minus the empty one's, which the values add up to.

        Returns
        -------
        values, std_errors : ndarray of shape (n_games, n_players)
        """
        s = self._smoother
        weighted = half_differences * s.root_weights
        rest = weighted - (weighted @ s.main_basis) @ s.main_basis.T
        components = rest @ s.basis
        outside = np.maximum((rest**2).sum(axis=1) - (components**2).sum(axis=1), 0)
        chosen = self._penalties(components, outside)
        values = np.empty((len(totals), s.signs.shape[1]))
        errors = np.empty_like(values)
        for index in np.unique(chosen):
            rows = chosen == index
            operator, expected = self._operator(int(index))
            values[rows] = half_differences[rows] @ operator.T
            kept = s.spectrum / (s.spectrum + self._penalty(int(index)))
            residual = rest[rows] - (components[rows] * kept) @ s.basis.T
            noise = residual**2 / expected * s.unseen
            # The operator takes unweighted differences, the residuals are weighted.
            errors[rows] = np.sqrt(noise @ (operator / s.root_weights).T ** 2)
        missing = totals - values.sum(axis=1)
        return values + missing[:, None] * s.efficiency, errors

    def _penalty(self, index: int) -> float:
        spectrum = self._smoother.spectrum
        return float(_PENALTIES[index] * (spectrum.mean() if len(spectrum) else 1))

    def _penalties(self, components: np.ndarray, outside: np.ndarray) -> np.ndarray:
        """Return for each game the index of the penalty with the least cross-validation score."""
        s = self._smoother
        n_pairs, n_main = s.main_basis.shape
        scores = []
        for index in range(len(_PENALTIES)):
            shrunk = self._penalty(index) / (s.spectrum + self._penalty(index))
            squares = (components**2) @ shrunk**2 + outside
            freedom = n_pairs - n_main - np.sum(1 - shrunk)
            scores.append(squares / max(freedom / n_pairs, 1e-6) ** 2)
        return np.argmin(scores, axis=0)

    def _operator(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the matrix from differences to values, and each residual's expected square.

        The latter for noise of variance 1, shape (n_pairs,).
        """
        if index not in self._operators:
            s = self._smoother
            divided = 1 / (s.spectrum + self._penalty(index))
            operator = 2 * s.main + ((s.main_of_basis * divided) @ s.basis.T) * s.root_weights
            operator = operator - np.outer(s.efficiency, operator.sum(axis=0))
            kept = s.spectrum * divided
            free = 1 - (s.main_basis**2).sum(axis=1)
            # Squared residuals understate the noise where the smoother follows it, by `followed`;
            # those of pairs left out overstate it by the error of predicting them, by `left_out`.
            # Between the two, standard errors were 0.9 to 1.4 times the true spread for 2 to 40
            # players and 1 to 100 background rows; with either alone, 0.7 to 1.8 times.
            left_out = free - s.basis**2 @ kept
            followed = free * (free - s.basis**2 @ (kept * (2 - kept)))
            expected = np.maximum(left_out, 1e-3) * np.sqrt(np.maximum(followed, 1e-6))
            self._operators[index] = (operator, expected)
        return self._operators[index]


def _factorised(design: PairedDesign, background: np.ndarray | None) -> _Smoother:
    n_pairs, n_players = design.coalitions.shape
    if n_pairs < n_players + 1:
        raise ValueError(f"{n_pairs} pairs cannot determine {n_players} players")
    signs = np.where(design.coalitions, 1.0, -1.0)
    root_weights = np.sqrt(design.weights)
    main_basis, scales, axes = np.linalg.svd(signs * root_weights[:, None], full_matrices=False)
    kept = scales > 1e-9 * scales[0]
    # Of two players, always one is present: what both add up to, the total tells.
    if kept.sum() < n_players - (n_players == 2):
        raise ValueError(f"{n_pairs} pairs do not tell all {n_players} players apart")
    main_basis, scales, axes = main_basis[:, kept], scales[kept], axes[kept]
    main = axes.T / scales @ (main_basis.T * root_weights)
    inverse_gram_sum = axes.T / scales**2 @ axes.sum(axis=1)
    if n_players == 2:
        inverse_gram_sum = np.ones(2)
    features = noise_features(signs, design.references, background)
    if n_pairs <= _MOST_DUAL_PAIRS:
        with_triples = n_players >= 3
        basis, spectrum, main_of_basis = _dual_basis(
            design, signs, features, background, root_weights, main_basis, main
        )
    else:
        with_triples = n_players >= 3 and n_players <= MOST_TRIPLED_PLAYERS
        if with_triples:
            features = np.hstack([features, _triple_features(signs)])
        basis, spectrum, main_of_basis = _primal_basis(features, root_weights, main_basis, main)
    main_of_basis *= -2
    if with_triples:
        moved = _triple_scale(n_players) * (2 / 3) * _triples_with(signs)
        main_of_basis += (moved * root_weights[:, None]).T @ basis
    return _Smoother(
        signs,
        root_weights,
        design.unseen_shares if background is None else np.ones(n_pairs),
        main_basis,
        basis,
        spectrum,
        main,
        main_of_basis,
        inverse_gram_sum / inverse_gram_sum.sum(),
    )


def _beside(matrix: np.ndarray, main_basis: np.ndarray) -> np.ndarray:
    """Return the part of the columns that the signs cannot express."""
    return matrix - main_basis @ (main_basis.T @ matrix)


def _dual_basis(
    design: PairedDesign,
    signs: np.ndarray,
    features: np.ndarray,
    background: np.ndarray | None,
    root_weights: np.ndarray,
    main_basis: np.ndarray,
    main: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return eigenvectors, eigenvalues, and what `main` makes of the kernel times the former."""
    n_players = signs.shape[1]
    agreement = signs @ signs.T
    kernel = features @ features.T
    if n_players >= 3:
        # All triples at once: the third elementary symmetric polynomial of the products of signs.
        # Multiplied out, since numpy's power of three takes ten times as long.
        triples = agreement * (agreement * agreement - (3 * n_players - 2))
        triples *= _triple_scale(n_players) / 6
        kernel += triples
        if background is not None:
            rows = np.moveaxis(background, 0, 1).reshape(background.shape[1], -1)
            alike = rows @ rows.T / n_players
            kernel += triples * alike[np.ix_(design.references, design.references)]
    whole = root_weights[:, None] * kernel * root_weights
    weighted = _beside(_beside(whole, main_basis).T, main_basis)
    spectrum, basis = _eigen((weighted + weighted.T) / 2)
    kept = _above_rounding(spectrum, np.trace(whole))
    basis, spectrum = basis[:, kept], spectrum[kept]
    return basis, spectrum, (main @ kernel * root_weights) @ basis


def _primal_basis(
    features: np.ndarray, root_weights: np.ndarray, main_basis: np.ndarray, main: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `_dual_basis` does, where there are fewer features than pairs."""
    whole = features * root_weights[:, None]
    beside = _beside(whole, main_basis)
    spectrum, vectors = _eigen(beside.T @ beside)
    kept = _above_rounding(spectrum, np.sum(whole**2))
    spectrum, vectors = spectrum[kept], vectors[:, kept]
    # The kernel is features @ features.T, and the eigenvectors diagonalise beside.T @ beside.
    return (
        beside @ (vectors / np.sqrt(spectrum)),
        spectrum,
        (main @ features) @ (vectors * np.sqrt(spectrum)),
    )


def _eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Older versions of scipy refuse a matrix of no rows, which few players make.
    return eigh(matrix) if matrix.size else (np.empty(0), matrix)


def _above_rounding(spectrum: np.ndarray, trace: float) -> np.ndarray:
    """Return which eigenvalues are not zero, given what they added up to before the signs left."""
    return spectrum > max(1e-10 * spectrum.max(initial=0), 1e-13 * trace)


def _triple_features(signs: np.ndarray) -> np.ndarray:
    n_players = signs.shape[1]
    first, second, third = np.array(list(combinations(range(n_players), 3))).T
    products = signs[:, first] * signs[:, second] * signs[:, third]
    return products * np.sqrt(_triple_scale(n_players))


def _triple_scale(n_players: int) -> float:
    return _TRIPLE_VARIANCE / max(1, comb(n_players, 3))


def _triples_with(signs: np.ndarray) -> np.ndarray:
    """Return for each pair and player the sum of the products of signs over triples with it.

    A product of three signs has the Shapley value 2/3 for each of the three players.
    """
    others = signs.sum(axis=1, keepdims=True) - signs
    return signs * (others**2 - (signs.shape[1] - 1)) / 2
