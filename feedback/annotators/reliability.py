"""How often each person is right: against gold, else against what the others on the task say together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from feedback.consensus import Consensus, hierarchical_dawid_skene
from feedback.errors import VotesError
from feedback.stats import Interval
from feedback.stats.intervals import wilson
from feedback.votes import Floats, Ints, Votes

_SMALLEST = 1e-10
Against = Literal["gold", "others"]


@dataclass(frozen=True, slots=True)
class Reliability:
    """One person's record; the interval is the whole of [0, 1] where nothing could be compared."""

    person: int  # code
    votes: int
    compared: int  # votes that had something to be compared with
    accuracy: Interval
    by_label: tuple[Interval, ...]  # accuracy where this label is the right one
    against: Against

    @property
    def weakest_label(self) -> int | None:
        """The label on which this person is surely weaker than overall, the worst; None without one."""
        weak = [k for k, own in enumerate(self.by_label) if own.high < self.accuracy.low]
        return min(weak, key=lambda k: self.by_label[k].value) if weak else None


def against_gold(votes: Votes, known: Ints, *, confidence: float = 0.95) -> tuple[Reliability, ...]:
    """Each person against gold answers; `known` (n_tasks,) holds labels, -1 elsewhere.

    A code beyond all labels is an answer that nobody gave: whoever answered that task was wrong.

    >>> found = against_gold(Votes([0, 1, 2], [0, 0, 0], [1, 1, 0]), np.array([1, 0, -1]))
    >>> str(found[0].accuracy), found[0].compared
    ('0.50 [0.09, 0.91]', 2)
    """
    if len(known) != votes.n_tasks:
        raise VotesError(f"known has {len(known)} rows, wanted {votes.n_tasks}: one per task, -1 where unknown.")
    truth = known[votes.tasks]
    judged = truth >= 0
    expected = np.zeros((len(votes), votes.n_labels + 1))  # the last column is any label that nobody gave
    expected[judged, np.minimum(truth[judged], votes.n_labels)] = 1.0
    return _records(votes, expected, judged, "gold", confidence)


def against_others(votes: Votes, *, fit: Consensus | None = None, confidence: float = 0.95) -> tuple[Reliability, ...]:
    """Each person against the consensus of the others on the same task: one's own vote never confirms itself.

    `fit` is a Dawid-Skene consensus of these votes (else a hierarchical one is fitted): taking one person's error
    rates out of a task's posterior leaves exactly what the others say.

    >>> votes = Votes(np.repeat(np.arange(40), 3), np.tile([0, 1, 2], 40), np.repeat(np.arange(40) % 2, 3))
    >>> [round(one.accuracy.value, 2) for one in against_others(votes)]
    [1.0, 1.0, 1.0]
    """
    return _records(votes, label_probabilities_by_others(votes, fit=fit), _shared(votes), "others", confidence)


def label_probabilities_by_others(votes: Votes, *, fit: Consensus | None = None) -> Floats:
    """For each vote, how likely each label is by the others' votes on its task, (n, k); who is alone: no meaning."""
    fit = hierarchical_dawid_skene(votes) if fit is None else fit
    if fit.errors is None:
        raise VotesError(f"{fit.method} learns no error rates; wanted a fit of dawid_skene or hierarchical.")
    log = np.log(np.maximum(fit.proba[votes.tasks], _SMALLEST))
    log -= np.log(np.maximum(fit.errors[votes.people, :, votes.labels], _SMALLEST))
    others = np.exp(log - log.max(axis=1, keepdims=True))
    rows: Floats = others / others.sum(axis=1, keepdims=True)
    return rows


def hits_against_others(votes: Votes, *, fit: Consensus | None = None) -> tuple[Floats, Floats]:
    """For each vote, how much of a hit it is and how much it tells, both (n,): sums of hits over sums of worth.

    Their ratio over any votes of a person is their accuracy on these; nothing is told where nobody else voted.
    """
    hits, worth = _hits(label_probabilities_by_others(votes, fit=fit), votes.labels)
    shared = _shared(votes)
    return np.where(shared, hits, 0.0), np.where(shared, worth, 0.0)


def advise_pause(record: Reliability, *, below: float, at_least: int = 15) -> str:
    """A sentence that advises to pause a person, or "": only when even the upper bound is below the threshold.

    >>> from feedback.stats.intervals import wilson
    >>> careless = Reliability(3, 40, 40, wilson(20, 40), (), "gold")
    >>> advise_pause(careless, below=0.8)
    'right on 0.50 [0.35, 0.65] of 40 gold answers: surely below 0.8'
    >>> advise_pause(careless, below=0.6)
    ''
    """
    if record.compared < at_least or not record.accuracy.high < below:
        return ""
    what = "gold answers" if record.against == "gold" else "tasks that others answered too"
    return f"right on {record.accuracy} of {record.compared} {what}: surely below {below:g}"


def _records(
    votes: Votes, expected: Floats, judged: NDArray[np.bool_], against: Against, confidence: float
) -> tuple[Reliability, ...]:
    """Compare votes with what is expected of their tasks, rows (n, k) of probabilities.

    Where the expected answer is uncertain, a person who is always right would still seem to miss it sometimes. The
    comparison undoes that: it is a regression on the probabilities, and counts hits where they are 0 and 1.
    """
    n, k = votes.n_people, votes.n_labels
    who, said, rows = votes.people[judged], votes.labels[judged], expected[judged]
    given, compared = np.bincount(votes.people, minlength=n), np.bincount(who, minlength=n)
    each = _hits(rows, said)
    hits, worth = (np.bincount(who, weights=one, minlength=n) for one in each)
    labels = [_recall(who, said == label, rows[:, label], n) for label in range(k)]
    return tuple(
        Reliability(
            person,
            int(given[person]),
            int(compared[person]),
            _share(hits[person], worth[person], confidence),
            tuple(_share(right[person], asked[person], confidence) for right, asked in labels),
            against,
        )
        for person in np.flatnonzero(given).tolist()
    )


def _hits(rows: Floats, said: Ints) -> tuple[Floats, Floats]:
    """Each comparison's hit, and its worth in certain comparisons with the same information."""
    sharp = (rows**2).sum(axis=1)
    chance = (1.0 - sharp) / max(rows.shape[1] - 1, 1)  # what someone who is always wrong would hit
    told = sharp - chance  # 1 where the answer is certain, 0 where nothing is known
    return told * (rows[np.arange(len(said)), said] - chance), told**2


def _shared(votes: Votes) -> NDArray[np.bool_]:
    return np.bincount(votes.tasks, minlength=votes.n_tasks)[votes.tasks] > 1


def _recall(who: Ints, hit: NDArray[np.bool_], likely: Floats, n: int) -> tuple[Floats, Floats]:
    """Per person, hits of one label where it is right, and of how many: a regression on how likely it is right."""
    other = 1.0 - likely
    asked, mixed, rest, right, wrong = (
        np.bincount(who, weights=weights, minlength=n)
        for weights in (likely**2, likely * other, other**2, likely * hit, other * hit)
    )
    slope = mixed / np.maximum(rest, _SMALLEST)
    return right - slope * wrong, asked - slope * mixed


def _share(hits: float, asked: float, confidence: float) -> Interval:
    asked = float(asked) if asked > _SMALLEST else 0.0
    return wilson(min(max(float(hits), 0.0), asked), asked, confidence=confidence)
