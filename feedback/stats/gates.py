"""Promotion gates: a refresh must not be proven worse, a change must be proven better.

Both use the rows that champion and challenger answered: d is +1 where only the challenger is right, -1 where only the
champion is, else 0. Their e-values are betting martingales, so they may be checked at any time. A refresh repeats a
recipe that won before, so it has nothing to prove; a one-sided McNemar test would have power .20 for a true gain of two
points on 200 rows.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, gammaln, logsumexp, xlog1py, xlogy

from feedback.stats.intervals import EvidenceError, Floats, check_share
from ml_backend.number_format import format_number, format_percent, format_set_percent

Ints = NDArray[np.int64]

_STEP = 0.001  # of a detectable difference
# One bet suits one size of gain; the mean over three loses at most a factor of three against the best of them. A finer
# grid and a continuous mixture had less power on 100 to 2,000 rows.
_BETS = np.array([0.1, 0.3, 0.7])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a challenger is promoted, with the reason as a sentence."""

    promote: bool
    reason: str
    e_value: float = 1.0  # evidence that decided; 1 is no evidence
    n: int = 0  # rows behind the decision
    detectable: float | None = None  # smallest loss (of a change: gain) that would have been seen; None: no size would


def refresh_gate(d: Sequence[int] | NDArray[Any], *, max_loss: float = 0.02, alpha: float = 0.05) -> Verdict:
    """Decide on the same recipe trained on more answers: promote unless it is proven worse by more than `max_loss`.

    A challenger that loses no more than `max_loss`, a share of rows in [0, 1), is refused with probability at most
    alpha. Small losses add up over many refreshes: give d against the best champion of the judge epoch where that
    matters. `d` (n,) holds +1, -1 and 0, else EvidenceError; without rows the challenger is promoted.

    >>> refresh_gate([-1] * 20 + [0] * 80).promote
    False
    """
    check_share(alpha, "alpha")
    wins, losses, ties = _count(d)
    n = wins + losses + ties
    e = float(worse(wins, losses, ties, max_loss=max_loss))
    description = f"{_describe_gain(wins, losses, n)} (e = {format_number(e)}, proof at {format_number(1 / alpha)})"
    if e >= 1.0 / alpha:
        return Verdict(False, f"proven worse by more than {format_set_percent(max_loss)}: {description}", e, n)
    seen = detectable_loss(n, wins / n if n else 0.0, max_loss=max_loss, alpha=alpha)
    description += f"; {_describe_detectable(n, seen, 'loss')}"
    return Verdict(True, f"not proven worse by more than {format_set_percent(max_loss)}: {description}", e, n, seen)


def change_gate(d: Sequence[int] | NDArray[Any], *, alpha: float = 0.05, challenger_number: int = 1) -> Verdict:
    """Decide on a new estimator, feature or label config: promote only when it is proven better.

    Over all challengers of a judge epoch together, one that is no better than the champion is promoted with probability
    at most alpha. `challenger_number` counts them from 1; count from 1 again when the rows double. `d` and errors are
    those of `refresh_gate`.

    >>> change_gate([1] * 20 + [-1] * 2 + [0] * 178).promote
    True
    """
    wins, losses, ties = _count(d)
    n = wins + losses + ties
    wanted = 1.0 / change_alpha(alpha, challenger_number)
    e = float(better(wins, losses))
    proof = f"proof at {format_number(wanted)}, challenger {challenger_number}"
    description = f"{_describe_gain(wins, losses, n)} (e = {format_number(e)}, {proof})"
    if e >= wanted:
        return Verdict(True, f"proven better: {description}", e, n)
    seen = detectable_gain(n, losses / n if n else 0.0, alpha=1.0 / wanted)
    return Verdict(False, f"not proven better: {description}; {_describe_detectable(n, seen, 'gain')}", e, n, seen)


def change_alpha(alpha: float, challenger_number: int) -> float:
    """Return the level of the j-th change challenger, 6 alpha / (pi j)², which sum to alpha; EvidenceError for j < 1.

    >>> round(sum(change_alpha(0.05, j) for j in range(1, 10_000)), 4)
    0.05
    """
    if challenger_number < 1:
        raise EvidenceError(f"challenger {challenger_number}: the first one is 1.")
    return 6.0 * check_share(alpha, "alpha") / (math.pi * challenger_number) ** 2


