"""The accuracy of each person, compared with gold labels or with the other people on the same tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from feedback.consensus import Consensus, hierarchical_dawid_skene
from feedback.errors import VotesError
from feedback.stats.intervals import Interval, wilson
from feedback.votes import Floats, Ints, Votes

_EPS = 1e-10
Against = Literal["gold", "others"]


@dataclass(frozen=True, slots=True)
class Reliability:
    """The accuracy of one person; the interval is [0, 1] where nothing could be compared."""

    person: int  # code
    votes: int
    compared: int  # votes with something to compare with
    accuracy: Interval
    by_label: tuple[Interval, ...]  # accuracy on tasks with this true label
    against: Against

    @property
    def weakest_label(self) -> int | None:
        """Return the label with the lowest accuracy, if that is below the overall accuracy beyond chance; else None."""
        weak = [k for k, accuracy in enumerate(self.by_label) if accuracy.high < self.accuracy.low]
        return min(weak, key=lambda k: self.by_label[k].value) if weak else None


def against_gold(votes: Votes, gold: Ints, *, confidence: float = 0.95) -> tuple[Reliability, ...]:
    """Compare each person with gold labels; intervals are Wilson's.

    `gold` (n_tasks,) is -1 where unknown. A code of k or more is a label that nobody gave: every vote on that task is
    wrong. VotesError where it does not have one row per task.

    >>> records = against_gold(Votes([0, 1, 2], [0, 0, 0], [1, 1, 0]), np.array([1, 0, -1]))
    >>> str(records[0].accuracy), records[0].compared
    ('0.50 [0.09, 0.91]', 2)
    """
    if len(gold) != votes.n_tasks:
        raise VotesError(f"gold has {len(gold)} rows, wanted {votes.n_tasks}: one per task, -1 where unknown.")
    truth = gold[votes.tasks]
    judged = truth >= 0
    expected = np.zeros((len(votes), votes.n_labels + 1))  # the last column is any label that nobody gave
    expected[judged, np.minimum(truth[judged], votes.n_labels)] = 1.0
    return _compare(votes, expected, judged, "gold", confidence)


def against_others(votes: Votes, *, fit: Consensus | None = None, confidence: float = 0.95) -> tuple[Reliability, ...]:
    """Compare each person with the consensus of the other people on the same tasks, without their own votes.

    `fit` is a Dawid-Skene consensus of these votes; a hierarchical one is fitted by default, and VotesError is raised
    where its method learns no error rates. A person's own vote is taken out of the probabilities of a task by dividing
    by their error rate.

    >>> votes = Votes(np.repeat(np.arange(40), 3), np.tile([0, 1, 2], 40), np.repeat(np.arange(40) % 2, 3))
    >>> [round(record.accuracy.value, 2) for record in against_others(votes)]
    [1.0, 1.0, 1.0]
    """
    return _compare(votes, label_probabilities_by_others(votes, fit=fit), _shared(votes), "others", confidence)


def label_probabilities_by_others(votes: Votes, *, fit: Consensus | None = None) -> Floats:
    """Return the label probabilities of each vote's task from the other votes on it, (n, k).

    A row has no meaning where there is no other vote.
    """
    fit = hierarchical_dawid_skene(votes) if fit is None else fit
    if fit.errors is None:
        raise VotesError(f"{fit.method} learns no error rates; wanted a fit of dawid_skene or hierarchical.")
    log = np.log(np.maximum(fit.proba[votes.tasks], _EPS))
    log -= np.log(np.maximum(fit.errors[votes.people, :, votes.labels], _EPS))
    others = np.exp(log - log.max(axis=1, keepdims=True))
    rows: Floats = others / others.sum(axis=1, keepdims=True)
    return rows


def hits_against_others(votes: Votes, *, fit: Consensus | None = None) -> tuple[Floats, Floats]:
    """Return the hit and the weight of each vote against the other people, both (n,); 0 without other people.

    The sum of hits over the sum of weights, over any votes of a person, estimates their accuracy on these votes.
    """
    hits, weights = _hits(label_probabilities_by_others(votes, fit=fit), votes.labels)
    shared = _shared(votes)
    return np.where(shared, hits, 0.0), np.where(shared, weights, 0.0)


def advise_pause(record: Reliability, *, below: float, min_compared: int = 15) -> str:
    """Return a sentence that advises to pause a person, or "" unless even the upper bound is below the threshold.

    >>> from feedback.stats.intervals import wilson
    >>> careless = Reliability(3, 40, 40, wilson(20, 40), (), "gold")
    >>> advise_pause(careless, below=0.8)
    'right on 0.50 [0.35, 0.65] of 40 gold answers: proven below 0.8'
    >>> advise_pause(careless, below=0.6)
    ''
    """
    if record.compared < min_compared or not record.accuracy.high < below:
        return ""
    what = "gold answers" if record.against == "gold" else "tasks that others answered too"
    return f"right on {record.accuracy} of {record.compared} {what}: proven below {below:g}"


def _compare(
    votes: Votes, expected: Floats, judged: NDArray[np.bool_], against: Against, confidence: float
) -> tuple[Reliability, ...]:
    """Compare votes with the label probabilities of their tasks, `expected` (n, k).

    Against an uncertain label, a person who is always right would still seem to be wrong sometimes. The accuracy is
    therefore a regression of hits on the probabilities; for probabilities of 0 and 1 it is the share of hits.
    """
    n, k = votes.n_people, votes.n_labels
    people, labels, rows = votes.people[judged], votes.labels[judged], expected[judged]
    n_votes, compared = np.bincount(votes.people, minlength=n), np.bincount(people, minlength=n)
    hits, weights = (np.bincount(people, weights=values, minlength=n) for values in _hits(rows, labels))
    by_label = [_recall(people, labels == label, rows[:, label], n) for label in range(k)]
    return tuple(
        Reliability(
            person,
            int(n_votes[person]),
            int(compared[person]),
            _accuracy(hits[person], weights[person], confidence),
            tuple(_accuracy(right[person], total[person], confidence) for right, total in by_label),
            against,
        )
        for person in np.flatnonzero(n_votes).tolist()
    )


def _hits(rows: Floats, labels: Ints) -> tuple[Floats, Floats]:
    """Return each comparison's hit, and its weight in comparisons with a certain label, both (n,)."""
    sharpness = (rows**2).sum(axis=1)
    chance = (1.0 - sharpness) / max(rows.shape[1] - 1, 1)  # the expected hit of somebody who is always wrong
    slope = sharpness - chance  # 1 for a certain label, 0 where nothing is known
    return slope * (rows[np.arange(len(labels)), labels] - chance), slope**2


def _shared(votes: Votes) -> NDArray[np.bool_]:
    return np.bincount(votes.tasks, minlength=votes.n_tasks)[votes.tasks] > 1


def _recall(people: Ints, given: NDArray[np.bool_], proba: Floats, n: int) -> tuple[Floats, Floats]:
    """Return, per person, the hits on one true label and their number: a regression on the label's probability."""
    other = 1.0 - proba
    own_squared, mixed, other_squared, right, wrong = (
        np.bincount(people, weights=weights, minlength=n)
        for weights in (proba**2, proba * other, other**2, proba * given, other * given)
    )
    slope = mixed / np.maximum(other_squared, _EPS)
    return right - slope * wrong, own_squared - slope * mixed


def _accuracy(hits: float, total: float, confidence: float) -> Interval:
    total = float(total) if total > _EPS else 0.0
    return wilson(min(max(float(hits), 0.0), total), total, confidence=confidence)
