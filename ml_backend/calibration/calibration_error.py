"""How far confidence and accuracy are apart: reliability tables and the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Answers grouped by confidence into equal steps of [0, 1]; every array has one entry a step."""

    count: Ints  # answers in the step
    confidence: Floats  # their mean confidence; NaN for an empty step
    accuracy: Floats  # the share of them that is right; NaN for an empty step


def reliability(proba: Floats, y: Ints, bins: int = 15) -> Reliability:
    """Compare confidence and accuracy step by step.

    `proba` is (n, k); `y` (n,) holds the true column, or -1 for a truth that the model has no class for (never right).
    Rows of NaN are answers not given, and left out.
    """
    given = ~np.isnan(proba).any(axis=1)
    proba, y = proba[given], np.asarray(y)[given]
    top = proba.max(axis=1, initial=0.0)
    right = proba.argmax(axis=1) == y if len(y) else np.zeros(0, bool)
    step = np.minimum((top * bins).astype(int), bins - 1)
    count = np.bincount(step, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(step, top, minlength=bins) / count
        accuracy = np.bincount(step, right, minlength=bins) / count
    return Reliability(count, confidence, accuracy)


def ece(proba: Floats, y: Ints, bins: int = 15) -> float:
    """The expected calibration error: the mean gap between confidence and accuracy, weighted by answers.

    In [0, 1]; NaN without an answer. Naeini et al. (2015); biased upwards on few rows.

    >>> round(ece(np.array([[0.8, 0.2]] * 10), np.array([0] * 6 + [1] * 4)), 6)
    0.2
    """
    table = reliability(proba, y, bins)
    total = table.count.sum()
    if not total:
        return float("nan")
    gaps = np.nan_to_num(np.abs(table.confidence - table.accuracy))
    return float(gaps @ table.count / total)
