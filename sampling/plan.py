"""What a strategy is asked for: how many tasks, in what batches, under which seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sampling.errors import PlanError

_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # splitmix64, Steele et al. (2014)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many tasks are wanted, how many people answer before the model is fitted again, and the seed."""

    size: int  # only the first `size` places must be right
    batch: int = 25  # tasks that should differ from each other
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size < 0 or self.batch < 1:
            raise PlanError(f"size {self.size}, batch {self.batch}: wanted size >= 0 and batch >= 1.")

    def draws(self, ids: Sequence[int]) -> NDArray[np.float64]:
        """One number in [0, 1) for each id, from the id and the seed alone.

        A task keeps its draw whatever else is in the pool, so that a new task does not reshuffle the others.

        >>> few, more = Plan(2, seed=1).draws([7, 8]), Plan(3, seed=1).draws([8, 9, 7])
        >>> bool(few[0] == more[2])
        True
        """
        start = (_mix(self.seed & _WORD) + _GOLDEN) & _WORD
        z = np.asarray(ids, dtype=np.int64).astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(start)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        unit: NDArray[np.float64] = (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return unit


def _mix(word: int) -> int:
    """One splitmix64 step in plain integers: neighbouring seeds must not give neighbouring draws."""
    word = (word + _GOLDEN) & _WORD
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
    return word ^ (word >> 31)
