"""Dawid-Skene as votes come in: one vote changes one task and the people who voted on it, in microseconds."""

from __future__ import annotations

import numpy as np

from feedback.consensus.result import Consensus
from feedback.consensus.sparse_votes import Incidence
from feedback.errors import VotesError
from feedback.votes import Floats, Ints, Votes

_POOLING = 2.0  # as the hierarchical fit that it continues
_SMALLEST = 1e-10


class OnlineDawidSkene:
    """A running hierarchical Dawid-Skene; a full fit now and then takes away what drifted.

    Codes of tasks and people may be new; labels are fixed. Not for several threads.

    >>> from feedback.consensus.dawid_skene import hierarchical
    >>> votes = Votes([0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 1, 1])
    >>> running = OnlineDawidSkene(votes, hierarchical(votes))
    >>> running.vote(2, 0, 1).round(1), running.vote(2, 1, 1).round(1)
    (array([0.1, 0.9]), array([0., 1.]))
    """

    def __init__(self, votes: Votes, fit: Consensus, *, pooling: float = _POOLING) -> None:
        self._k, self._pooling = votes.n_labels, pooling
        self._rows = np.where((fit.support > 0)[:, None], fit.proba, 0.0)  # (n_tasks, k)
        self._counts = Incidence.of(votes).counts(self._rows)  # (n_people, k said, k true)
        self._given = self._counts.sum(axis=1)  # (n_people, k true)
        self._crowd = self._counts.sum(axis=0) + 1.0 / self._k  # (k said, k true)
        self._shares = self._rows.sum(axis=0) + 1.0  # (k,)
        self._said: dict[int, dict[int, int]] = {}
        for task, person, label in zip(
            *(column.tolist() for column in (votes.tasks, votes.people, votes.labels)), strict=True
        ):
            if person in self._said.setdefault(task, {}):
                raise VotesError("a person has two votes on one task; wanted votes.latest().")
            self._said[task][person] = label

    def row(self, task: int) -> Floats:
        """The probabilities of a task's labels (k,); the class shares where nobody voted."""
        if self._said.get(task):
            found: Floats = self._rows[task].copy()
            return found
        shares: Floats = self._shares / self._shares.sum()
        return shares

    def vote(self, task: int, person: int, label: int) -> Floats:
        """Take in a vote, or an edit of one, and give the task's new row."""
        if not 0 <= label < self._k or task < 0 or person < 0:
            raise VotesError(f"vote ({task}, {person}, {label}): codes start at 0 and there are {self._k} labels.")
        self._make_room(task, person)
        said = self._said.setdefault(task, {})
        self._take_out(task, said)
        said[person] = label
        return self._put_in(task, said)

    def forget(self, task: int, person: int) -> Floats:
        """Take back a deleted vote and give the task's new row; a vote that never was changes nothing."""
        said = self._said.get(task, {})
        if person not in said:
            return self.row(task)
        self._take_out(task, said)
        del said[person]
        return self._put_in(task, said)

    def _take_out(self, task: int, said: dict[int, int]) -> None:
        """Forget what the task taught about its people: a row rests on the other tasks alone, in whatever order."""
        if said:
            people, labels = _columns(said)
            self._teach(people, labels, -self._rows[task])
            self._rows[task] = 0.0

    def _put_in(self, task: int, said: dict[int, int]) -> Floats:
        if not said:
            return self.row(task)
        people, labels = _columns(said)
        crowd = self._crowd[labels] / self._crowd.sum(axis=0)
        rates = (self._counts[people, labels] + self._pooling * crowd) / (self._given[people] + self._pooling)
        log = np.log(np.maximum(rates, _SMALLEST)).sum(axis=0) + np.log(self._shares)
        row: Floats = np.exp(log - log.max())
        row /= row.sum()
        self._teach(people, labels, row)
        self._rows[task] = row
        return row.copy()

    def _teach(self, people: Ints, labels: Ints, row: Floats) -> None:
        self._counts[people, labels] += row  # a person has one vote on a task: no index twice
        self._given[people] += row
        np.add.at(self._crowd, labels, row)
        self._shares += row

    def _make_room(self, task: int, person: int) -> None:
        """Doubling keeps the mean cost of growing at nothing."""
        if task >= len(self._rows):
            self._rows = _grown(self._rows, task)
        if person >= len(self._counts):
            self._counts, self._given = _grown(self._counts, person), _grown(self._given, person)


def _columns(said: dict[int, int]) -> tuple[Ints, Ints]:
    return np.fromiter(said, dtype=np.int64), np.fromiter(said.values(), dtype=np.int64)


def _grown(table: Floats, place: int) -> Floats:
    larger = np.zeros((max(place + 1, 2 * len(table)), *table.shape[1:]))
    larger[: len(table)] = table
    return larger
