"""Aggregation of numbers and regions by distance: the medoid, and people weighed by how near they are to the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np

from feedback.consensus.consensus import AggregatedLabel, AggregatedLabels
from feedback.consensus.region_fusion import FUSED_KINDS, answer_weights, fuse_regions
from feedback.errors import VotesError
from feedback.votes import EncodedVotes, Floats
from ml_backend.codecs import answer_distance, get_codec
from ml_backend.errors import UnknownName
from ml_backend.left_out import contained
from ml_backend.records import Answer

_MIN_PEOPLE = 3  # with two people who differ, one cannot see who is wrong
_MIN_ANSWERS = 5  # per person on shared tasks; with fewer, all people have the same weight
_ROUNDS = 5  # of computing weights from distances to the weighted others; they hardly change after
_PRIOR_ANSWERS = 2.0  # each person starts with this many answers at the mean distance of all people
_MAX_WEIGHT = 10.0  # largest and, as 1 / 10, smallest weight of a person
_MIN_DISTANCE = 0.05  # people nearer than this have equal weights, so that none of them decides alone
_CACHE_SIZE = 200_000  # distances: a turn must not compute again what the last turn did
_EQUAL = 1e-9  # sums of the same distances in another order differ by rounding
_DIGITS = 9
_GOLD = -1  # the "person" who gave the gold answers


@dataclass(frozen=True, slots=True)
class Medoid:
    """One of the given answers, and how near the other answers are to it."""

    answer: Answer
    support: float  # 1 - weighted mean distance of the other answers, in [0, 1]; 1 for a single answer


def medoid(
    answers: Sequence[Answer], distance: Callable[[Answer, Answer], float], *, weights: Sequence[float] | None = None
) -> Medoid:
    """Return the answer with the smallest weighted distance to all; of equal ones the first by key, in any order.

    `distance` is symmetric and in [0, 1]; every codec has one. `weights` (n,) are 0 or more, for example the accuracy
    of each person; 1 by default. VotesError where there are no answers, or the weights have another length or are all
    0.

    >>> from ml_backend.codecs import get_codec
    >>> answers = [Answer("rating", stars) for stars in (1, 4, 5)]
    >>> medoid(answers, get_codec("rating").distance).answer.value
    4
    """
    if not answers:
        raise VotesError("a consensus needs at least one answer.")
    weight = answer_weights(weights, len(answers))
    table = np.zeros((len(answers), len(answers)))
    for i, answer in enumerate(answers):
        for j in range(i + 1, len(answers)):
            table[i, j] = table[j, i] = distance(answer, answers[j])
    total = table @ weight
    nearest = np.flatnonzero(total <= total.min() + _EQUAL).tolist()
    best = min(nearest, key=lambda row: answers[row].key)
    other_weight = float(weight.sum() - weight[best])
    support = 1.0 - float(total[best]) / other_weight if other_weight > 0 else 1.0
    return Medoid(answers[best], round(support, _DIGITS))


def aggregate_by_distance(encoded: EncodedVotes, gold: Mapping[int, Answer]) -> AggregatedLabels:
    """Aggregate numbers or regions; people near to the others and to gold have larger weights.

    Numbers: the weighted median of the answers. Spans and boxes: fused, where half of the weight decides which region
    exists and where it ends. Any other type: the answer nearest to all. Confidence is 1 - weighted mean distance of the
    answers from it.

    Each person's weight is the inverse square of their mean distance from the weighted answers of the others, in five
    rounds that start from equal weights.
    """
    answers: list[Answer] = list(encoded.labels)  # type: ignore[arg-type]
    kind = answers[0].kind
    try:
        get_codec(kind)
    except UnknownName as error:
        return AggregatedLabels(reason=str(error))
    by_task: dict[int, list[tuple[int, Answer]]] = {}
    votes = encoded.votes
    for task, person, label in zip(votes.tasks.tolist(), votes.people.tolist(), votes.labels.tolist(), strict=True):
        by_task.setdefault(encoded.tasks[task], []).append((person, answers[label]))
    distances = _mean_distances(by_task, gold, votes.n_people)
    weights = None if distances is None else _weights(distances)
    labels = dict[int, AggregatedLabel]()
    for task, given in by_task.items():
        if task not in gold and (len(given) > 1 or distances is not None):  # else the single answer stays as it is
            with contained("weigh the answers", f"task {task}"):
                labels[task] = _aggregate_task(kind, given, weights, distances)
    method = "fusion" if kind in FUSED_KINDS else "median" if kind == "number" else "medoid"
    equal = "all alike: too little is known of people"
    reason = "by how near people are to the others" if distances is not None else equal
    tasks = np.array(sorted(labels), dtype=np.int64)
    each = tuple(labels[task] for task in tasks.tolist())
    return AggregatedLabels(method, reason, labels=each, tasks=tasks, places=np.arange(len(tasks)))


def _mean_distances(
    by_task: Mapping[int, Sequence[tuple[int, Answer]]], gold: Mapping[int, Answer], n_people: int
) -> Floats | None:
    """Return each person's mean distance from gold and the weighted others, (n_people,); None with too few answers."""
    rows: list[tuple[int, list[tuple[int, float]]]] = []  # a person, and the distance from each other person
    for task, given in by_task.items():
        if task in gold:
            rows += [(person, [(_GOLD, _distance(answer, gold[task]))]) for person, answer in given]
        elif len(given) > 1:
            rows += [
                (person, [(other, _distance(answer, theirs)) for other, theirs in given if other != person])
                for person, answer in given
            ]
    compared = np.bincount([person for person, _ in rows], minlength=n_people) if rows else np.zeros(n_people)
    people = np.flatnonzero(compared)
    n_gold = sum(task in gold for task in by_task)
    too_few_answers = not len(people) or compared.sum() < _MIN_ANSWERS * len(people)
    if too_few_answers or (len(people) < _MIN_PEOPLE and n_gold < _MIN_ANSWERS):
        return None
    weights = np.ones(n_people + 1)  # the last, at index _GOLD, is that of gold
    distances = np.ones(n_people)
    for _ in range(_ROUNDS):
        total = np.zeros(n_people)
        for person, others in rows:
            heavy = [weights[other] for other, _ in others]
            total[person] += sum(w * distance for w, (_, distance) in zip(heavy, others, strict=True)) / sum(heavy)
        mean = total.sum() / compared.sum()
        distances = (total + _PRIOR_ANSWERS * mean) / (compared + _PRIOR_ANSWERS)
        weights[:n_people], weights[n_people] = _weights(distances), _MAX_WEIGHT
    return distances


