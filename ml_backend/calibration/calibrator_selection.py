"""Which calibrator, if any: the one for this many rows, and only if it helps on rows it has not seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ml_backend.calibration.isotonic import isotonic
from ml_backend.calibration.scaler import Scaler
from ml_backend.calibration.temperature_scaling import temperature

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Fit = Callable[[Floats, Ints], Scaler]

ISOTONIC_ROWS = 500  # measured: below it a curve follows noise, above it it beats one number
_MIN_ROWS = 20  # four rows a fold: fewer cannot show that anything helps
_FOLDS = 5
_EPS = 1e-12


def fit_scaler(proba: Floats, y: Ints, *, seed: int = 0) -> Scaler:
    """The temperature below 500 rows, isotonic from there, the identity where neither helps on unseen rows.

    `proba` is (n, k) on rows that the model was not trained on, best drawn at random; `y` (n,) holds the true column,
    or -1 for a truth without a column. Deterministic.
    """
    proba, y = _usable(proba, y)
    if len(y) >= ISOTONIC_ROWS and _helps(isotonic, proba, y, seed=seed):
        return isotonic(proba, y)
    return fit_temperature(proba, y, seed=seed)


def fit_temperature(proba: Floats, y: Ints, *, seed: int = 0) -> Scaler:
    """The temperature, or the identity where it does not help on unseen rows."""
    proba, y = _usable(proba, y)
    known = y >= 0  # no temperature gives a missing class a probability
    proba, y = proba[known], y[known]
    return temperature(proba, y) if _helps(temperature, proba, y, seed=seed) else Scaler.identity()


def _usable(proba: Floats, y: Ints) -> tuple[Floats, Ints]:
    read = ~np.isnan(proba).any(axis=1)
    return proba[read], np.asarray(y, np.int64)[read]


def _helps(fit: Fit, proba: Floats, y: Ints, *, seed: int) -> bool:
    """Whether log-loss falls over folds that the calibrator was not fitted on."""
    if len(y) < _MIN_ROWS or proba.shape[1] < 2:
        return False
    fold = np.random.default_rng(seed).permutation(len(y)) % _FOLDS
    scaled = np.empty_like(proba)
    for left_out in range(_FOLDS):
        test = fold == left_out
        scaled[test] = fit(proba[~test], y[~test]).apply(proba[test])
    return _log_loss(scaled, y) < _log_loss(proba, y)


def _log_loss(proba: Floats, y: Ints) -> float:
    known = y >= 0
    if not known.any():
        return float("nan")
    return float(-np.log(np.maximum(proba[known, y[known]], _EPS)).mean())
