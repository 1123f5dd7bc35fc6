"""A monitor of an error rate that raises an alarm when the rate rises: the Shiryaev-Roberts e-detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedback.stats.intervals import EvidenceError, Floats, check_share

_BETS = np.array([0.5, 2.0, 5.0, 10.0])  # small bets find a doubled rate, large ones a broken model


@dataclass(frozen=True, slots=True)
class ErrorRateMonitor:
    """The state of a monitor; `update` returns the next state, so that it can be stored and continued.

    The statistic is M = (M + 1)(1 + bet (x - p0)) after each row x in {0, 1}, averaged over bets. Between false alarms
    there are on average at least `run_length` rows. A plain e-process would lose its capital during a long run without
    errors; adding 1 at each row keeps the monitor quick. Shin, Ramdas and Rinaldo (2024), E-detectors,
    doi:10.51387/23-NEJSDS51.

    >>> quiet = start_monitor(0.02, run_length=1000).update([0] * 1000)
    >>> quiet.alarm, quiet.update([1] * 4).alarm
    (False, True)
    """

    p0: float  # largest acceptable error rate, in (0, 1)
    run_length: float  # rows between false alarms, at least, on average
    sums: tuple[float, ...]  # one statistic per bet; the alarm is raised when their mean reaches `run_length`
    n_rows: int = 0
    alarm_at: int | None = None  # number of the row that raised the alarm, from 1

    @property
    def alarm(self) -> bool:
        """Return whether the alarm was raised; it stays so until a new monitor is started."""
        return self.alarm_at is not None

    def update(self, errors: Sequence[Any] | NDArray[Any]) -> ErrorRateMonitor:
        """Return the state after these rows, oldest first: 1 for an error, 0 for none; else EvidenceError."""
        rows = np.asarray(errors, dtype=np.float64)
        if rows.ndim != 1 or not np.isin(rows, (0.0, 1.0)).all():
            raise EvidenceError("errors holds something else than 0 and 1: one number per row.")
        sums, alarm_at = np.array(self.sums), self.alarm_at
        for place, error in enumerate(rows.tolist(), start=self.n_rows + 1):
            sums = (sums + 1.0) * (1.0 + safe_bets(self.p0) * (error - self.p0))
            if alarm_at is None and sums.mean() >= self.run_length:
                alarm_at = place
        return replace(self, sums=tuple(sums.tolist()), n_rows=self.n_rows + rows.size, alarm_at=alarm_at)


def start_monitor(p0: float, *, run_length: float) -> ErrorRateMonitor:
    """Return a new monitor for error rates above p0; EvidenceError unless p0 is in (0, 1) and run_length above 1."""
    if not run_length > 1.0:
        raise EvidenceError(f"run_length is {run_length}, wanted more than one row between false alarms.")
    return ErrorRateMonitor(p0, float(run_length), (0.0,) * safe_bets(p0).size)


def safe_bets(p0: float) -> Floats:
    """Return the bets that cannot lose all capital at this rate: those below 1 / p0.

    >>> safe_bets(0.2)
    array([0.5, 2. ])
    """
    check_share(p0, "p0")
    safe: Floats = _BETS[1.0 / p0 > _BETS]
    return safe