def detectable_loss(
    n: int, win_share: float, *, max_loss: float = 0.02, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Return the smallest loss that `refresh_gate` sees on n rows with probability `power`; None where it sees none.

    A loss is the share of rows lost minus the share won, in [0, 1]. The challenger wins each row with probability
    `win_share`: rows that it wins hide rows that it loses.

    >>> detectable_loss(27, 0.0), detectable_loss(1000, 0.02), detectable_loss(3, 0.0)
    (0.395, 0.054, None)
    """
    return _detectable(
        n, win_share, power, lambda won, lost: worse(won, lost, n - won - lost, max_loss=max_loss) * alpha
    )


def detectable_gain(n: int, loss_share: float, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """Return the smallest gain that `change_gate` proves at level alpha on n rows; otherwise as `detectable_loss`.

    >>> detectable_gain(1000, 0.02)
    0.031
    """
    return _detectable(n, loss_share, power, lambda lost, won: better(won, lost) * alpha)


def _detectable(n: int, other_share: float, power: float, proof: Callable[[Ints, Ints], Floats]) -> float | None:
    """Return the smallest difference at which proof(others, counted) >= 1 has probability `power`, to 0.001.

    Of n rows, others ~ Binomial(n, other_share), and of the rest counted rows at other_share + difference.
    """
    spread = 6.0 * math.sqrt(n * other_share * (1.0 - other_share)) + 1.0
    others = np.arange(max(0, math.floor(n * other_share - spread)), min(n, math.ceil(n * other_share + spread)) + 1)
    low: NDArray[Any] = np.zeros_like(others)
    high: NDArray[Any] = n - others + 1  # fewest counted rows that are proof; n - others + 1: none are
    while (low < high).any():
        middle = (low + high) // 2
        enough = (proof(others, np.minimum(middle, n - others)) >= 1.0) & (middle <= n - others)
        low, high = np.where(enough | (low == high), low, middle + 1), np.where(enough, middle, high)
    weights = np.exp(
        gammaln(n + 1)
        - gammaln(others + 1)
        - gammaln(n - others + 1)
        + xlogy(others, other_share)
        + xlog1py(n - others, -other_share)
    )
    rest = n - others

    def has_power(difference: float) -> bool:
        share = min(1.0, (other_share + difference) / max(1.0 - other_share, 1e-12))
        # the probability that at least `low` of `rest` rows count
        tail = np.where(low > rest, 0.0, np.where(low < 1, 1.0, betainc(np.maximum(low, 1), rest - low + 1.0, share)))
        return bool(np.nansum(weights * tail) >= power)

    most = 1.0 - 2.0 * other_share
    if n == 0 or most <= 0.0 or not has_power(most):
        return None
    steps = math.ceil(most / _STEP)
    return round(bisect_left(range(steps), True, key=lambda step: has_power(step * _STEP)) * _STEP, 3)


def better(wins: ArrayLike, losses: ArrayLike) -> Floats:
    """Compute the e-value against "the challenger is not better", in [0, inf) with the shape of `wins`.

    It is the mean over bets b of (1 + b)^wins (1 - b)^losses; ties change nothing.
    """
    w, lost = np.asarray(wins, dtype=np.float64)[..., None], np.asarray(losses, dtype=np.float64)[..., None]
    return _mean_over_bets(w * np.log1p(_BETS) + lost * np.log1p(-_BETS))


def worse(wins: ArrayLike, losses: ArrayLike, ties: ArrayLike, *, max_loss: float) -> Floats:
    """Compute the e-value against "mean(d) >= -max_loss", in [0, inf) with the shape of `wins`.

    It is the mean over bets b of the product of 1 + b (-max_loss - d). Bets are below 1 / (1 + max_loss), so a win
    cannot lose all capital. EvidenceError unless `max_loss` is in [0, 1).
    """
    if not 0.0 <= max_loss < 1.0:
        raise EvidenceError(f"max_loss is {max_loss}, wanted a share of rows in [0, 1).")
    bets = _BETS / (1.0 + max_loss)
    w, lost, tied = (np.asarray(count, dtype=np.float64)[..., None] for count in (wins, losses, ties))
    grown = lost * np.log1p(bets * (1.0 - max_loss))
    return _mean_over_bets(grown + w * np.log1p(-bets * (1.0 + max_loss)) + tied * np.log1p(-bets * max_loss))


def _mean_over_bets(logs: Floats) -> Floats:
    """Return the mean over the last axis from logarithms, because a product over thousands of rows overflows."""
    with np.errstate(over="ignore"):  # infinity is a valid e-value
        mixed: Floats = np.exp(logsumexp(logs, axis=-1) - math.log(logs.shape[-1]))
    return mixed


def _count(d: Sequence[int] | NDArray[Any]) -> tuple[int, int, int]:
    """Return the numbers of wins, losses and ties."""
    values = np.asarray(d)
    if values.ndim != 1 or not np.isin(values, (-1, 0, 1)).all():
        raise EvidenceError("d holds something else than -1, 0 and 1: one number per row.")
    return int((values == 1).sum()), int((values == -1).sum()), int((values == 0).sum())


def _describe_detectable(n: int, seen: float | None, kind: str) -> str:
    verb = "seen" if kind == "loss" else "proven"
    if seen is None:
        return f"on {n} rows no {kind} would have been {verb}"
    return f"on {n} rows only a {kind} above {format_number(100 * seen)} points would have been {verb}"


def _describe_gain(wins: int, losses: int, n: int) -> str:
    if n == 0:
        return "no judge row yet"
    return f"{wins} rows won, {losses} lost of {n}, {format_percent((wins - losses) / n, signed=True)}"
