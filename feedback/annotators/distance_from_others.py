"""The mean distance of each person's numbers or regions from the answers of other people, or from gold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from feedback.stats.intervals import Interval, mean
from feedback.votes import Floats, Ints
from ml_backend.records import Answer


@dataclass(frozen=True, slots=True)
class AnnotatorDistance:
    """The mean distance of one person; infinite bounds with fewer than two compared answers."""

    person: int  # code
    votes: int
    compared: int  # votes with something to compare with
    distance: Interval  # Student's, in the unit of the numbers or in [0, 1] for regions


def distances_of_numbers(
    tasks: Ints, people: Ints, values: Floats, *, truth: Floats | None = None
) -> tuple[AnnotatorDistance, ...]:
    """Measure each person's mean distance from the median of the other people on the task, or from the truth.

    `tasks`, `people` and `values` have one row per answer, `truth` (n_tasks,) is NaN where unknown.

    >>> tasks, people = np.repeat([0, 1, 2], 3), np.tile([0, 1, 2], 3)
    >>> values = np.array([5.0, 5.0, 9.0, 2.0, 2.0, 6.0, 1.0, 1.0, 5.0])
    >>> [record.distance.value for record in distances_of_numbers(tasks, people, values)]
    [2.0, 2.0, 4.0]
    """
    reference = median_of_others(tasks, values) if truth is None else truth[tasks]
    return _by_person(people, np.abs(values - reference))


def distances_of_answers(
    tasks: Ints,
    people: Ints,
    answers: Sequence[Answer],
    distance: Callable[[Answer, Answer], float],
    *,
    truth: Mapping[int, Answer] | None = None,
) -> tuple[AnnotatorDistance, ...]:
    """Measure each person's mean distance from the other answers to the same task, or from the truth by task code."""
    distances = np.full(len(answers), np.nan)
    order = np.argsort(tasks, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(tasks[order])) + 1):
        for row in rows.tolist():
            references = [answers[other] for other in rows if other != row]
            if truth is not None:
                known = truth.get(int(tasks[row]))
                references = [] if known is None else [known]
            if references:
                distances[row] = sum(distance(answers[row], other) for other in references) / len(references)
    return _by_person(people, distances)


def median_of_others(tasks: Ints, values: Floats) -> Floats:
    """Return, for each row, the median of the other rows of its task, (n,); NaN for a single row."""
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


def _by_person(people: Ints, distances: Floats) -> tuple[AnnotatorDistance, ...]:
    order = np.argsort(people, kind="stable")
    records = []
    for rows in np.split(order, np.flatnonzero(np.diff(people[order])) + 1):
        if len(rows):
            own = distances[rows][np.isfinite(distances[rows])]
            records.append(AnnotatorDistance(int(people[rows[0]]), len(rows), len(own), mean(own)))
    return tuple(records)
