"""Who said what about which task, as a sparse matrix: one EM round is two sparse products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from feedback.errors import VotesError
from feedback.votes import Floats, Ints, Votes

_MOST_CELLS = 60_000_000  # half a gigabyte of error matrices
_FEW_LABELS = 64  # columns up to which a loop over them beats a reduction along rows
_SMALLEST = 1e-10  # a probability that no vote contradicts; log of 0 would silence all other votes


@dataclass(frozen=True, slots=True, eq=False)
class Incidence:
    """Sparse counts of votes, (n_tasks, n_people × k) with the column person × k + label, and its transpose."""

    by_task: csr_array
    by_said: csr_array
    n_people: int
    k: int

    @staticmethod
    def of(votes: Votes) -> Incidence:
        """Index the votes; a vote that stands twice counts twice.

        Raises VotesError where an error matrix per person would not fit into memory.
        """
        k = votes.n_labels
        if too_many_rates(votes):
            raise VotesError(
                f"{votes.n_people} people × {k} labels squared are too many error rates.",
                hint="Use one_coin or weighted: they learn one figure per person.",
            )
        said = votes.people * k + votes.labels
        shape = (votes.n_tasks, votes.n_people * k)
        by_task = coo_array((np.ones(len(votes)), (votes.tasks, said)), shape=shape).tocsr()
        return Incidence(by_task, by_task.T.tocsr(), votes.n_people, k)

    def counts(self, proba: Floats) -> Floats:
        """Expected votes (n_people, k said, k true) if the tasks' labels are distributed as `proba`."""
        counts: Floats = (self.by_said @ proba).reshape(self.n_people, self.k, self.k)
        return counts

    def log_odds(self, errors: Floats) -> Floats:
        """Per task and true label, the log probability of all its votes; errors (n_people, k said, k true)."""
        log = np.log(np.maximum(errors, _SMALLEST)).reshape(self.n_people * self.k, self.k)
        odds: Floats = self.by_task @ log
        return odds


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Who voted for which label of which task, (n_tasks × k, n_people), for methods with one figure per person."""

    by_cell: csr_array
    by_person: csr_array
    k: int

    @staticmethod
    def of(votes: Votes) -> Cells:
        """Index the votes; a vote that stands twice counts twice."""
        cell = votes.tasks * votes.n_labels + votes.labels
        shape = (votes.n_tasks * votes.n_labels, votes.n_people)
        by_cell = coo_array((np.ones(len(votes)), (cell, votes.people)), shape=shape).tocsr()
        return Cells(by_cell, by_cell.T.tocsr(), votes.n_labels)

    def tally(self, weights: Floats) -> Floats:
        """The votes (n_tasks, k) when each person's weighs `weights` (n_people,)."""
        table: Floats = (self.by_cell @ weights).reshape(-1, self.k)
        return table

    def credit(self, table: Floats) -> Floats:
        """For each person the sum of `table` (n_tasks, k) over the cells that they voted for."""
        sums: Floats = self.by_person @ table.ravel()
        return sums


def too_many_rates(votes: Votes) -> bool:
    """Whether an error matrix per person would not fit into memory."""
    return votes.n_people * votes.n_labels**2 > _MOST_CELLS


def row_sums(table: Floats) -> Floats:
    """The sum of each row; several times faster than numpy's for rows of a few labels."""
    sums: Floats = np.einsum("ij->i", table)
    return sums


def row_tops(table: Floats) -> Floats:
    """The largest of each row; several times faster than numpy's for rows of a few labels."""
    if table.shape[1] > _FEW_LABELS:
        widest: Floats = table.max(axis=1)
        return widest
    tops: Floats = table[:, 0].copy()
    for column in range(1, table.shape[1]):
        np.maximum(tops, table[:, column], out=tops)
    return tops


def normalised(log: Floats) -> tuple[Floats, float]:
    """Turn log weights (n, k) into probabilities, and give the sum of their log totals."""
    # log space: a product of hundreds of error rates underflows
    top = row_tops(log)
    weights = np.exp(log - top[:, None])
    total = row_sums(weights)
    weights /= total[:, None]
    return weights, float(top.sum() + np.log(total).sum())


def log_prior(prior: Floats) -> Floats:
    """The log of class shares (k,) or of one prior per task (n_tasks, k)."""
    logs: Floats = np.log(np.maximum(prior, _SMALLEST))
    return logs


def fixed(proba: Floats, known: Ints | None) -> Floats:
    """Put certainty where the answer is known: `known` (n_tasks,) holds labels, -1 elsewhere."""
    if known is None:
        return proba
    rows = np.flatnonzero(known >= 0)
    proba[rows] = 0.0
    proba[rows, known[rows]] = 1.0
    return proba
