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
    return _mean_of_middle("median", tasks, values, n_tasks, lambda size: (size - 1) // 2)


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
    return _mean_of_middle("trimmed_mean", tasks, values, n_tasks, lambda size: np.floor(trim * size).astype(np.int64))


def _mean_of_middle(
    method: str, tasks: ArrayLike, values: ArrayLike, n_tasks: int | None, left_out: Callable[[Ints], Ints]
) -> NumericConsensus:
    """Take the mean of each task's answers without the `left_out` smallest and largest, a number for each size."""
    task, value = np.asarray(tasks, dtype=np.int64), np.asarray(values, dtype=np.float64)
    if task.shape != value.shape or task.ndim != 1:
        raise VotesError(f"tasks have shape {task.shape}, values {value.shape}; wanted one value per row.")
    if not len(task):
        raise VotesError("there are no answers; wanted at least one row of task and number.")
    if not np.isfinite(value).all():
        raise VotesError("a value is not a finite number; leave missing answers out.")
    order = np.lexsort((value, task))
    task, value, size = task[order], value[order], np.bincount(task, minlength=n_tasks or 0)
    place, cut = np.arange(len(task)) - (np.cumsum(size) - size)[task], np.maximum(left_out(size), 0)
    kept = (place >= cut[task]) & (place < (size - cut)[task])
    middle = np.bincount(task[kept], value[kept], minlength=len(size))
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: a task without answers
        centre = middle / (size - 2 * cut)
        spread = np.bincount(task, np.abs(value - centre[task]), minlength=len(size)) / size
    return NumericConsensus(method, centre, spread, size)
