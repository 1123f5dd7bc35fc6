"""How often each person is right: against gold, else against what the others on the task say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from feedback.consensus import Consensus, hierarchical
from feedback.errors import VotesError
from feedback.evidence import Interval
from feedback.evidence.intervals import wilson
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
    def biggest_slip(self) -> int | None:
        """The label on which this person is surely weaker than overall, the worst; None without one."""
        weak = [k for k, own in enumerate(self.by_label) if own.high < self.accuracy.low]
        return min(weak, key=lambda k: self.by_label[k].value) if weak else None


def against_gold(votes: Votes, known: Ints, *, confidence: float = 0.95) -> tuple[Reliability, ...]:
    """Each person against gold answers; `known` (n_tasks,) holds labels, -1 elsewhere.

    >>> found = against_gold(Votes([0, 1, 2], [0, 0, 0], [1, 1, 0]), np.array([1, 0, -1]))
    >>> str(found[0].accuracy), found[0].compared
    ('0.50 [0.09, 0.91]', 2)
    """
    if len(known) != votes.n_tasks:
        raise VotesError(f"known has {len(known)} rows, wanted {votes.n_tasks}: one per task, -1 where unknown.")
    truth = known[votes.tasks]
    judged = (truth >= 0) & (truth < votes.n_labels)
    expected = np.zeros((len(votes), votes.n_labels))
    expected[judged, truth[judged]] = 1.0
    return _records(votes, expected, judged, "gold", confidence)


def against_others(votes: Votes, *, fit: Consensus | None = None, confidence: float = 0.95) -> tuple[Reliability, ...]:
    """Each person against the consensus of the others on the same task: one's own vote never confirms itself.

    `fit` is a Dawid-Skene consensus of these votes (else a hierarchical one is fitted): taking one person's error
    rates out of a task's posterior leaves exactly what the others say.

    >>> votes = Votes(np.repeat(np.arange(40), 3), np.tile([0, 1, 2], 40), np.repeat(np.arange(40) % 2, 3))
    >>> [round(one.accuracy.value, 2) for one in against_others(votes)]
    [1.0, 1.0, 1.0]
    """
    fit = hierarchical(votes) if fit is None else fit
    if fit.errors is None:
        raise VotesError(f"{fit.method} learns no error rates; wanted a fit of dawid_skene or hierarchical.")
    given = np.bincount(votes.tasks, minlength=votes.n_tasks)
    judged = given[votes.tasks] > 1
    log = np.log(np.maximum(fit.proba[votes.tasks], _SMALLEST))
    log -= np.log(np.maximum(fit.errors[votes.people, :, votes.labels], _SMALLEST))
    others = np.exp(log - log.max(axis=1, keepdims=True))
    others /= others.sum(axis=1, keepdims=True)
    return _records(votes, others, judged, "others", confidence)


def advise_pause(record: Reliability, *, below: float, at_least: int = 15) -> str:
    """A sentence that advises to pause a person, or "": only when even the upper bound is below the threshold.

    >>> from feedback.evidence.intervals import wilson
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
    votes: Votes,
    expected: Floats,
    judged: NDArray[np.bool_],
    against: Against,
    confidence: float,
) -> tuple[Reliability, ...]:
    """Count, for each person, how much of the expected right answers (n, k) their votes hit."""
    n, k = votes.n_people, votes.n_labels
    who, said, weight = votes.people[judged], votes.labels[judged], expected[judged]
    given = np.bincount(votes.people, minlength=n)
    compared = np.bincount(who, minlength=n)
    hits = np.bincount(who * k + said, weights=weight[np.arange(len(said)), said], minlength=n * k).reshape(n, k)
    asked = np.stack([np.bincount(who, weights=weight[:, label], minlength=n) for label in range(k)], axis=1)
    return tuple(
        Reliability(
            person,
            int(given[person]),
            int(compared[person]),
            _share(hits[person].sum(), compared[person], confidence),
            tuple(_share(hits[person, label], asked[person, label], confidence) for label in range(k)),
            against,
        )
        for person in np.flatnonzero(given).tolist()
    )


def _share(hits: float, asked: float, confidence: float) -> Interval:
    # expected counts are fractions; rounding down the doubt of a fraction of a vote never flatters
    return wilson(min(float(hits), float(asked)), float(asked), confidence=confidence)


def order_by_doubt(records: Sequence[Reliability]) -> tuple[Reliability, ...]:
    """The records, those who most surely need help first: by upper bound, which is an interval's own order."""
    return tuple(sorted(records, key=lambda record: (record.accuracy.high, record.person)))
