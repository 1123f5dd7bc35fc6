"""A rising curve from the best class's probability to how often it is right, for hundreds of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_backend.calibration.scaler import Scaler

Floats = NDArray[np.float64]


def isotonic(proba: Floats, y: NDArray[np.int64]) -> Scaler:
    """Fit the curve by pooling neighbours that fall; `y` (n,) holds the true column, or -1 for none of them.

    It asks the best class alone: a curve a class needs more rows, and could turn the answer into another one.
    Each pool's share is smoothed by half an answer right and half a one wrong, so that no confidence is ever 0 or 1.
    """
    # reason: a second of imports that serving never needs
    from sklearn.isotonic import isotonic_regression

    top = proba.max(axis=1)
    order = np.argsort(top, kind="stable")
    right = (proba.argmax(axis=1) == y)[order].astype(np.float64)
    level = isotonic_regression(right)
    first = np.flatnonzero(np.diff(level, prepend=-1.0))
    size = np.diff(first, append=len(level))
    share = (level[first] * size + 0.5) / (size + 1.0)
    centre = np.add.reduceat(top[order], first) / size
    # smoothing moves small pools more than large ones, and may make a step fall again
    return Scaler.isotonic(centre, np.maximum.accumulate(share))
