"""Group items by the votes they got, so that a million votes become a few hundred rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array, vstack

from feedback.votes import Floats, Votes

_EXACT = 2.0**53  # float64 holds every integer below it, so keys up to here are exact
_MAX_PSEUDO_LABELS = 20
_HASH_BITS = 40  # leaves 13 bits for the votes of one item before a sum of hashes rounds


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """The distinct rows of the (items, labels) table of vote counts, and how many items have each."""

    counts: csr_array  # (p, k) votes per label
    size: Floats  # (p,) votes of an item
    times: Floats  # (p,) items with this pattern

    @property
    def items(self) -> int:
        """Return the number of items with two votes or more."""
        return int(self.times[self.size >= 2].sum())

    @property
    def pairs(self) -> int:
        """Return the number of pairs of votes on the same item."""
        return int((self.times * self.size * (self.size - 1)).sum() / 2)

    def mean(self, rows: Floats) -> float:
        """Return the mean over items of a number per pattern, shape (p,)."""
        return float(self.times @ rows / self.times.sum())

    def with_pseudo_items(self, agreeing: float, differing: float) -> Patterns:
        """Return these patterns and, after them, so many items of two equal and of two different votes.

        They are shared evenly among the labels, and pairs of labels, that somebody gave; above 20 labels among 20 of
        them. With fewer than two labels nothing is added.
        """
        labels = np.flatnonzero(self.times @ self.counts > 0)
        if len(labels) < 2:
            return self
        labels = labels[
            np.unique(np.linspace(0, len(labels) - 1, min(len(labels), _MAX_PSEUDO_LABELS)).astype(np.int64))
        ]
        first, second = np.triu_indices(len(labels), 1)
        columns = labels[np.concatenate([np.arange(len(labels)), first, np.arange(len(labels)), second])]
        n = len(labels) + len(first)
        rows = coo_array((np.ones(2 * n), (np.tile(np.arange(n), 2), columns)), shape=(n, self.counts.shape[1]))
        times = np.repeat([agreeing / len(labels), differing / len(first)], [len(labels), len(first)])
        counts = vstack([self.counts, rows.tocsr()], format="csr")
        return Patterns(counts, np.append(self.size, np.full(n, 2.0)), np.append(self.times, times))

    def paired(self) -> Patterns:
        """Return the patterns of the items with two votes or more."""
        keep = self.size >= 2
        return Patterns(self.counts[keep], self.size[keep], self.times[keep])


def count_patterns(votes: Votes | Patterns) -> Patterns:
    """Group the items that have votes by their counts per label; who voted is ignored. Patterns stay as they are.

    >>> found = count_patterns(Votes([0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1], [0, 1, 1, 0, 1, 1]))
    >>> found.counts.toarray().astype(int).tolist(), found.times.astype(int).tolist()
    ([[1, 1], [0, 2]], [2, 1])
    """
    if isinstance(votes, Patterns):
        return votes
    size = np.bincount(votes.tasks, minlength=votes.n_tasks)
    base = float(size.max() + 1) if len(votes) else 1.0
    if votes.n_labels * np.log2(base) < 53:  # one digit per label: equal numbers are equal rows
        return _by_digits(votes, base)
    return _by_hash(votes)


def patterns_by_item(votes: Votes) -> Patterns:
    """Return one row per item that has votes, in order of its code."""
    ones = np.ones(len(votes))
    table = coo_array((ones, (votes.tasks, votes.labels)), shape=(votes.n_tasks, votes.n_labels)).tocsr()
    size = np.bincount(votes.tasks, minlength=votes.n_tasks).astype(np.float64)
    return Patterns(table[size > 0], size[size > 0], np.ones(int((size > 0).sum())))


def _by_digits(votes: Votes, base: float) -> Patterns:
    digit = base ** np.arange(votes.n_labels)
    key = np.bincount(votes.tasks, weights=digit[votes.labels], minlength=votes.n_tasks)
    if votes.n_tasks and base**votes.n_labels <= 4 * votes.n_tasks:  # few possible keys: count instead of sorting
        times = np.bincount(key.astype(np.int64))
        keys = np.flatnonzero(times).astype(np.float64)
        times = times[times > 0]
    else:
        keys, times = np.unique(key, return_counts=True)
    voted = keys > 0
    keys, times = keys[voted], times[voted]
    counts = np.floor(keys[:, None] / digit) % base
    return Patterns(csr_array(counts), counts.sum(axis=1), times.astype(np.float64))


def _by_hash(votes: Votes) -> Patterns:
    items = patterns_by_item(votes)
    # any seed will do: equal rows are verified below, so a collision costs only time
    draws = np.random.default_rng(0).integers(1, 1 << _HASH_BITS, votes.n_labels).astype(np.float64)
    hashed = items.counts @ draws
    _, first, row, times = np.unique(hashed, return_index=True, return_inverse=True, return_counts=True)
    exact = float(items.size.max()) * 2.0**_HASH_BITS < _EXACT
    if not exact or (items.counts[first][row] != items.counts).nnz:
        return items
    return Patterns(items.counts[first], items.size[first], times.astype(np.float64))
