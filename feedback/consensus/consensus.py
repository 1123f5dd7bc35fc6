"""The records of this package: the consensus of all votes, and the aggregated label of each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from feedback.errors import VotesError
from feedback.votes import Floats, Ints, Votes
from ml_backend.records import Answer


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """The consensus of a method, one row per task.

    A task without votes has label -1, and its row holds the shares of the labels among all votes.
    """

    method: str
    proba: Floats  # (n_tasks, k) rows sum to 1
    labels: Ints  # (n_tasks,) the likeliest label; -1 without votes
    support: Ints  # (n_tasks,) number of votes
    errors: Floats | None = field(default=None)  # (n_people, k true, k given) error rates, where the method learns them
    prior: Floats | None = field(default=None)  # (k,) share of each label, where the method learns it

    @property
    def confidence(self) -> Floats:
        """Return the probability of the likeliest label, (n_tasks,)."""
        return self.proba.max(axis=1) if self.proba.shape[1] else np.zeros(len(self.proba))

    @classmethod
    def build(
        cls,
        method: str,
        votes: Votes,
        proba: Floats,
        *,
        scores: Floats | None = None,
        errors: Floats | None = None,
        prior: Floats | None = None,
    ) -> Consensus:
        """Pick the likeliest label of each task, the first of equal ones, and fill the rows of tasks without votes.

        `proba` is (n_tasks, k). `scores` of the same shape decide on the label instead, for example to break ties.
        """
        support = np.bincount(votes.tasks, minlength=votes.n_tasks)
        label_counts = np.bincount(votes.labels, votes.weights, minlength=votes.n_labels)
        label_shares = label_counts / max(label_counts.sum(), 1)
        rows = np.where(support[:, None] > 0, proba, label_shares)
        labels = np.argmax(rows if scores is None else scores, axis=1)
        labels = np.where(support > 0, labels, -1)
        return cls(method, rows, labels, support, errors, prior)

    def take(self, rows: Ints) -> Consensus:
        """Return the consensus of these rows, in this order."""
        return replace(self, proba=self.proba[rows], labels=self.labels[rows], support=self.support[rows])


@dataclass(frozen=True, slots=True)
class AggregatedLabel:
    """The label of one task, aggregated from its votes."""

    answer: Answer  # one that somebody gave
    confidence: float  # probability that it is right, (0, 1]
    weight: float  # for training, (0, 1]: the lead of the confidence over chance
    doubted: bool = False  # an answer that no person gave is likelier, so another person should be asked
    gain: float = field(default=0.0, compare=False)  # of one more vote, in information
    lead: float = field(default=0.0, compare=False)  # `gain` minus that of a vote on a new task
    proba: Floats | None = field(default=None, compare=False, repr=False)  # (k,) of each of the project's answers


@dataclass(frozen=True, eq=False)
class AggregatedLabels:
    """The aggregated label of each task; none where the majority decides, and `reason` says why."""

    method: str = "majority"
    reason: str = ""
    answers: tuple[Answer, ...] = ()  # every answer that was given, where labels have probabilities
    labels: tuple[AggregatedLabel, ...] = field(default=(), repr=False)  # tasks with equal votes share theirs
    tasks: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64), repr=False)  # (n,) task ids, ascending
    places: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64), repr=False)  # (n,) in `labels`

    @cached_property
    def by_task(self) -> Mapping[int, AggregatedLabel]:
        """Return the label of each task."""
        return dict(zip(self.tasks.tolist(), map(self.labels.__getitem__, self.places.tolist()), strict=True))

    def list_tasks(self, wanted: Callable[[AggregatedLabel], bool]) -> list[int]:
        """Return the tasks whose label is wanted; each label is looked at once."""
        chosen = np.array([wanted(label) for label in self.labels], dtype=bool)
        tasks: list[int] = self.tasks[chosen[self.places]].tolist() if self.labels else []
        return tasks

    def changed_since(self, old: AggregatedLabels) -> set[int]:
        """Return the tasks whose label differs from the old one, where only one of the two has a label, too."""
        if old is self:
            return set()
        both, new_at, old_at = np.intersect1d(self.tasks, old.tasks, assume_unique=True, return_indices=True)
        pairs = np.stack([self.places[new_at], old.places[old_at]])
        _, first, which = np.unique(pairs[0] * len(old.labels) + pairs[1], return_index=True, return_inverse=True)
        differ = [self.labels[new] != old.labels[before] for new, before in pairs[:, first].T.tolist()]
        changed = both[np.array(differ, dtype=bool)[which]]
        return {*changed.tolist(), *np.setxor1d(self.tasks, old.tasks, assume_unique=True).tolist()}


def require_votes(votes: Votes) -> Votes:
    """Return the votes; VotesError where there are none."""
    if not len(votes):
        raise VotesError("there are no votes; wanted at least one row of task, person and label.")
    return votes
