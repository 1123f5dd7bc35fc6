"""One number for overconfidence: the temperature that makes held-out answers most likely."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from .scaler import Scaler

Floats = NDArray[np.float64]

_EPS = 1e-12  # a truth given no probability costs much, not everything
_COLDEST, _HOTTEST = 0.05, 20.0


def temperature(proba: Floats, y: NDArray[np.int64]) -> Scaler:
    """Fit a temperature by maximum likelihood; `y` (n,) in [0, k). Guo et al. (2017).

    >>> sure = np.array([[0.99, 0.01]] * 10)
    >>> temperature(sure, np.array([0] * 9 + [1])).apply(sure)[0].round(2)
    array([0.9, 0.1])
    """
    rows = np.arange(len(y))

    def loss(log_degree: float) -> float:
        scaled = Scaler.temperature(float(np.exp(log_degree))).apply(proba)
        return float(-np.log(np.maximum(scaled[rows, y], _EPS)).mean())

    found = minimize_scalar(loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return Scaler.temperature(float(np.exp(found.x)))
