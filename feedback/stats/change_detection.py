"""An alarm that stays quick after a long clean run: the e-detector of Shiryaev and Roberts.

A plain e-process loses its capital while all goes well and then needs as long to win it back. This one adds one unit
of fresh capital at each row: M = (M + 1)(1 + bet (x - p0)), averaged over bets. What it promises is an average run
length: on average at least `run_length` rows between two false alarms. Shin, Ramdas and Rinaldo (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedback.stats.results import EvidenceError, Floats, check_share

_BETS = np.array([0.5, 2.0, 5.0, 10.0])  # from a doubled rate to a broken model


@dataclass(frozen=True, slots=True)
class Watch:
    """The state of one alarm; `see` gives the next state, so that it can be stored and taken up again.

    >>> quiet = watch(0.02, run_length=1000).see([0] * 1000)
    >>> quiet.alarm, quiet.see([1] * 4).alarm
    (False, True)
    """

    p0: float  # the error rate that is still fine
    run_length: float  # rows between false alarms, on average, at least
    sums: tuple[float, ...]  # one statistic per bet
    seen: int = 0
    alarm_at: int | None = None  # the first row at which it rang; it stays rung

    @property
    def statistic(self) -> float:
        """The mean over the bets; the alarm rings at `run_length`."""
        return float(np.mean(self.sums))

    @property
    def alarm(self) -> bool:
        """Whether it has rung. Start a new watch after what was wrong is mended."""
        return self.alarm_at is not None

    def see(self, errors: Sequence[Any] | NDArray[Any]) -> Watch:
        """The state after these rows, oldest first; each is 1 (or true) for an error, 0 for none."""
        rows = np.asarray(errors, dtype=np.float64)
        if rows.ndim != 1 or not np.isin(rows, (0.0, 1.0)).all():
            raise EvidenceError("errors holds something else than 0 and 1: one number per row.")
        sums, rang = np.array(self.sums), self.alarm_at
        for place, error in enumerate(rows.tolist(), start=self.seen + 1):
            sums = (sums + 1.0) * (1.0 + bets(self.p0) * (error - self.p0))
            if rang is None and sums.mean() >= self.run_length:
                rang = place
        return replace(self, sums=tuple(sums.tolist()), seen=self.seen + rows.size, alarm_at=rang)


def watch(p0: float, *, run_length: float) -> Watch:
    """A fresh alarm for error rates above p0, with at least `run_length` rows between false alarms on average."""
    if not run_length > 1.0:
        raise EvidenceError(f"run_length is {run_length}, wanted more than one row between false alarms.")
    return Watch(p0, float(run_length), (0.0,) * bets(p0).size)


def bets(p0: float) -> Floats:
    """The bets that cannot go bankrupt at this rate: those below 1 / p0 (1/2 always is).

    >>> bets(0.2)
    array([0.5, 2. ])
    """
    check_share(p0, "p0")
    safe: Floats = _BETS[1.0 / p0 > _BETS]
    return safe


def paths(errors: NDArray[Any], p0: float) -> Floats:
    """The statistic after every row of many runs at once: (runs, n) for errors of shape (runs, n)."""
    x = np.asarray(errors, dtype=np.float64)
    sums: Floats = np.zeros((x.shape[0], bets(p0).size))
    statistic = np.empty(x.shape)
    for row in range(x.shape[1]):
        sums = (sums + 1.0) * (1.0 + bets(p0) * (x[:, row, None] - p0))
        statistic[:, row] = sums.mean(axis=1)
    return statistic
