"""Capacity: a forecast of a review queue over the next hours, when it becomes late, and what would help."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from feedback.errors import VotesError

_HOUR_S = 3600.0
_MAX_PEOPLE = 500  # more are never advised


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast of one queue. Every tuple has one entry per hour, in the order of the given hours."""

    wait_s: tuple[float, ...]  # wait of a case that arrives at the end of the hour
    busy: tuple[float, ...]  # share of the people's time that is used, [0, 1]
    late_from: int | None  # the first hour whose wait is longer than the target; None if there is none


@dataclass(frozen=True, slots=True)
class Advice:
    """What would bring a late queue back to its target."""

    people: int | None  # additional people in every hour that has any; None if no number is enough
    share: float | None  # the highest share of second looks that fits; None if a share of 0 is too high


def forecast(
    arrivals: Sequence[float],
    people: Sequence[float],
    handling_s: float,
    *,
    waiting: float = 0.0,
    target_s: float = math.inf,
) -> Forecast:
    """Forecast a queue: cases arrive, each takes one person `handling_s`, and the rest waits.

    A case waits for those before it (a fluid queue) and, where people are nearly busy, for random arrivals
    (Erlang C, M/M/c). An hour without people serves nobody.

    `arrivals` and `people` are the cases that arrive and the people at work in each hour, `waiting` the cases that wait
    now. Raises VotesError if the two differ in length, or `handling_s` is not positive.

    >>> quiet = forecast([6, 6, 6], [1, 1, 1], 300.0, target_s=3600)
    >>> quiet.late_from, [round(share, 2) for share in quiet.busy]
    (None, [0.5, 0.5, 0.5])
    >>> forecast([6, 30, 30], [1, 1, 1], 300.0, target_s=3600).late_from
    1
    """
    if len(arrivals) != len(people):
        raise VotesError(f"{len(arrivals)} hours of arrivals and {len(people)} of people; wanted as many of each.")
    if handling_s <= 0:
        raise VotesError(f"handling takes {handling_s} s; wanted more than none.")
    backlog, waits, loads = waiting, list[float](), list[float]()
    late_from: int | None = None
    for hour, (arriving, staff) in enumerate(zip(arrivals, people, strict=True)):
        capacity = staff * _HOUR_S / handling_s
        done = min(backlog + arriving, capacity)
        backlog += arriving - done
        busy = done / capacity if capacity else float(backlog > 0)
        chance_s = _random_wait_s(arriving, staff, handling_s, (hour + 1) * _HOUR_S)
        wait_s = _wait_s(hour, backlog, people, handling_s) + chance_s
        waits.append(wait_s)
        loads.append(busy)
        if late_from is None and backlog + arriving > 0 and wait_s > target_s:
            late_from = hour
    return Forecast(tuple(waits), tuple(loads), late_from)


def advise(
    arrivals: Sequence[float],
    second_looks: Sequence[float],
    people: Sequence[float],
    handling_s: float,
    *,
    share: float,
    waiting: float = 0.0,
    target_s: float,
) -> Advice:
    """Return what would keep a queue within its target: more people, or fewer second looks.

    `arrivals` are the cases of each hour without second looks, `second_looks` those that a second-look share of 1 would
    add; the present share is `share`.

    >>> advise([10] * 8, [40] * 8, [1] * 8, 300.0, share=0.1, target_s=3600)
    Advice(people=1, share=0.053)
    """

    def is_late(additional: int, drawn: float) -> bool:
        all_arrivals = [cases + drawn * second for cases, second in zip(arrivals, second_looks, strict=True)]
        staff = [count + additional if count else 0.0 for count in people]
        return forecast(all_arrivals, staff, handling_s, waiting=waiting, target_s=target_s).late_from is not None

    if not is_late(0, share):
        return Advice(0, share)
    tried = range(1, _MAX_PEOPLE + 1)  # if some number is enough, every larger one is
    enough = bisect_left(tried, True, key=lambda additional: not is_late(additional, share))
    needed = tried[enough] if enough < len(tried) else None
    if is_late(0, 0.0):
        return Advice(needed, None)
    low, high = 0.0, share
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if is_late(0, middle) else (middle, high)
    return Advice(needed, round(low, 3))


def erlang_c(offered: float, servers: int) -> float:
    """Return the probability that an arrival has to wait, by Erlang's C formula, [0, 1]; 1 if servers cannot keep up.

    `offered` is the load: the arrival rate times the handling time.

    >>> round(erlang_c(8.0, 10), 4)
    0.4092
    """
    if servers <= 0 or offered >= servers:
        return 1.0
    if offered <= 0:
        return 0.0
    blocked = 1.0  # Erlang B by recursion: its factorials would overflow
    for count in range(1, servers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    load = offered / servers
    return blocked / (1.0 - load + load * blocked)


def _random_wait_s(arriving: float, staff: float, handling_s: float, passed_s: float) -> float:
    """Return the mean wait that random arrivals cause in addition to the backlog.

    It is Erlang's steady state, bounded by what can have accumulated in the time passed: a queue at its limit is a
    random walk reflected at 0 (heavy traffic), whose mean is sqrt(4 h t / (pi c)).
    """
    servers, offered = math.floor(staff), arriving * handling_s / _HOUR_S
    if servers < 1 or arriving <= 0:
        return 0.0
    limit_s = math.sqrt(4.0 * handling_s * passed_s / (math.pi * servers))
    if offered >= servers:
        return limit_s
    return min(limit_s, erlang_c(offered, servers) * handling_s / (servers - offered))


def _wait_s(hour: int, backlog: float, people: Sequence[float], handling_s: float) -> float:
    """Return how long the hours after this one take to work off a backlog."""
    if backlog <= 0:
        return 0.0
    left, waited = backlog * handling_s, 0.0
    for staff in (*people[hour + 1 :], *people):  # the next day is assumed to be equal
        if staff * _HOUR_S >= left:
            return waited + left / staff
        left -= staff * _HOUR_S
        waited += _HOUR_S
    return math.inf if not any(people) else waited + left / max(people)