def _weights(distances: Floats) -> Floats:
    """Return the weight of each person, (n_people,): relative to the median person, in [0.1, 10]."""
    bounded = np.maximum(distances, _MIN_DISTANCE)
    weights: Floats = np.clip((np.median(bounded) / bounded) ** 2, 1.0 / _MAX_WEIGHT, _MAX_WEIGHT)
    return weights


def _aggregate_task(
    kind: str, given: Sequence[tuple[int, Answer]], weights: Floats | None, distances: Floats | None
) -> AggregatedLabel:
    answers = [answer for _, answer in given]
    if len(given) == 1:
        confidence = 1.0 - float(distances[given[0][0]]) if distances is not None else 1.0
        return AggregatedLabel(answers[0], round(max(confidence, 0.01), 4), _training_weight(confidence))
    own = [1.0 if weights is None else float(weights[person]) for person, _ in given]
    label = _weighted_answer(kind, answers, own)
    distance = sum(w * _distance(label, answer) for w, answer in zip(own, answers, strict=True)) / sum(own)
    return AggregatedLabel(label, round(max(1.0 - distance, 0.01), 4), _training_weight(1.0 - distance))


def _weighted_answer(kind: str, answers: Sequence[Answer], weights: Sequence[float]) -> Answer:
    if kind == "number":
        values = np.array([cast("float", answer.value) for answer in answers])
        order = np.argsort(values, kind="stable")
        cumulative = np.cumsum(np.array(weights)[order])
        return answers[int(order[np.searchsorted(cumulative, cumulative[-1] / 2.0)])]
    if kind in FUSED_KINDS:
        regions = tuple(fused.region for fused in fuse_regions(answers, weights=weights))
        if regions:
            return Answer(kind, regions)
    return medoid(answers, _distance, weights=weights).answer


def _training_weight(confidence: float) -> float:
    # rounded, so that one more answer does not change the weights of all rows
    return round(float(np.clip(round(confidence, 1), 0.05, 1.0)), 2)


@lru_cache(maxsize=_CACHE_SIZE)
def _distance(answer: Answer, other: Answer) -> float:
    return answer_distance(answer, other)
