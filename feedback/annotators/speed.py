"""How fast people work, on what their time goes, and whether hours or practice change how often they are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from feedback.errors import VotesError
from feedback.stats import Interval
from feedback.stats.intervals import mean, newcombe, wilson
from feedback.votes import Floats, Ints

Bools = NDArray[np.bool_]

_PAUSE_S = 30 * 60.0  # a longer gap between two answers is not work
_HOUR_S = 3600.0
_MEDIAN = 0.5


@dataclass(frozen=True, slots=True)
class AnnotatorSpeed:
    """How much one person does in the time that they work."""

    person: int  # code
    answers: int
    hours: float  # worked, without pauses
    per_hour: Interval  # answers; NaN where no time was seen, endless where too few were
    median_s: Interval  # of one answer; the whole range where there are too few


@dataclass(frozen=True, slots=True)
class AccuracyTrend:
    """Accuracy at first and later, and the difference; below 0 it got worse."""

    person: int
    steps: tuple[Interval, ...]  # per hour of a session, or per stretch of answers
    change: Interval  # all later steps minus the first; within [-1, 1]

    @property
    def worse(self) -> bool:
        """Whether accuracy surely falls."""
        return self.change.high < 0.0

    @property
    def better(self) -> bool:
        """Whether accuracy surely rises."""
        return self.change.low > 0.0


def measure_speed(people: Ints, at_s: Floats, lead_s: Floats, *, confidence: float = 0.95) -> tuple[AnnotatorSpeed, ...]:
    """Each person's pace; rows are answers, at the time they were given; `lead_s` is NaN where it was not measured.

    >>> at_s = np.array([0.0, 60.0, 120.0, 9000.0])
    >>> measure_speed(np.zeros(4, dtype=int), at_s, np.full(4, 60.0))[0].per_hour.value
    60.0
    """
    _same_length(people, at_s, lead_s)
    return tuple(_pace(int(one), at_s[people == one], lead_s[people == one], confidence) for one in np.unique(people))


def time_share_by_label(
    people: Ints, labels: Ints, lead_s: Floats, *, n_labels: int, confidence: float = 0.95
) -> Mapping[int, tuple[Interval, ...]]:
    """For each person, the share of their time that answers of each label took; the values of a person sum to 1.

    The interval is that of a ratio of sums, from its linearised rows, and never narrower than that of as many answers.

    >>> times = time_share_by_label(np.zeros(3, dtype=int), np.array([0, 1, 1]), np.array([5.0, 10.0, 5.0]), n_labels=2)
    >>> [share.value for share in times[0]]
    [0.25, 0.75]
    """
    _same_length(people, labels, lead_s)
    timed = np.isfinite(lead_s)
    shares: dict[int, tuple[Interval, ...]] = {}
    for one in np.unique(people[timed]):
        mine = timed & (people == one)
        shares[int(one)] = tuple(_share(lead_s[mine], labels[mine] == label, confidence) for label in range(n_labels))
    return shares


def accuracy_by_hour(
    people: Ints, at_s: Floats, right: Floats, *, worth: Floats | None = None, hours: int = 4, confidence: float = 0.95
) -> tuple[AccuracyTrend, ...]:
    """Accuracy by hour within a session (a pause of half an hour ends one); the last step is everything later.

    `right` is 1 or 0, NaN where nothing is known; with `worth` it is a hit of so much, as `hits_against_others` gives both.
    """
    return _trends(people, at_s, right, worth, _hour_of_session, hours, confidence)


def accuracy_by_practice(
    people: Ints,
    at_s: Floats,
    right: Floats,
    *,
    worth: Floats | None = None,
    stretch: int = 50,
    most: int = 10,
    confidence: float = 0.95,
) -> tuple[AccuracyTrend, ...]:
    """Accuracy by stretches of `stretch` answers in the order in which they were given; the last is everything later.

    `right` and `worth` are as for `accuracy_by_hour`.
    """
    if stretch < 1 or most < 1:
        raise VotesError(f"stretches of {stretch} answers, {most} of them: wanted at least one.")
    return _trends(people, at_s, right, worth, lambda at: np.arange(len(at)) // stretch, most, confidence)


def sessions(at_s: Floats) -> Ints:
    """The number of the session that each time belongs to; times are sorted."""
    return np.concatenate([[0], np.cumsum(np.diff(at_s) > _PAUSE_S)]) if len(at_s) else np.zeros(0, dtype=np.int64)


def _pace(person: int, at_s: Floats, lead_s: Floats, confidence: float) -> AnnotatorSpeed:
    order = np.argsort(at_s, kind="stable")
    at, lead = at_s[order], lead_s[order]
    gaps = np.diff(at)
    first = np.concatenate([[True], gaps > _PAUSE_S])
    timed = lead[np.isfinite(lead)]
    usual = float(np.median(timed)) if len(timed) else 0.0
    # the first answer of a session began before it was seen: by its own measure, else by the usual one
    began = np.minimum(np.where(np.isfinite(lead), lead, usual), _PAUSE_S)
    spent: Floats = np.where(first, began, np.concatenate([[0.0], gaps]))
    return AnnotatorSpeed(person, len(at), float(spent.sum()) / _HOUR_S, _per_hour(spent, confidence), _median(timed, confidence))


def _per_hour(spent_s: Floats, confidence: float) -> Interval:
    """Answers an hour, from the mean time of one: the mean's interval, turned over."""
    took = mean(spent_s, confidence=confidence)
    if not took.value > 0.0:
        return Interval(0.0, float("inf"), float("nan"), confidence)
    high = _HOUR_S / took.low if took.low > 0.0 else float("inf")
    return Interval(max(0.0, _HOUR_S / took.high), high, _HOUR_S / took.value, confidence)


