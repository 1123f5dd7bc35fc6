"""What a calculation hands back: a figure with its interval, or a judgement with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the range that the data leave open.

    >>> str(Interval(0.44, 0.60, 0.52))
    '0.52 [0.44, 0.60]'
    """

    low: float
    high: float
    value: float  # NaN where there is nothing to estimate from
    confidence: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"

    def __contains__(self, figure: float) -> bool:
        return self.low <= figure <= self.high

    @property
    def width(self) -> float:
        """High minus low, in the unit of the figure."""
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a challenger takes over, with the sentence that says why."""

    promote: bool
    reason: str
    e_value: float = 1.0  # the evidence that the gate looked at; 1 is none
    n: int = 0  # rows it rests on
