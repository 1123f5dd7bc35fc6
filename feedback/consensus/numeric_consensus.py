"""Consensus of numbers: the median and the trimmed mean of the answers to each task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from feedback.errors import VotesError
from feedback.votes import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class NumericConsensus:
    """The consensus of numbers, one row per task; NaN for tasks without answers."""

    method: str
    values: Floats  # (n_tasks,)
    spread: Floats  # (n_tasks,) mean distance of the answers from the value, in their unit
    support: Ints  # (n_tasks,) number of answers


def median(tasks: ArrayLike, values: ArrayLike, *, n_tasks: int | None = None) -> NumericConsensus:
    """Take the median answer of each task; for an even number, the mean of the middle two.

    `tasks` and `values` have one row per answer. VotesError where there are no answers, lengths differ, or a value is
    not finite.

    >>> median([0, 0, 0, 1, 1], [3.0, 4.0, 900.0, 1.0, 2.0]).values
    array([4. , 1.5])
    """
    task, value, start, size = _sort(tasks, values, n_tasks)
    low, high = start + (size - 1) // 2, start + size // 2
    return _build("median", task, value, size, lambda rows: (value[low[rows]] + value[high[rows]]) / 2.0)


def trimmed_mean(
    tasks: ArrayLike, values: ArrayLike, *, trim: float = 0.25, n_tasks: int | None = None
) -> NumericConsensus:
    """Take the mean of the answers to each task, without the share `trim` in [0, 0.5) of them at each end.

    The number of answers left out is rounded down. Other parameters and errors are those of `median`.

    >>> trimmed_mean([0] * 5, [1.0, 2.0, 3.0, 4.0, 500.0]).values
    array([3.])
    """
    if not 0.0 <= trim < 0.5:
        raise VotesError(f"trim is {trim}, wanted a share from 0 to less than 0.5 at either end.")
    task, value, start, size = _sort(tasks, values, n_tasks)
    cut = np.floor(trim * size).astype(np.int64)
    place = np.arange(len(value)) - start[task]
    kept = (place >= cut[task]) & (place < (size - cut)[task])
    total = np.bincount(task[kept], weights=value[kept], minlength=len(size))
    return _build("trimmed_mean", task, value, size, lambda rows: total[rows] / (size - 2 * cut)[rows])


def _sort(tasks: ArrayLike, values: ArrayLike, n_tasks: int | None) -> tuple[Ints, Floats, Ints, Ints]:
    """Return rows sorted by task and value, the first row of each task, and its number of answers."""
    task, value = np.asarray(tasks, dtype=np.int64), np.asarray(values, dtype=np.float64)
    if task.shape != value.shape or task.ndim != 1:
        raise VotesError(f"tasks have shape {task.shape}, values {value.shape}; wanted one value per row.")
    if not len(task):
        raise VotesError("there are no answers; wanted at least one row of task and number.")
    if not np.isfinite(value).all():
        raise VotesError("a value is not a finite number; leave missing answers out.")
    order = np.lexsort((value, task))
    size = np.bincount(task, minlength=n_tasks or 0)
    return task[order], value[order], np.cumsum(size) - size, size


def _build(method: str, task: Ints, value: Floats, size: Ints, centre: Callable[[Ints], Floats]) -> NumericConsensus:
    answered = np.flatnonzero(size)
    values = np.full(len(size), np.nan)
    values[answered] = centre(answered)
    deviation = np.bincount(task, weights=np.abs(value - values[task]), minlength=len(size))
    return NumericConsensus(method, values, np.where(size > 0, deviation / np.maximum(size, 1), np.nan), size)
