"""Disagreement between labels: equal or not, squared difference, or any matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from feedback.errors import VotesError
from feedback.votes import Floats, Ints

Weighting = Literal["nominal", "linear", "quadratic", "ordinal", "ratio"]
_HUGE = 1e150  # squares and sums of larger numbers are infinite
_MOST_LABELS = 4000  # a matrix of 4000 × 4000 distances takes 128 MB


class LabelDistance(Protocol):
    """Disagreement d(i, j) in [0, 1] between labels i and j, 0 for equal labels."""

    def within(self, counts: csr_array) -> Floats:
        """Return `sum over i, j of c_i c_j d(i, j)` for each row c of counts (p, k), shape (p,)."""
        ...

    def against(self, shares: Floats) -> Floats:
        """Return `sum over j of d(i, j) shares_j` for each label i; shares are (k,) or (k, r), so is the result."""
        ...

    def lookup(self, left: Ints, right: Ints) -> Floats:
        """Return d(left, right) for each pair of label codes, shape (n,)."""
        ...


@dataclass(frozen=True, slots=True)
class NominalDistance:
    """Distance 0 between equal labels, 1 between different ones."""

    def within(self, counts: csr_array) -> Floats:
        """Return the ordered pairs of votes that differ, (p,)."""
        votes = np.asarray(counts.sum(axis=1)).ravel()
        distance: Floats = votes**2 - np.asarray((counts * counts).sum(axis=1)).ravel()
        return distance

    def against(self, shares: Floats) -> Floats:
        """Return the share of all other labels."""
        distance: Floats = shares.sum(axis=0) - shares
        return distance

    def lookup(self, left: Ints, right: Ints) -> Floats:
        """Return 1 where the labels differ, else 0."""
        distance: Floats = (left != right).astype(np.float64)
        return distance


@dataclass(frozen=True, slots=True, eq=False)
class SquaredDistance:
    """Squared difference of the numbers behind the labels, divided by the squared range."""

    values: Floats  # (k,)

    @property
    def _scaled(self) -> Floats:
        if not len(self.values):
            return self.values
        largest = float(np.abs(self.values).max())
        values = self.values / (largest if largest > _HUGE else 1.0)
        scaled: Floats = (values - values.mean()) / (np.ptp(values) or 1.0)
        return scaled

    def within(self, counts: csr_array) -> Floats:
        """Return the weighted disagreement of each item from sums, as Σ(x-y)² = 2n Σx² - 2(Σx)²."""
        x = self._scaled
        votes = np.asarray(counts.sum(axis=1)).ravel()
        distance: Floats = 2.0 * (votes * (counts @ x**2) - (counts @ x) ** 2)
        return np.maximum(distance, 0.0)

    def against(self, shares: Floats) -> Floats:
        """Return the mean squared difference of each label from the distribution, from sums."""
        x = self._scaled
        distance: Floats = np.multiply.outer(x**2, shares.sum(axis=0)) - 2.0 * np.multiply.outer(x, x @ shares)
        distance = distance + x**2 @ shares
        return np.maximum(distance, 0.0)

    def lookup(self, left: Ints, right: Ints) -> Floats:
        """Return the squared difference of each pair of values."""
        x = self._scaled
        distance: Floats = (x[left] - x[right]) ** 2
        return distance


@dataclass(frozen=True, slots=True, eq=False)
class MatrixDistance:
    """Any symmetric distances, as a matrix."""

    distances: Floats  # (k, k), largest 1

    def within(self, counts: csr_array) -> Floats:
        """Return the weighted disagreement of each item: `c' D c` for its vote counts c."""
        return np.asarray((counts * (counts @ self.distances)).sum(axis=1)).ravel()

    def against(self, shares: Floats) -> Floats:
        """Return the matrix times the shares."""
        return self.distances @ shares

    def lookup(self, left: Ints, right: Ints) -> Floats:
        """Return one cell of the matrix per pair."""
        cells: Floats = self.distances[left, right]
        return cells


def label_distance(weighting: Weighting | ArrayLike, n_labels: int, values: ArrayLike | None = None) -> LabelDistance:
    """Build the distance for a named weighting or a matrix of disagreements; VotesError where there is none.

    Parameters
    ----------
    weighting
        "nominal"; "linear" and "quadratic" in the values; "ordinal" is Gwet's, whose agreement is
        1 - C(|i-j|+1, 2) / C(k, 2) for ranks i and j (Krippendorff's depends on the votes: see `krippendorff_alpha`);
        "ratio" is ((x-y) / (x+y))². A matrix (k, k) is scaled so that its largest entry is 1.
    values
        The numbers (k,) that the labels stand for; 0, 1, 2, ... by default.

    Examples
    --------
    >>> label_distance("linear", 3).against(np.array([1.0, 0.0, 0.0]))
    array([0. , 0.5, 1. ])
    """
    if not isinstance(weighting, str):
        return _matrix(np.asarray(weighting, dtype=np.float64), n_labels)
    if weighting == "nominal":
        return NominalDistance()
    x = np.arange(n_labels, dtype=np.float64) if values is None else np.asarray(values, dtype=np.float64)
    if x.shape != (n_labels,) or not np.isfinite(x).all():
        raise VotesError(f"values has shape {x.shape}; wanted {n_labels} finite numbers, one per label.")
    if weighting == "quadratic":
        return SquaredDistance(x)
    if n_labels > _MOST_LABELS:
        raise VotesError(f"{n_labels} different labels are too many for the weighting {weighting!r}; use 'quadratic'.")
    distance = np.abs(x[:, None] - x[None, :])
    if weighting == "linear":
        return _matrix(distance, n_labels)
    if weighting == "ordinal":
        rank = np.searchsorted(np.unique(x), x)
        steps = np.abs(rank[:, None] - rank[None, :]).astype(np.float64)
        return _matrix(steps * (steps + 1.0) / 2.0, n_labels)
    if weighting == "ratio":
        if (x < 0).any():
            raise VotesError("the weighting 'ratio' needs values of 0 or more; use 'quadratic' for numbers below 0.")
        total = x[:, None] + x[None, :]
        return _matrix(np.divide(distance, total, out=np.zeros_like(distance), where=total > 0) ** 2, n_labels)
    raise VotesError(f"no weighting called {weighting!r}; wanted nominal, linear, quadratic, ordinal or ratio.")


def _matrix(distances: Floats, n_labels: int) -> MatrixDistance:
    if distances.shape != (n_labels, n_labels) or not np.isfinite(distances).all() or (distances < 0).any():
        raise VotesError(f"weights have shape {distances.shape}; wanted ({n_labels}, {n_labels}) finite, 0 or more.")
    if np.diagonal(distances).any() or (distances != distances.T).any():
        raise VotesError("weights must be symmetric disagreements, with 0 between equal labels.")
    return MatrixDistance(distances / (distances.max() if distances.size and distances.max() > 0 else 1.0))
