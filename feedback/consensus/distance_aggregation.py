"""Nearness: numbers and regions weighed by how near each person usually is to the others, and fused into one answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import cast

import numpy as np

from feedback.consensus.aggregated_label import AggregatedLabel, AggregatedLabels
from feedback.consensus.medoid import medoid
from feedback.consensus.region_fusion import fuse_boxes, fuse_spans
from feedback.votes import Floats, Ints, Named
from ml_backend.codecs import codec
from ml_backend.errors import UnknownName
from ml_backend.records import Answer

_FEW_PEOPLE = 3  # of two who differ nobody can tell who errs
_FEW = 5  # answers a person on shared tasks, below which everybody counts the same
_ROUNDS = 5  # of weighing people by their distance from the weighed others: it settles at once
_PULL = 2.0  # answers that everybody is taken to have given as the usual person does
_WIDEST = 10.0  # nobody counts this many times more, or less, than the usual person
_NEAREST = 0.05  # who is nearer than this counts like the others who are: none of them may decide alone
_REMEMBERED = 200_000  # distances: a turn must not measure again what the last one did
_FUSIONS: Mapping[str, Callable[..., Sequence[object]]] = {"labels": fuse_spans, "rectanglelabels": fuse_boxes}


def weigh_near(named: Named, gold: Mapping[int, Answer]) -> AggregatedLabels:
    """What several numbers or regions say together, each person weighed by how near they are to the others and to gold.

    Numbers: the weighted median of what was said. Spans and boxes: fused, half of the weight decides what is there and
    where it ends; anything else: the answer nearest to all. Confidence is one minus the mean distance from it.
    """
    answers: list[Answer] = list(named.labels)  # type: ignore[arg-type]
    kind = answers[0].kind
    try:
        codec(kind)
    except UnknownName as error:
        return AggregatedLabels(reason=str(error))
    said: dict[int, list[tuple[int, Answer]]] = {}
    for task, person, label in zip(*(c.tolist() for c in _columns(named)), strict=True):
        said.setdefault(named.tasks[task], []).append((person, answers[label]))
    far = _distances(said, gold, named.votes.n_people)
    weights = None if far is None else _weights(far)
    by_task = {
        task: _together(kind, given, weights, far)
        for task, given in said.items()
        if task not in gold and (len(given) > 1 or far is not None)  # else it is what it is
    }
    how = "by how near people are to the others" if far is not None else "all alike: too little is known of people"
    return AggregatedLabels(by_task, "fusion" if kind in _FUSIONS else "median" if kind == "number" else "medoid", how)


def _columns(named: Named) -> tuple[Ints, Ints, Ints]:
    return named.votes.tasks, named.votes.people, named.votes.labels


def _distances(
    said: Mapping[int, Sequence[tuple[int, Answer]]], gold: Mapping[int, Answer], n_people: int
) -> Floats | None:
    """(n_people,) how far each usually is from what the others say, those weighed who are near; None where too few."""
    rows: list[tuple[int, list[tuple[int, float]]]] = []  # who, and how far from whom; -1 is the gold book
    for task, given in said.items():
        if task in gold:
            rows += [(person, [(-1, _apart(answer, gold[task]))]) for person, answer in given]
        elif len(given) > 1:
            rows += [
                (person, [(other, _apart(answer, theirs)) for other, theirs in given if other != person])
                for person, answer in given
            ]
    compared = np.bincount([person for person, _ in rows], minlength=n_people) if rows else np.zeros(n_people)
    people = np.flatnonzero(compared)
    judged = sum(task in gold for task in said)
    if not len(people) or compared.sum() < _FEW * len(people) or (len(people) < _FEW_PEOPLE and judged < _FEW):
        return None
    weights = np.ones(n_people + 1)  # the last is the gold book's
    far = np.ones(n_people)
    for _ in range(_ROUNDS):
        total = np.zeros(n_people)
        for person, others in rows:
            heavy = [weights[other] for other, _ in others]
            total[person] += sum(w * away for w, (_, away) in zip(heavy, others, strict=True)) / sum(heavy)
        usual = total.sum() / compared.sum()
        far = (total + _PULL * usual) / (compared + _PULL)
        weights[:n_people], weights[n_people] = _weights(far), _WIDEST
    return far


def _weights(far: Floats) -> Floats:
    """What everybody counts: as the inverse of a variance, within bounds."""
    near = np.maximum(far, _NEAREST)
    weights: Floats = np.clip((np.median(near) / near) ** 2, 1.0 / _WIDEST, _WIDEST)
    return weights


def _together(
    kind: str, given: Sequence[tuple[int, Answer]], weights: Floats | None, far: Floats | None
) -> AggregatedLabel:
    answers = [answer for _, answer in given]
    heavy = [1.0 if weights is None else float(weights[person]) for person, _ in given]
    if len(given) == 1:
        usual = 1.0 - float(far[given[0][0]]) if far is not None else 1.0
        return AggregatedLabel(answers[0], round(max(usual, 0.01), 4), _weight(usual))
    answer = _middle(kind, answers, heavy)
    away = sum(w * _apart(answer, one) for w, one in zip(heavy, answers, strict=True)) / sum(heavy)
    return AggregatedLabel(answer, round(max(1.0 - away, 0.01), 4), _weight(1.0 - away))


def _middle(kind: str, answers: Sequence[Answer], heavy: Sequence[float]) -> Answer:
    if kind == "number":
        values = np.array([cast("float", answer.value) for answer in answers])
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(np.array(heavy)[order])
        return answers[int(order[np.searchsorted(reached, reached[-1] / 2.0)])]
    if kind in _FUSIONS:
        regions = tuple(one.region for one in _FUSIONS[kind](answers, weights=heavy))  # type: ignore[attr-defined]
        if regions:
            return Answer(kind, regions)
    return medoid(answers, _apart, weights=heavy).answer


def _weight(sure: float) -> float:
    """For training: coarse, so that the next answer does not change every row."""
    return round(float(np.clip(round(sure, 1), 0.05, 1.0)), 2)


@lru_cache(maxsize=_REMEMBERED)
def _apart(one: Answer, other: Answer) -> float:
    return codec(one.kind).distance(one, other) if one.kind == other.kind else 1.0
