"""Votes as sparse matrices, so that one round of EM is two sparse products; and operations on rows of probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from feedback.errors import VotesError
from feedback.votes import Floats, Ints, Votes

_MAX_ERROR_RATES = 60_000_000  # half a gigabyte of error matrices
_FEW_LABELS = 64  # columns up to which a loop over them is faster than a reduction along rows
_MIN_RATE = 1e-10  # an error rate of 0 has log -inf and would silence all other votes


@dataclass(frozen=True, slots=True, eq=False)
class VoteMatrix:
    """Counts of votes, (n_tasks, n_people * k) with column person * k + label, and its transpose."""

    by_task: csr_array
    by_person_label: csr_array
    n_people: int
    k: int

    @staticmethod
    def build(votes: Votes) -> VoteMatrix:
        """Build the matrix; VotesError where one error matrix per person would not fit into memory."""
        k = votes.n_labels
        if error_rates_too_large(votes):
            raise VotesError(
                f"{votes.n_people} people and {k} labels need too many error rates ({k} x {k} per person).",
                hint="Use one_coin or weighted: they learn one figure per person.",
            )
        column = votes.people * k + votes.labels
        shape = (votes.n_tasks, votes.n_people * k)
        by_task = coo_array((np.ones(len(votes)), (votes.tasks, column)), shape=shape).tocsr()
        return VoteMatrix(by_task, by_task.T.tocsr(), votes.n_people, k)

    def expected_counts(self, proba: Floats) -> Floats:
        """Return expected counts of votes (n_people, k given, k true) for label probabilities (n_tasks, k)."""
        counts: Floats = (self.by_person_label @ proba).reshape(self.n_people, self.k, self.k)
        return counts

    def log_likelihood(self, errors: Floats) -> Floats:
        """Return the log-probability of a task's votes under each true label, (n_tasks, k).

        `errors` are (n_people, k given, k true).
        """
        log = np.log(np.maximum(errors, _MIN_RATE)).reshape(self.n_people * self.k, self.k)
        likelihood: Floats = self.by_task @ log
        return likelihood


@dataclass(frozen=True, slots=True, eq=False)
class LabelVoteMatrix:
    """Counts of votes, (n_tasks * k, n_people) with row task * k + label, for methods with one figure per person."""

    by_cell: csr_array
    by_person: csr_array
    k: int

    @staticmethod
    def build(votes: Votes) -> LabelVoteMatrix:
        """Build the matrix; a vote that occurs twice counts twice."""
        cell = votes.tasks * votes.n_labels + votes.labels
        shape = (votes.n_tasks * votes.n_labels, votes.n_people)
        by_cell = coo_array((np.ones(len(votes)), (cell, votes.people)), shape=shape).tocsr()
        return LabelVoteMatrix(by_cell, by_cell.T.tocsr(), votes.n_labels)

    def weighted_counts(self, weights: Floats) -> Floats:
        """Return the votes per label, (n_tasks, k), where each person's vote counts `weights` (n_people,)."""
        table: Floats = (self.by_cell @ weights).reshape(-1, self.k)
        return table

    def sum_by_person(self, table: Floats) -> Floats:
        """Return, per person, the sum of `table` (n_tasks, k) over the tasks and labels that they voted for."""
        sums: Floats = self.by_person @ table.ravel()
        return sums


def error_rates_too_large(votes: Votes) -> bool:
    """Return whether one error matrix per person would not fit into memory."""
    return votes.n_people * votes.n_labels**2 > _MAX_ERROR_RATES


def row_sums(table: Floats) -> Floats:
    """Return the sum of each row; several times faster than numpy's for rows of a few labels."""
    sums: Floats = np.einsum("ij->i", table)
    return sums


def row_max(table: Floats) -> Floats:
    """Return the maximum of each row; several times faster than numpy's for rows of a few labels."""
    if table.shape[1] > _FEW_LABELS:
        widest: Floats = table.max(axis=1)
        return widest
    tops: Floats = table[:, 0].copy()
    for column in range(1, table.shape[1]):
        np.maximum(tops, table[:, column], out=tops)
    return tops


def normalize_log_weights(log: Floats) -> tuple[Floats, float]:
    """Return probabilities from log weights (n, k), and the sum over rows of the log of their totals."""
    # log space: a product of hundreds of error rates underflows
    top = row_max(log)
    weights = np.exp(log - top[:, None])
    total = row_sums(weights)
    weights /= total[:, None]
    return weights, float(top.sum() + np.log(total).sum())


def log_prior(prior: Floats) -> Floats:
    """Return the log of label shares (k,) or of one prior per task (n_tasks, k)."""
    logs: Floats = np.log(np.maximum(prior, _MIN_RATE))
    return logs


def fix_gold_labels(proba: Floats, gold: Ints | None) -> Floats:
    """Set the rows of tasks with a gold label to certainty, in place; `gold` (n_tasks,) is -1 where unknown."""
    if gold is None:
        return proba
    rows = np.flatnonzero(gold >= 0)
    proba[rows] = 0.0
    proba[rows, gold[rows]] = 1.0
    return proba
