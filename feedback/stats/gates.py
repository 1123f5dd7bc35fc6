"""Two gates for two kinds of challenger: a refresh must not be proven worse, a change must be proven better.

Both watch the same rows that champion and challenger answered: d = +1 where only the challenger is right, -1 where
only the champion is, 0 on ties. Both are betting martingales (Ville: an e-value of 1/alpha is reached with
probability at most alpha if the null hypothesis holds), so they stay valid however often people look, and when they
stop. One-sided McNemar would have power .20 for a true gain of two points on 200 rows; that is why a refresh, which
repeats a recipe that has won before, does not have to prove anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from feedback.stats.results import EvidenceError, Floats, Verdict, check_share

# How much of the capital to bet. One fixed bet is right for one size of gain only; the mean over three loses at most a
# factor of three against the best of them. A finer grid and a continuous mixture had less power on 100 to 2,000 rows.
_BETS = np.array([0.1, 0.3, 0.7])


def refresh_gate(d: Sequence[int] | NDArray[Any], *, max_loss: float = 0.02, alpha: float = 0.05) -> Verdict:
    """For the same recipe on more answers: promote unless proven worse by more than `max_loss`.

    Refuses with probability at most alpha a challenger that loses no more than `max_loss` (share of rows, [0, 1)).
    No row proves nothing, so it promotes. Small losses add up over many refreshes: keep d against the best champion
    of the judge epoch where that matters.

    >>> refresh_gate([-1] * 20 + [0] * 80).promote
    False
    """
    check_share(alpha, "alpha")
    wins, losses, ties = _counted(d)
    n = wins + losses + ties
    e = float(worse(wins, losses, ties, max_loss=max_loss))
    seen = f"{_gained(wins, losses, n)} (e = {e:.3g}, proof at {1 / alpha:.3g})"
    if e >= 1.0 / alpha:
        return Verdict(False, f"proven worse by more than {max_loss:.1%}: {seen}", e, n)
    return Verdict(True, f"not proven worse by more than {max_loss:.1%}: {seen}", e, n)


def change_gate(d: Sequence[int] | NDArray[Any], *, alpha: float = 0.05, challenger_number: int = 1) -> Verdict:
    """For a new estimator, feature or label config: promote only when proven better.

    `challenger_number` counts the change challengers of this judge epoch from 1: all together, a challenger no
    better than the champion is promoted with probability at most alpha. Count from 1 again when the rows double.

    >>> change_gate([1] * 20 + [-1] * 2 + [0] * 178).promote
    True
    """
    wins, losses, ties = _counted(d)
    n = wins + losses + ties
    wanted = 1.0 / change_alpha(alpha, challenger_number)
    e = float(better(wins, losses))
    seen = f"{_gained(wins, losses, n)} (e = {e:.3g}, proof at {wanted:.3g}, challenger {challenger_number})"
    return Verdict(e >= wanted, f"{'' if e >= wanted else 'not '}proven better: {seen}", e, n)


def change_alpha(alpha: float, challenger_number: int) -> float:
    """The level of the j-th change challenger: 6 alpha / (pi j)^2, which sums to alpha over all j.

    >>> round(sum(change_alpha(0.05, j) for j in range(1, 10_000)), 4)
    0.05
    """
    if challenger_number < 1:
        raise EvidenceError(f"challenger {challenger_number}: the first one is 1.")
    return 6.0 * check_share(alpha, "alpha") / (math.pi * challenger_number) ** 2


def better(wins: ArrayLike, losses: ArrayLike) -> Floats:
    """E-value against "the challenger is not better": mean over bets b of (1 + b)^wins (1 - b)^losses.

    In [0, inf), the shape of `wins`; ties neither help nor harm. Valid at every row, in any order.
    """
    w, lost = np.asarray(wins, dtype=np.float64)[..., None], np.asarray(losses, dtype=np.float64)[..., None]
    return _mixed(w * np.log1p(_BETS) + lost * np.log1p(-_BETS))


def worse(wins: ArrayLike, losses: ArrayLike, ties: ArrayLike, *, max_loss: float) -> Floats:
    """E-value against "mean(d) >= -max_loss": mean over bets b of the product of 1 + b (-max_loss - d).

    In [0, inf), the shape of `wins`. Bets stay below 1 / (1 + max_loss), so that a win cannot bankrupt.
    """
    if not 0.0 <= max_loss < 1.0:
        raise EvidenceError(f"max_loss is {max_loss}, wanted a share of rows in [0, 1).")
    bets = _BETS / (1.0 + max_loss)
    w, lost, tied = (np.asarray(count, dtype=np.float64)[..., None] for count in (wins, losses, ties))
    grown = lost * np.log1p(bets * (1.0 - max_loss))
    return _mixed(grown + w * np.log1p(-bets * (1.0 + max_loss)) + tied * np.log1p(-bets * max_loss))


def _mixed(logs: Floats) -> Floats:
    """The mean over the last axis, from logarithms: a product over thousands of rows overflows."""
    with np.errstate(over="ignore"):  # an infinite e-value is proof enough
        mixed: Floats = np.exp(logsumexp(logs, axis=-1) - math.log(logs.shape[-1]))
    return mixed


def _counted(d: Sequence[int] | NDArray[Any]) -> tuple[int, int, int]:
    """Wins, losses and ties."""
    values = np.asarray(d)
    if values.ndim != 1 or not np.isin(values, (-1, 0, 1)).all():
        raise EvidenceError("d holds something else than -1, 0 and 1: one number per row.")
    return int((values == 1).sum()), int((values == -1).sum()), int((values == 0).sum())


def _gained(wins: int, losses: int, n: int) -> str:
    if n == 0:
        return "no judge row yet"
    return f"{wins} rows won, {losses} lost of {n}, {(wins - losses) / n:+.1%}"
