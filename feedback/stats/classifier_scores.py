"""Figures of a classifier on rows with a known label, each with its interval: accuracy, macro-F1, ROC AUC."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from feedback.stats.intervals import EvidenceError, Floats, Interval, check_share, wilson

Ints = NDArray[np.int64]

_RESAMPLES = 1_000


def confusion_counts(truth: Ints, guess: Ints, *, n_classes: int) -> Ints:
    """Count the rows of each true class and each predicted class, shape (k, k + 1).

    Classes are numbers from 0; a guess of -1 is no prediction, and is counted in the last column.

    >>> confusion_counts(np.array([0, 0, 1]), np.array([0, 1, -1]), n_classes=2).tolist()
    [[1, 1, 0], [0, 0, 1]]
    """
    cells = truth * (n_classes + 1) + np.where(guess < 0, n_classes, guess)
    return np.bincount(cells, minlength=n_classes * (n_classes + 1)).reshape(n_classes, n_classes + 1)


def accuracy(counts: Ints, *, confidence: float = 0.95) -> Interval:
    """Return the share of rows with the right prediction, with Wilson's interval, of `confusion_counts`."""
    return wilson(int(np.trace(counts)), int(counts.sum()), confidence=confidence)


def f1_by_class(counts: Ints) -> Floats:
    """Return F1 of each class, shape (..., k); NaN for a class that is neither true nor predicted on any row.

    `counts` has the shape (..., k, k + 1), as `confusion_counts` returns it.
    """
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    found = counts.sum(axis=-1) + counts[..., :-1].sum(axis=-2)
    shares: Floats = np.divide(2.0 * right, found, out=np.full(right.shape, np.nan), where=found > 0)
    return shares


def macro_f1(counts: Ints, *, seed: int = 0, confidence: float = 0.95) -> Interval:
    """Return the mean F1 of the classes, with the percentile interval of a bootstrap of the test rows.

    Classes without any row are left out, as scikit-learn does. To draw n rows again is to draw the cells of the
    confusion counts, so that 1,000 resamples take milliseconds. Efron and Tibshirani (1993), chapter 13.

    >>> print(macro_f1(np.array([[90, 10, 0], [5, 15, 0]])))
    0.79 [0.70, 0.88]
    """
    check_share(confidence, "confidence")
    k, n = counts.shape[0], int(counts.sum())
    if not n:
        return Interval(0.0, 1.0, math.nan, confidence)
    filled = np.flatnonzero(counts)
    drawn = np.random.default_rng(seed).multinomial(n, counts.ravel()[filled] / n, size=_RESAMPLES)
    true, predicted = np.divmod(filled, k + 1)
    found = drawn @ (np.eye(k)[true] + np.eye(k + 1)[predicted, :k])  # (resamples, k)
    right = drawn @ (np.eye(k)[true] * (true == predicted)[:, None])
    present = found > 0
    means = np.divide(2.0 * right, found, out=np.zeros_like(found), where=present).sum(axis=1) / present.sum(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high), float(np.nanmean(f1_by_class(counts))), confidence)


def roc_auc(is_positive: NDArray[np.bool_], scores: Floats, *, confidence: float = 0.95) -> Interval:
    """Return the probability that a positive row scores above a negative one, with DeLong's interval, within [0, 1].

    Both arrays have the shape (n,); ties count half. NaN with [0, 1] where one of the two classes has fewer than two
    rows. DeLong, DeLong and Clarke-Pearson (1988), doi:10.2307/2531595.

    >>> print(roc_auc(np.array([True, True, False, False, False]), np.array([0.9, 0.4, 0.5, 0.2, 0.1])))
    0.83 [0.37, 1.00]
    """
    z = float(ndtri(0.5 + check_share(confidence, "confidence") / 2))
    positive, negative = scores[is_positive], scores[~is_positive]
    m, n = len(positive), len(negative)
    if min(m, n) < 2:
        return Interval(0.0, 1.0, math.nan, confidence)
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:m] - rankdata(positive)) / n  # of each positive row: the share of negative rows below it
    below = 1.0 - (ranks[m:] - rankdata(negative)) / m
    value = float(above.mean())
    half_width = z * math.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
    return Interval(max(0.0, value - half_width), min(1.0, value + half_width), value, confidence)


def mean_interval(intervals: Sequence[Interval]) -> Interval:
    """Return the mean of the estimates and of the bounds of several splits of the same rows.

    The splits share their rows, so that more of them make the estimate less lucky, but the interval no narrower.
    """
    if not intervals:
        raise EvidenceError("no split was evaluated.")
    low, high, value = np.mean([[each.low, each.high, each.value] for each in intervals], axis=0).tolist()
    return Interval(low, high, value, intervals[0].confidence)
