"""Votes as sparse matrices, tasks with equal votes as one row, and operations on rows of probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from feedback.errors import VotesError
from feedback.votes import Floats, Ints, Votes

_MAX_ERROR_RATES = 60_000_000  # half a gigabyte of error matrices
_FEW_LABELS = 64  # columns up to which a loop over them is faster than a reduction along rows
_MIN_RATE = 1e-10  # an error rate of 0 has log -inf and would silence all other votes
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9], dtype=np.uint64)  # of the hash splitmix64


@dataclass(frozen=True, slots=True, eq=False)
class TaskGroups:
    """Tasks with equal votes as one row each: few people give few different rows, however many tasks there are."""

    votes: Votes  # of one task of each group; its task codes are those of the groups, its `times` their sizes
    marks: Ints  # (len(votes),) of these votes
    of_task: Ints  # (n_tasks,) the group of each task
    first: Ints  # (n_groups,) the first task of each group

    @staticmethod
    def build(votes: Votes, marks: Ints | None = None) -> TaskGroups:
        """Group the tasks whose votes have the same people and labels; `marks`, of `votes.in_order()`, tell them apart.

        >>> groups = TaskGroups.build(Votes([0, 0, 1, 2, 2], [0, 1, 0, 1, 0], [1, 0, 1, 0, 1]))
        >>> groups.votes.times.tolist(), bool(groups.of_task[0] == groups.of_task[2])
        ([2.0, 1.0], True)
        """
        votes = votes.in_order()
        mark = np.zeros(len(votes), dtype=np.int64) if marks is None else marks
        cell = (votes.people * votes.n_labels + votes.labels) * (int(mark.max(initial=0)) + 1) + mark
        size = np.bincount(votes.tasks, minlength=votes.n_tasks)
        start = np.cumsum(size) - size
        mixed = (cell.astype(np.uint64) + np.uint64(1)) * _MULTIPLIERS[0]
        mixed = (mixed ^ (mixed >> np.uint64(31))) * _MULTIPLIERS[1]
        hashed, voted = np.zeros(votes.n_tasks, dtype=np.uint64), size > 0
        hashed[voted] = np.add.reduceat(mixed, start[voted]) if len(votes) else 0
        _, first, of_task = np.unique(hashed, return_index=True, return_inverse=True)
        twin = np.arange(len(votes)) + (start[first[of_task]] - start)[votes.tasks]
        same = (size[first[of_task]] == size).all() and (cell[twin] == cell).all()
        if not same:  # two different tasks have the same hash: grouping nothing costs time alone
            first = of_task = np.arange(votes.n_tasks)
        place = np.argsort(np.argsort(first))  # in the order of their first tasks, so that votes stay sorted
        first, of_task = np.sort(first), place[of_task]
        is_first = np.zeros(votes.n_tasks, dtype=bool)
        is_first[first] = True
        keep = is_first[votes.tasks]
        columns = of_task[votes.tasks[keep]], votes.people[keep], votes.labels[keep]
        times = np.bincount(of_task, votes.times, minlength=len(first)).astype(np.float64)
        rows = Votes(*columns, len(first), votes.n_people, votes.n_labels, times)
        return TaskGroups(rows, mark[keep], of_task, first)


@dataclass(frozen=True, slots=True, eq=False)
class VoteMatrix:
    """Counts of votes, (n_tasks, n_people * k) with column person * k + label, and its transpose over all tasks."""

    by_task: csr_array
    by_person_label: csr_array  # a vote counts for each task that its row stands for
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
        by_person_label = by_task.T.tocsr()
        by_person_label.data *= votes.times[by_person_label.indices]
        return VoteMatrix(by_task, by_person_label, votes.n_people, k)

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


class LabelSums:
    """Sums of votes for methods with one figure per person; votes in order give the same sums to the last digit."""

    def __init__(self, votes: Votes) -> None:
        self._votes, self._cells = votes, votes.tasks * votes.n_labels + votes.labels

    def by_label(self, weights: Floats | None = None) -> Floats:
        """Return the votes for each label, (n_tasks, k), where each person's vote counts `weights` (n_people,)."""
        shape, by_vote = (self._votes.n_tasks, self._votes.n_labels), None
        if weights is not None:
            by_vote = weights.take(self._votes.people)
        counts = np.bincount(self._cells, by_vote, minlength=shape[0] * shape[1])
        return counts.reshape(shape).astype(np.float64, copy=False)

    def by_person(self, table: Floats) -> Floats:
        """Return, per person, the sum of `table` (n_tasks, k) over the tasks and labels that they voted for."""
        by_vote = (table * self._votes.times[:, None]).ravel().take(self._cells)
        return np.bincount(self._votes.people, by_vote, minlength=self._votes.n_people).astype(np.float64, copy=False)


def number_labels_by_task(votes: Votes, gold: Ints | None = None) -> tuple[Votes, Ints | None]:
    """Return the votes with labels numbered within each task, in their order, and gold labels (n_tasks,) likewise.

    Of thousands of labels a task has a few, so tables over tasks and labels stay small. What compares the labels of one
    task, as the majority vote does, stays the same. Gold that nobody gave gets a number that no vote has.

    >>> votes, gold = number_labels_by_task(Votes([0, 0, 1, 1], [0, 1, 0, 1], [7, 9, 9, 9]), np.array([9, 3]))
    >>> votes.labels.tolist(), votes.n_labels, gold.tolist()
    ([0, 1, 0, 0], 2, [1, 2])
    """
    cells, row = np.unique(votes.tasks * votes.n_labels + votes.labels, return_inverse=True)
    tasks, labels = np.divmod(cells, max(votes.n_labels, 1))
    number = np.arange(len(cells)) - np.searchsorted(tasks, tasks)
    columns = votes.tasks, votes.people, number[row]
    found = Votes(*columns, votes.n_tasks, votes.n_people, times=votes.times)
    if gold is None:
        return found, None
    numbered = np.where(gold < 0, gold, found.n_labels)
    given = gold[tasks] == labels
    numbered[tasks[given]] = number[given]
    return found, numbered


def sum_tasks(values: Floats, times: Floats) -> float:
    """Return the sum over all tasks of a number for each row, (n_tasks,)."""
    return float(np.einsum("i,i->", values, times))  # a dot product starts threads, which costs a hundred times more


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


def normalize_log_weights(log: Floats) -> tuple[Floats, Floats]:
    """Return probabilities from log weights (n, k), and the log of the total of each row, (n,)."""
    # log space: a product of hundreds of error rates underflows
    top = row_max(log)
    weights = np.exp(log - top[:, None])
    total = row_sums(weights)
    weights /= total[:, None]
    return weights, top + np.log(total)


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
