"""Calibrate confidence: temperature scaling, isotonic regression, how to choose, and the calibration error.

scikit-learn's CalibratedClassifierCV wraps an estimator; here only its probabilities exist, and a calibrator must keep
the order of the classes and load without pickle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MIN_ROWS_ISOTONIC = 500  # measured: a curve follows noise below it, and beats a single temperature above it
MIN_ROWS = 20  # four rows per fold: fewer cannot show that calibration helps
_FOLDS = 5
_EPS = 1e-12  # a true class with probability 0 must cost much, not everything
_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.05, 20.0
_MIN_LEAD = 1e-6  # the best class stays ahead of chance by at least this
_MAX_BINS = 10


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A fitted calibrator: the identity, a temperature, or a rising curve for the best class's probability.

    It changes probabilities, never the order of the classes of a task. A row of NaN stays a row of NaN.

    >>> Calibrator("temperature", 2.0).apply(np.array([[0.9, 0.1]])).round(2)
    array([[0.75, 0.25]])
    """

    kind: str = "identity"  # "identity", "temperature", "isotonic"
    degree: float = 1.0  # temperature: divides log-probabilities; above 1 where the model was overconfident
    given: tuple[float, ...] = ()  # isotonic: probabilities of the best class, rising
    meant: tuple[float, ...] = ()  # isotonic: the share of correct answers at each of them

    def apply(self, proba: Floats) -> Floats:
        """Return calibrated probabilities, shape (n, k), for `proba` of the same shape; rows sum to 1."""
        if self.kind == "identity" or not proba.size:
            return proba
        if self.kind == "temperature":
            return _scale_temperature(proba, self.degree)
        return _set_top_probability(proba, np.interp(proba.max(axis=1), self.given, self.meant))

    def state(self) -> Mapping[str, Any]:
        """Return the JSON values from which `load` builds an equal calibrator."""
        return asdict(self)

    @staticmethod
    def load(state: Mapping[str, Any]) -> Calibrator:
        """Build the calibrator of a `state()`; ValueError where it could change the order of the classes."""
        given, meant = (tuple(map(float, state[name])) for name in ("given", "meant"))
        calibrator = Calibrator(str(state["kind"]), float(state["degree"]), given, meant)
        is_rising = all(list(points) == sorted(points) for points in (given, meant)) and len(given) == len(meant)
        is_known = calibrator.kind in ("identity", "temperature") or (calibrator.kind == "isotonic" and bool(given))
        if not (is_known and is_rising and calibrator.degree > 0):
            raise ValueError(f"this is not the state of a calibrator: {calibrator}")
        return calibrator


def fit_calibrator(proba: Floats, y: Ints, *, seed: int = 0) -> Calibrator:
    """Choose and fit a calibrator: a temperature below 500 rows, isotonic from there, identity where neither helps.

    "Helps" means that log-loss falls on rows that the calibrator was not fitted on (5 folds, drawn by `seed`). `proba`
    (n, k) is of rows that the model was not trained on, best drawn at random; rows of NaN are ignored. `y` (n,) is the
    column of the true class, or -1 where the model has none for it.
    """
    proba, y = _readable(proba, y)
    if len(y) >= MIN_ROWS_ISOTONIC and _lowers_log_loss(isotonic_regression, proba, y, seed=seed):
        return isotonic_regression(proba, y)
    return fit_temperature(proba, y, seed=seed)


def fit_temperature(proba: Floats, y: Ints, *, seed: int = 0) -> Calibrator:
    """Fit a temperature to what `fit_calibrator` takes, or return the identity where it does not help."""
    proba, y = _readable(proba, y)
    has_column = y >= 0  # no temperature gives a missing class a probability
    proba, y = proba[has_column], y[has_column]
    helps = _lowers_log_loss(temperature_scaling, proba, y, seed=seed)
    return temperature_scaling(proba, y) if helps else Calibrator()


def temperature_scaling(proba: Floats, y: Ints) -> Calibrator:
    """Fit a temperature in [0.05, 20] by maximum likelihood, without asking whether it helps.

    `y` (n,) is the column of the true class, in [0, k). Each true class counts (n + 1) / (n + 2) and the other classes
    share the rest, so that twenty correct answers of twenty make no model certain.

    Guo et al. (2017), On calibration of modern neural networks, arXiv:1706.04599. Smoothed targets: Platt (1999),
    Probabilistic outputs for support vector machines.

    >>> overconfident = np.array([[0.99, 0.01]] * 1000)
    >>> temperature_scaling(overconfident, np.array([0] * 900 + [1] * 100)).apply(overconfident)[0].round(2)
    array([0.9, 0.1])
    """
    # reason: 0.2 s of imports that serving never needs
    from scipy.optimize import minimize_scalar

    n, k = proba.shape
    rows, other = np.arange(n), 1.0 / (n + 2)

    def loss(log_temperature: float) -> float:
        scaled = _scale_temperature(proba, float(np.exp(log_temperature)))
        logs = np.log(np.maximum(scaled, _EPS))
        truth = logs[rows, y]
        rest = (logs.sum(axis=1) - truth) / max(k - 1, 1)
        return float(-((1.0 - other) * truth + other * rest).mean())

    bounds = (np.log(_MIN_TEMPERATURE), np.log(_MAX_TEMPERATURE))
    return Calibrator("temperature", float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)))


