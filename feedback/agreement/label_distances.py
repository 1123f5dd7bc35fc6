"""How far two labels are apart: equal or not, a squared difference, or any matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from feedback.errors import VotesError
from feedback.votes import Floats, Ints

Weighting = Literal["nominal", "linear", "quadratic", "ordinal", "ratio"]
_MOST_LABELS = 4000  # a matrix of 4000 × 4000 distances takes 128 MB


class Scale(Protocol):
    """Disagreement d(k, l) in [0, 1] between labels, 0 on the diagonal; (k, k) without building it."""

    def within(self, counts: csr_array) -> Floats:
        """For each row c of counts: the sum over k, l of c_k c_l d(k, l)."""
        ...

    def against(self, shares: Floats) -> Floats:
        """For each label k: the sum over l of d(k, l) shares_l; shares are (k,) or (k, r)."""
        ...

    def lookup(self, left: Ints, right: Ints) -> Floats:
        """The distance d(left_i, right_i) of each pair of label codes."""
        ...


@dataclass(frozen=True, slots=True)
class Nominal:
    """Labels are equal or not."""

    def within(self, counts: csr_array) -> Floats:
        """Pairs of votes that differ."""
        votes = np.asarray(counts.sum(axis=1)).ravel()
        apart: Floats = votes**2 - np.asarray((counts * counts).sum(axis=1)).ravel()
        return apart

    def against(self, shares: Floats) -> Floats:
        """Everything that is not this label."""
        apart: Floats = shares.sum(axis=0) - shares
        return apart

    def lookup(self, left: Ints, right: Ints) -> Floats:
        """1 where they differ."""
        apart: Floats = (left != right).astype(np.float64)
        return apart


@dataclass(frozen=True, slots=True, eq=False)
class Squared:
    """Labels are numbers; the distance is the squared difference over the squared range."""

    values: Floats  # (k,)

    @property
    def _scaled(self) -> Floats:
        span = np.ptp(self.values) if len(self.values) else 0.0
        return (self.values - self.values.mean()) / (span or 1.0) if len(self.values) else self.values

    def within(self, counts: csr_array) -> Floats:
        """By the identity Σ(x-y)² = 2n Σx² - 2(Σx)²: no pair is looked at."""
        x = self._scaled
        votes = np.asarray(counts.sum(axis=1)).ravel()
        apart: Floats = 2.0 * (votes * (counts @ x**2) - (counts @ x) ** 2)
        return np.maximum(apart, 0.0)

    def against(self, shares: Floats) -> Floats:
        """The same identity for one value against all."""
        x = self._scaled
        apart: Floats = np.multiply.outer(x**2, shares.sum(axis=0)) - 2.0 * np.multiply.outer(x, x @ shares)
        apart = apart + x**2 @ shares
        return np.maximum(apart, 0.0)

    def lookup(self, left: Ints, right: Ints) -> Floats:
        """The squared difference of two values."""
        x = self._scaled
        apart: Floats = (x[left] - x[right]) ** 2
        return apart


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Any distances, written out."""

    distances: Floats  # (k, k), largest 1

    def within(self, counts: csr_array) -> Floats:
        """Row by row c' D c."""
        return np.asarray((counts * (counts @ self.distances)).sum(axis=1)).ravel()

    def against(self, shares: Floats) -> Floats:
        """D times the shares."""
        return self.distances @ shares

    def lookup(self, left: Ints, right: Ints) -> Floats:
        """One cell of the matrix each."""
        cells: Floats = self.distances[left, right]
        return cells


def scale(weighting: Weighting | ArrayLike, n_labels: int, values: ArrayLike | None = None) -> Scale:
    """Name a scale, or give disagreement weights (k, k).

    `values` are the numbers that the labels stand for; without them labels are 0, 1, 2, ... in order. "ordinal" is
    Gwet's: one minus C(|i-j|+1, 2) / C(k, 2) is the agreement. Krippendorff's ordinal depends on the data: see `alpha`.

    >>> scale("linear", 3).against(np.array([1.0, 0.0, 0.0]))
    array([0. , 0.5, 1. ])
    """
    if not isinstance(weighting, str):
        return _matrix(np.asarray(weighting, dtype=np.float64), n_labels)
    if weighting == "nominal":
        return Nominal()
    x = np.arange(n_labels, dtype=np.float64) if values is None else np.asarray(values, dtype=np.float64)
    if x.shape != (n_labels,) or not np.isfinite(x).all():
        raise VotesError(f"values has shape {x.shape}; wanted {n_labels} finite numbers, one per label.")
    if weighting == "quadratic":
        return Squared(x)
    if n_labels > _MOST_LABELS:
        raise VotesError(f"{n_labels} different labels are too many for {weighting}; interval takes any number.")
    apart = np.abs(x[:, None] - x[None, :])
    if weighting == "linear":
        return _matrix(apart, n_labels)
    if weighting == "ordinal":
        rank = np.searchsorted(np.unique(x), x)
        steps = np.abs(rank[:, None] - rank[None, :]).astype(np.float64)
        return _matrix(steps * (steps + 1.0) / 2.0, n_labels)
    if weighting == "ratio":
        if (x < 0).any():
            raise VotesError("ratio needs values that are 0 or more; use interval for numbers below zero.")
        total = x[:, None] + x[None, :]
        return _matrix(np.divide(apart, total, out=np.zeros_like(apart), where=total > 0) ** 2, n_labels)
    raise VotesError(f"no weighting called {weighting!r}; known: nominal, linear, quadratic, ordinal, ratio.")


def _matrix(distances: Floats, n_labels: int) -> Matrix:
    if distances.shape != (n_labels, n_labels) or not np.isfinite(distances).all() or (distances < 0).any():
        raise VotesError(f"weights have shape {distances.shape}; wanted ({n_labels}, {n_labels}) finite, 0 or more.")
    if np.diagonal(distances).any() or (distances != distances.T).any():
        raise VotesError("weights are disagreements: symmetric, and 0 between equal labels.")
    return Matrix(distances / (distances.max() if distances.size and distances.max() > 0 else 1.0))