def _share(spent_s: Floats, mine: Bools, confidence: float) -> Interval:
    total, n = float(spent_s.sum()), len(spent_s)
    if not total > 0.0:
        return Interval(0.0, 1.0, float("nan"), confidence)
    value = float(spent_s[mine].sum()) / total
    counted = wilson(value * n, n, confidence=confidence)
    rows = value + (mine - value) * spent_s * n / total
    own = mean(rows, confidence=confidence)
    low, high = (own.low, own.high) if n > 1 else (0.0, 1.0)
    return Interval(max(0.0, min(low, counted.low)), min(1.0, max(high, counted.high)), value, confidence)


def _median(values: Floats, confidence: float) -> Interval:
    """The median with the interval of order statistics: exact for any distribution."""
    n = len(values)
    if not n:
        return Interval(0.0, float("inf"), float("nan"), confidence)
    ranked = np.sort(values)
    tail = (1.0 - confidence) / 2.0
    below = int(np.searchsorted(_binomial_cdf(n), tail, side="right")) - 1  # answers that may lie below by chance
    if below < 0:
        return Interval(0.0, float("inf"), float(np.median(ranked)), confidence)
    return Interval(float(ranked[below]), float(ranked[n - 1 - below]), float(np.median(ranked)), confidence)


def _binomial_cdf(n: int) -> Floats:
    cdf: Floats = bdtr(np.arange(n // 2 + 1), n, _MEDIAN)
    return cdf


def _hour_of_session(at: Floats) -> Ints:
    session = sessions(at)
    first = np.concatenate([[True], np.diff(session) > 0])
    hour: Ints = ((at - at[first][session]) // _HOUR_S).astype(np.int64)
    return hour


def _trends(
    people: Ints,
    at_s: Floats,
    right: Floats,
    worth: Floats | None,
    step_of: Callable[[Floats], Ints],
    most: int,
    confidence: float,
) -> tuple[AccuracyTrend, ...]:
    known = np.isfinite(right)
    asked = known.astype(np.float64) if worth is None else np.where(known, worth, 0.0)
    _same_length(people, at_s, right, asked)
    found = []
    for one in np.unique(people):
        rows = np.flatnonzero(people == one)
        rows = rows[np.argsort(at_s[rows], kind="stable")]
        step = np.minimum(step_of(at_s[rows]), most - 1)
        n = np.bincount(step, weights=asked[rows])
        # a hit counts by how much it tells, and may be less than none where the others are surely of another mind
        hits = np.clip(np.bincount(step, weights=np.where(known, right, 0.0)[rows]), 0.0, n)
        steps = tuple(wilson(hit, of, confidence=confidence) for hit, of in zip(hits.tolist(), n.tolist(), strict=True))
        change = newcombe(
            float(hits[1:].sum()), float(n[1:].sum()), float(hits[:1].sum()), float(n[:1].sum()), confidence=confidence
        )
        found.append(AccuracyTrend(int(one), steps, change))
    return tuple(found)


def _same_length(*columns: Floats | Ints) -> None:
    if len({len(column) for column in columns}) > 1:
        raise VotesError(f"columns of {[len(column) for column in columns]} rows; wanted one row per answer in each.")