def isotonic_regression(proba: Floats, y: Ints) -> Calibrator:
    """Fit a rising curve from the best class's probability to the share of correct answers; for hundreds of rows.

    `y` (n,) is the column of the true class, or -1 where the model has no column for it. One curve for all classes: a
    curve per class needs more rows and could change which class is best. The share of each step is smoothed by half a
    correct and half a wrong answer, so that no confidence becomes 0 or 1.

    Zadrozny and Elkan (2002), Transforming classifier scores into accurate multiclass probability estimates,
    doi:10.1145/775047.775151.
    """
    # reason: a second of imports that serving never needs
    from sklearn.isotonic import isotonic_regression as fit_isotonic

    top = proba.max(axis=1)
    order = np.argsort(top, kind="stable")
    correct = (proba.argmax(axis=1) == y)[order].astype(np.float64)
    level = fit_isotonic(correct)
    first = np.flatnonzero(np.diff(level, prepend=-1.0))
    size = np.diff(first, append=len(level))
    share = (level[first] * size + 0.5) / (size + 1.0)
    centre = np.add.reduceat(top[order], first) / size
    # smoothing moves small steps more than large ones, and may make a step fall again
    return Calibrator("isotonic", given=tuple(centre.tolist()), meant=tuple(np.maximum.accumulate(share).tolist()))


def expected_calibration_error(confidence: Floats, correct: NDArray[np.bool_], *, n_bins: int = 0) -> float:
    """Return the mean gap between confidence and share of correct answers over equal bins, weighted by answers.

    In [0, 1]; NaN without an answer. Biased upwards on few rows, because chance alone opens a gap in a small bin.

    `confidence` is the probability of each given answer, in [0, 1]; answers with NaN are left out. There are by default
    as many bins as the cube root of n, ten at most: the smallest bias (Futami and Fujisawa, 2024, arXiv:2405.15709).

    Naeini et al. (2015), Obtaining well calibrated probabilities using Bayesian binning, doi:10.1609/aaai.v29i1.9602.

    >>> expected_calibration_error(np.full(10, 0.8), np.arange(10) < 6)
    0.2
    """
    answered = ~np.isnan(confidence)
    confidence, correct = confidence[answered], correct[answered]
    if not len(confidence):
        return float("nan")
    n_bins = n_bins or int(np.clip(round(len(confidence) ** (1 / 3)), 1, _MAX_BINS))
    step = np.minimum((confidence * n_bins).astype(np.int64), n_bins - 1)
    gap = np.bincount(step, weights=confidence - correct, minlength=n_bins)
    return float(round(np.abs(gap).sum() / len(confidence), 12))


def _readable(proba: Floats, y: Ints) -> tuple[Floats, Ints]:
    readable = ~np.isnan(proba).any(axis=1)
    return proba[readable], np.asarray(y, np.int64)[readable]


def _lowers_log_loss(fit: Callable[[Floats, Ints], Calibrator], proba: Floats, y: Ints, *, seed: int) -> bool:
    """Return whether log-loss falls over folds that the calibrator was not fitted on."""
    if len(y) < MIN_ROWS or proba.shape[1] < 2:
        return False
    fold = np.random.default_rng(seed).permutation(len(y)) % _FOLDS
    scaled = np.empty_like(proba)
    for left_out in range(_FOLDS):
        test = fold == left_out
        scaled[test] = fit(proba[~test], y[~test]).apply(proba[test])
    return _log_loss(scaled, y) < _log_loss(proba, y)


def _log_loss(proba: Floats, y: Ints) -> float:
    has_column = y >= 0
    if not has_column.any():
        return float("nan")
    return float(-np.log(np.maximum(proba[has_column, y[has_column]], _EPS)).mean())


def _scale_temperature(proba: Floats, degree: float) -> Floats:
    # relative to the best class, so that a power never underflows a whole row
    with np.errstate(divide="ignore"):
        powered = np.exp((np.log(proba) - np.log(proba.max(axis=1, keepdims=True))) / degree)
    return powered / powered.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def _set_top_probability(proba: Floats, top: Floats) -> Floats:
    """Return rows with a best class of probability `top` (n,), with the classes in the same order.

    Upwards, the other classes share what is left in proportion. Downwards, the row is mixed with the uniform
    distribution. The floor is 1 / k: below it the best class would no longer be the best.
    """
    k = proba.shape[1]
    if k < 2:
        return proba
    before = proba.max(axis=1)
    top = np.clip(top, 1.0 / k + _MIN_LEAD, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        lowered = 1.0 / k + (proba - 1.0 / k) * ((top - 1.0 / k) / (before - 1.0 / k))[:, None]
        raised = proba * ((1.0 - top) / (1.0 - before))[:, None]
    best = np.where(np.isnan(proba), -1.0, proba).argmax(axis=1)
    raised[np.arange(len(proba)), best] = top
    result = np.where((top > before)[:, None], raised, lowered)
    is_flat = (before - 1.0 / k) < _MIN_LEAD  # all classes are equal: there is nothing to change
    result[is_flat] = proba[is_flat]
    return result
