"""How near each person's numbers or regions are to what the others on the task say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from feedback.stats import Interval
from feedback.stats.intervals import mean
from feedback.votes import Floats, Ints
from ml_backend.records import Answer


@dataclass(frozen=True, slots=True)
class Closeness:
    """One person's mean distance, in the unit of the answers; endless bounds below two compared answers."""

    person: int  # code
    votes: int
    compared: int
    distance: Interval


def numbers_apart(tasks: Ints, people: Ints, values: Floats, *, truth: Floats | None = None) -> tuple[Closeness, ...]:
    """Each person's mean distance from the median of the others on the task, or from `truth` (n_tasks,), NaN unknown.

    >>> tasks, people = np.repeat([0, 1, 2], 3), np.tile([0, 1, 2], 3)
    >>> found = numbers_apart(tasks, people, np.array([5.0, 5.0, 9.0, 2.0, 2.0, 6.0, 1.0, 1.0, 5.0]))
    >>> [one.distance.value for one in found]
    [2.0, 2.0, 4.0]
    """
    against = median_of_others(tasks, values) if truth is None else truth[tasks]
    return _records(people, np.abs(values - against))


def answers_apart(
    tasks: Ints,
    people: Ints,
    answers: Sequence[Answer],
    distance: Callable[[Answer, Answer], float],
    *,
    truth: Mapping[int, Answer] | None = None,
) -> tuple[Closeness, ...]:
    """Each person's mean distance from the others' answers to the same task, or from the `truth` of a task."""
    away = np.full(len(answers), np.nan)
    order = np.argsort(tasks, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(tasks[order])) + 1):
        for row in rows.tolist():
            others = [answers[other] for other in rows if other != row]
            if truth is not None:
                known = truth.get(int(tasks[row]))
                others = [] if known is None else [known]
            if others:
                away[row] = sum(distance(answers[row], other) for other in others) / len(others)
    return _records(people, away)


def median_of_others(tasks: Ints, values: Floats) -> Floats:
    """For each row, the median of the other rows of its task; NaN where it is alone."""
    order = np.lexsort((values, tasks))
    size = np.bincount(tasks)
    first = np.cumsum(size) - size
    place = np.empty(len(tasks), dtype=np.int64)
    place[order] = np.arange(len(tasks))
    own, start, others = place - first[tasks], first[tasks], size[tasks] - 1
    alone = others < 1
    middle = []
    for half in ((others - 1) // 2, others // 2):
        # without the own row, every later one moves up by one
        at = np.where(alone, 0, half + (half >= own))
        middle.append(values[order][start + at])
    return np.where(alone, np.nan, (middle[0] + middle[1]) / 2.0)


def _records(people: Ints, away: Floats) -> tuple[Closeness, ...]:
    order = np.argsort(people, kind="stable")
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(people[order])) + 1):
        if len(rows):
            told = away[rows][np.isfinite(away[rows])]
            found.append(Closeness(int(people[rows[0]]), len(rows), len(told), mean(told)))
    return tuple(found)
