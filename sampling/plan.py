"""The request to a strategy: how many tasks, in batches of what size, and the random seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sampling.errors import PlanError

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # splitmix64, Steele et al. (2014), doi:10.1145/2714064.2660195


@dataclass(frozen=True, slots=True)
class Plan:
    """How many tasks are wanted, how many are labelled before the model is fitted again, and the seed."""

    size: int  # only the first `size` places must be right
    batch: int = 25  # tasks that should differ from each other
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size < 0 or self.batch < 1:
            raise PlanError(f"size is {self.size} and batch is {self.batch}; wanted size >= 0 and batch >= 1.")

    def random_numbers(self, ids: Sequence[int]) -> NDArray[np.float64]:
        """Return one number in [0, 1) per id, shape (n,), computed from the id and the seed alone.

        A task keeps its number whatever else is in the pool, so that a new task does not shuffle the others. numpy's
        generators draw in sequence, so they cannot do this without one generator per id.

        >>> few, more = Plan(2, seed=1).random_numbers([7, 8]), Plan(3, seed=1).random_numbers([8, 9, 7])
        >>> bool(few[0] == more[2])
        True
        """
        start = (_mix(self.seed & _MASK) + _GOLDEN) & _MASK
        z = np.asarray(ids, dtype=np.int64).astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(start)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        unit: NDArray[np.float64] = (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return unit


def _mix(word: int) -> int:
    """Do one splitmix64 step in plain integers, so that close seeds do not give close numbers."""
    word = (word + _GOLDEN) & _MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    return word ^ (word >> 31)
