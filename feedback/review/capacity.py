"""Capacity: how a queue fares over the next hours, when it will be late, and what would help."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from feedback.errors import VotesError

_HOUR_S = 3600.0
_MOST_PEOPLE = 500  # more are never advised: something else is wrong


@dataclass(frozen=True, slots=True)
class Forecast:
    """One queue, hour by hour; every tuple has one entry an hour, in the order of the hours given."""

    backlog: tuple[float, ...]  # cases that wait at the end of the hour
    wait_s: tuple[float, ...]  # what a case that arrives at the end of the hour has to wait
    busy: tuple[float, ...]  # share of the people's time that is taken, [0, 1]
    late_from: int | None  # the first hour in which the wait is longer than the target; None: never
    served: float  # cases that are looked at over all hours


@dataclass(frozen=True, slots=True)
class Advice:
    """What would bring a late queue back into its target, the cheaper way first."""

    people: int | None  # more people in every hour that has any; None: no number would do
    share: float | None  # the highest share of second looks that fits; None: not even none would do


def forecast(
    arrivals: Sequence[float],
    people: Sequence[float],
    handling_s: float,
    *,
    waiting: float = 0.0,
    target_s: float = math.inf,
) -> Forecast:
    """Run a queue through the hours: cases arrive, people take `handling_s` for each, the rest waits.

    `arrivals` and `people` give an hour each, `waiting` what is there now. A case waits for those before it (a fluid
    queue) and, where people are nearly busy, for chance (Erlang C, M/M/c); an hour without people serves nobody.

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
    backlog, waits, loads, ends, served = waiting, list[float](), list[float](), list[float](), 0.0
    late_from: int | None = None
    for hour, (come, staff) in enumerate(zip(arrivals, people, strict=True)):
        able = staff * _HOUR_S / handling_s
        done = min(backlog + come, able)
        backlog += come - done
        served += done
        busy = done / able if able else float(backlog > 0)
        chance_s = _chance_s(come, staff, handling_s, (hour + 1) * _HOUR_S)
        wait_s = _wait_s(hour, backlog, people, handling_s) + chance_s
        ends.append(backlog)
        waits.append(wait_s)
        loads.append(busy)
        if late_from is None and backlog + come > 0 and wait_s > target_s:
            late_from = hour
    return Forecast(tuple(ends), tuple(waits), tuple(loads), late_from, served)


def advise(
    arrivals: Sequence[float],
    reviews: Sequence[float],
    people: Sequence[float],
    handling_s: float,
    *,
    share: float,
    waiting: float = 0.0,
    target_s: float,
) -> Advice:
    """What would keep a queue within its target: more people, or fewer second looks.

    `arrivals` come whatever we do; `reviews` is what a share of 1 would add to each hour, of which `share` is drawn now.

    >>> advise([10] * 8, [40] * 8, [1] * 8, 300.0, share=0.1, target_s=3600)
    Advice(people=1, share=0.053)
    """

    def late(more: int, drawn: float) -> bool:
        come = [one + drawn * review for one, review in zip(arrivals, reviews, strict=True)]
        staff = [one + more if one else 0.0 for one in people]
        return forecast(come, staff, handling_s, waiting=waiting, target_s=target_s).late_from is not None

    if not late(0, share):
        return Advice(0, share)
    found = None if late(_MOST_PEOPLE, share) else _first(lambda more: not late(more, share), _MOST_PEOPLE)
    if late(0, 0.0):
        return Advice(found, None)
    low, high = 0.0, share
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if late(0, middle) else (middle, high)
    return Advice(found, round(low, 3))


def erlang_c(offered: float, servers: int) -> float:
    """The probability that somebody has to wait at all: Erlang's C formula, [0, 1]; 1 where servers cannot keep up.

    `offered` is arrivals times handling, in servers' worth of work.

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


def _chance_s(come: float, staff: float, handling_s: float, passed_s: float) -> float:
    """The mean wait that chance makes beside the backlog.

    Erlang's steady state, but no more than chance can have piled up in the time that has passed: a queue at its limit
    drifts as a random walk that cannot go below nothing (heavy traffic), sqrt(4 h t / (pi c)).
    """
    servers, offered = math.floor(staff), come * handling_s / _HOUR_S
    if servers < 1 or come <= 0:
        return 0.0
    most_s = math.sqrt(4.0 * handling_s * passed_s / (math.pi * servers))
    if offered >= servers:
        return most_s
    return min(most_s, erlang_c(offered, servers) * handling_s / (servers - offered))


def _wait_s(hour: int, backlog: float, people: Sequence[float], handling_s: float) -> float:
    """How long the hours after this one take to work off a backlog."""
    if backlog <= 0:
        return 0.0
    left, waited = backlog * handling_s, 0.0
    for staff in (*people[hour + 1 :], *people):  # the day after is as this one
        if staff * _HOUR_S >= left:
            return waited + left / staff
        left -= staff * _HOUR_S
        waited += _HOUR_S
    return math.inf if not any(people) else waited + left / max(people)


def _first(holds: Callable[[int], bool], most: int) -> int:
    """The smallest number from 1 that holds; halving, since more of it never hurts."""
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
