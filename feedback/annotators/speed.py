"""The speed of each person, the time by label, and the accuracy by hour of a session and by practice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import bdtr

from feedback.stats.intervals import Bools, Interval, mean, newcombe, wilson
from feedback.votes import Floats, Ints

_TAIL = (1.0 - 0.95) / 2.0  # beyond each bound of a 95 % interval
_PAUSE_S = 30 * 60.0  # a longer gap between two answers ends a session
_HOUR_S = 3600.0
_MAX_HOURS = 4  # the last step of a trend is everything later
_MAX_LABELS = 50  # of a person that are measured: those that took most time
_ANSWERS_PER_STEP, _MAX_STEPS = 50, 10  # of practice


@dataclass(frozen=True, slots=True)
class AnnotatorSpeed:
    """The speed of one person, without pauses."""

    answers: int
    hours: float  # of work, without pauses
    per_hour: Interval  # answers per hour; NaN without a measured time, infinite bounds with too few
    median_s: Interval  # seconds of one answer; the whole range with too few


@dataclass(frozen=True, slots=True)
class AccuracyTrend:
    """Accuracy in the first step and later; a change below 0 means that it fell."""

    steps: tuple[Interval, ...]  # one per hour of a session, or per 50 answers
    change: Interval  # all later steps together minus the first, in [-1, 1]


def measure_speed(people: Ints, at_s: Floats, lead_time_s: Floats) -> dict[int, AnnotatorSpeed]:
    """Measure each person's speed from the time of each answer and the seconds that it took, NaN where not measured.

    Figures of this module are by person, from columns with one row per answer.

    >>> at_s = np.array([0.0, 60.0, 120.0, 9000.0])
    >>> measure_speed(np.zeros(4, dtype=int), at_s, np.full(4, 60.0))[0].per_hour.value
    60.0
    """
    return {
        person: _speed(at_s[people == person], lead_time_s[people == person]) for person in np.unique(people).tolist()
    }


def time_share_by_label(
    people: Ints, labels: Ints, lead_time_s: Floats, *, n_labels: int
) -> dict[int, tuple[Interval, ...]]:
    """Measure the share of each person's time that answers of each label took; the values of a person sum to 1.

    The interval is that of a ratio of sums, from its linearised rows, and never narrower than Wilson's for as many
    answers. Of more than 50 labels, those that took most of the person's time have a share, the others [0, 1].

    >>> people, labels, lead_time_s = np.zeros(3, dtype=int), np.array([0, 1, 1]), np.array([5.0, 10.0, 5.0])
    >>> [share.value for share in time_share_by_label(people, labels, lead_time_s, n_labels=2)[0]]
    [0.25, 0.75]
    """
    timed = np.isfinite(lead_time_s)
    shares, unknown = {}, Interval(0.0, 1.0, float("nan"))
    for person in np.unique(people[timed]).tolist():
        own = timed & (people == person)
        spent = np.bincount(labels[own], lead_time_s[own], minlength=n_labels)
        longest = set(np.argsort(-spent, kind="stable")[:_MAX_LABELS].tolist())
        shares[person] = tuple(
            _time_share(lead_time_s[own], labels[own] == label) if label in longest else unknown
            for label in range(n_labels)
        )
    return shares


def accuracy_trends(
    people: Ints, at_s: Floats, hits: Floats, *, by: Literal["hour", "practice"], weights: Floats | None = None
) -> dict[int, AccuracyTrend]:
    """Measure each person's accuracy by hour within a session, or by fifty answers in the order of their times.

    A pause of half an hour ends a session. The last step, the fourth hour or the tenth fifty, is everything later.

    Parameters
    ----------
    hits
        1 for right, 0 for wrong, NaN for unknown.
    weights
        The weight of each hit; `hits_against_others` returns both.
    """
    judged = np.isfinite(hits)
    weight = judged.astype(np.float64) if weights is None else np.where(judged, weights, 0.0)
    trends = {}
    for person in np.unique(people).tolist():
        rows = np.flatnonzero(people == person)
        rows = rows[np.argsort(at_s[rows], kind="stable")]
        if by == "hour":
            step = np.minimum(_hour_of_session(at_s[rows]), _MAX_HOURS - 1)
        else:
            step = np.minimum(np.arange(len(rows)) // _ANSWERS_PER_STEP, _MAX_STEPS - 1)
        n = np.bincount(step, weights=weight[rows])
        # a weighted hit is below 0 where the other people agree on another label
        k = np.clip(np.bincount(step, weights=np.where(judged, hits, 0.0)[rows]), 0.0, n)
        steps = tuple(wilson(right, of) for right, of in zip(k.tolist(), n.tolist(), strict=True))
        change = newcombe(float(k[1:].sum()), float(n[1:].sum()), float(k[:1].sum()), float(n[:1].sum()))
        trends[person] = AccuracyTrend(steps, change)
    return trends


def _speed(at_s: Floats, lead_time_s: Floats) -> AnnotatorSpeed:
    order = np.argsort(at_s, kind="stable")
    at, lead = at_s[order], lead_time_s[order]
    gaps = np.diff(at)
    first = np.concatenate([[True], gaps > _PAUSE_S])
    timed = lead[np.isfinite(lead)]
    median_s = float(np.median(timed)) if len(timed) else 0.0
    # the first answer of a session began before its time: by its own lead time, else by the median one
    began = np.minimum(np.where(np.isfinite(lead), lead, median_s), _PAUSE_S)
    spent: Floats = np.where(first, began, np.concatenate([[0.0], gaps]))
    return AnnotatorSpeed(len(at), float(spent.sum()) / _HOUR_S, _per_hour(spent), _median(timed))


def _per_hour(spent_s: Floats) -> Interval:
    """Return answers per hour, from the interval of the mean seconds of one answer."""
    took = mean(spent_s)
    if not took.value > 0.0:
        return Interval(0.0, float("inf"), float("nan"))
    high = _HOUR_S / took.low if took.low > 0.0 else float("inf")
    return Interval(max(0.0, _HOUR_S / took.high), high, _HOUR_S / took.value)


def _time_share(spent_s: Floats, own: Bools) -> Interval:
    total, n = float(spent_s.sum()), len(spent_s)
    if not total > 0.0:
        return Interval(0.0, 1.0, float("nan"))
    value = float(spent_s[own].sum()) / total
    counted = wilson(value * n, n)
    rows = value + (own - value) * spent_s * n / total
    linearised = mean(rows)
    low, high = (linearised.low, linearised.high) if n > 1 else (0.0, 1.0)
    return Interval(max(0.0, min(low, counted.low)), min(1.0, max(high, counted.high)), value)


def _median(values: Floats) -> Interval:
    """Return the median with the interval of order statistics, which is exact for any distribution."""
    n = len(values)
    if not n:
        return Interval(0.0, float("inf"), float("nan"))
    ranked, median = np.sort(values), float(np.median(values))
    binomial_cdf = bdtr(np.arange(n // 2 + 1), n, 0.5)
    below = int(np.searchsorted(binomial_cdf, _TAIL, side="right")) - 1  # rank of the lower bound
    if below < 0:
        return Interval(0.0, float("inf"), median)
    return Interval(float(ranked[below]), float(ranked[n - 1 - below]), median)


def _hour_of_session(at: Floats) -> Ints:
    """Return the hour of its session that each time lies in; times are sorted, at least one."""
    first = np.concatenate([[True], np.diff(at) > _PAUSE_S])
    session = np.cumsum(first) - 1
    hour: Ints = ((at - at[first][session]) // _HOUR_S).astype(np.int64)
    return hour
