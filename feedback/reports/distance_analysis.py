"""Everything that votes on numbers and on regions say: the same analysis, by distance instead of by label."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from feedback.agreement import intraclass_correlation, krippendorff_alpha, percent_agreement
from feedback.agreement.distance_alpha import alpha_by_distance
from feedback.agreement.interpretation import describe_coefficient
from feedback.agreement.vote_patterns import count_patterns
from feedback.annotators.distance import AnnotatorDistance, distances_of_answers, distances_of_numbers
from feedback.consensus.medoid import medoid
from feedback.consensus.numeric_consensus import NumericConsensus, median, trimmed_mean
from feedback.consensus.region_fusion import fuse_boxes, fuse_spans
from feedback.errors import VotesError
from feedback.reports.vote_analysis import Analysis, Scored, ratings_table
from feedback.stats.results import json_number
from feedback.votes import EncodedVotes, Floats, encode_votes
from ml_backend.codecs import get_codec
from ml_backend.records import Answer

Truth = TypeVar("Truth")  # gold answers by task, as numbers or as answers
_SHOWN = 10  # tasks to open first
_FUSIONS: Mapping[str, Callable[..., Sequence[Any]]] = {"labels": fuse_spans, "rectanglelabels": fuse_boxes}


def analyse_numbers(
    tasks: Sequence[Hashable],
    people: Sequence[Hashable],
    values: Sequence[float],
    *,
    gold: Mapping[Hashable, float] | None = None,
    notes: Sequence[str] = (),
) -> Analysis:
    """Numbers: interval alpha and ICC; median and trimmed mean; each person's distance from the others' median."""
    named = encode_votes(tasks, people, list(values))
    votes, scale = named.votes, np.array(named.labels, dtype=np.float64)
    said: Floats = scale[votes.labels]
    table = count_patterns(votes)
    figures = {"percent": percent_agreement(table), "alpha": krippendorff_alpha(table, level="interval", values=scale)}
    if ratings := ratings_table(votes, scale):
        figures["icc"] = intraclass_correlation(ratings[0])
    truth = _truth(named, gold)
    found = (median(votes.tasks, said, n_tasks=votes.n_tasks), trimmed_mean(votes.tasks, said, n_tasks=votes.n_tasks))
    scored = {one.method: _score_numbers(one, truth) for one in found}
    widest = np.argsort(-np.nan_to_num(found[0].spread), kind="stable")[:_SHOWN]
    return Analysis(
        figures,
        describe_coefficient(figures["alpha"]),
        tuple(named.tasks[task] for task in widest if found[0].spread[task] > 0),
        {"auto": scored["median"], **scored},
        _people(named, lambda known: distances_of_numbers(votes.tasks, votes.people, said, truth=known), truth),
        tuple(notes),
    )


def analyse_answers(
    kind: str,
    tasks: Sequence[Hashable],
    people: Sequence[Hashable],
    answers: Sequence[Answer],
    *,
    gold: Mapping[Hashable, Answer] | None = None,
    notes: Sequence[str] = (),
) -> Analysis:
    """Anything with a codec: alpha by its distance; medoid, and fusion of spans and boxes; distance from the others."""
    named = encode_votes(tasks, people, list(answers))
    distance = get_codec(kind).distance
    figures = {
        "percent": percent_agreement(named.votes),
        "alpha": alpha_by_distance(named.votes.tasks.tolist(), answers, distance),
    }
    by_task: dict[int, list[Answer]] = {}
    for task, answer in zip(named.votes.tasks.tolist(), answers, strict=True):
        by_task.setdefault(task, []).append(answer)
    chosen = {task: medoid(said, distance) for task, said in by_task.items()}
    results: dict[str, dict[int, Answer]] = {"medoid": {task: one.answer for task, one in chosen.items()}}
    if kind in _FUSIONS:
        fused = {task: tuple(one.region for one in _FUSIONS[kind](said)) for task, said in by_task.items()}
        # people who share no region with a majority still said something: the medoid stands for them
        results["fusion"] = {
            task: Answer(kind, regions) if regions else chosen[task].answer for task, regions in fused.items()
        }
    truth = None if gold is None else _known(named, gold)
    scored = {name: _score_answers(name, said, truth, distance) for name, said in results.items()}
    worst = sorted((one.support, task) for task, one in chosen.items() if one.support < 1.0)
    by_whom = named.votes.tasks, named.votes.people, answers, distance
    return Analysis(
        figures,
        describe_coefficient(figures["alpha"]),
        tuple(named.tasks[task] for _, task in worst[:_SHOWN]),
        {"auto": scored.get("fusion", scored["medoid"]), **scored},
        _people(named, lambda known: distances_of_answers(*by_whom, truth=known), truth),
        tuple(notes),
    )


def _truth(named: EncodedVotes, gold: Mapping[Hashable, float] | None) -> Floats | None:
    if gold is None:
        return None
    known = np.array([gold.get(task, math.nan) for task in named.tasks], dtype=np.float64)
    if not np.isfinite(known).any():
        raise VotesError("no gold answer belongs to a task with votes.", hint="Both files must hold equal task ids.")
    return known


def _known(named: EncodedVotes, gold: Mapping[Hashable, Answer]) -> Mapping[int, Answer]:
    known = {code: gold[task] for code, task in enumerate(named.tasks) if task in gold}
    if not known:
        raise VotesError("no gold answer belongs to a task with votes.", hint="Both files must hold equal task ids.")
    return known


def _score_numbers(found: NumericConsensus, truth: Floats | None) -> Scored:
    if truth is None:
        return Scored(found.method)
    away = np.abs(found.values - truth)[np.isfinite(truth)]
    return Scored(found.method, float((away < 1e-9).mean()), None, float(away.mean()))


def _score_answers(
    name: str,
    said: Mapping[int, Answer],
    truth: Mapping[int, Answer] | None,
    distance: Callable[[Answer, Answer], float],
) -> Scored:
    if truth is None:
        return Scored(name)
    away = [distance(said[task], answer) for task, answer in truth.items()]
    exact = sum(said[task] == answer for task, answer in truth.items())
    return Scored(name, exact / len(truth), None, sum(away) / len(truth))


def _people(
    named: EncodedVotes, apart: Callable[[Truth | None], Sequence[AnnotatorDistance]], truth: Truth | None
) -> tuple[dict[str, Any], ...]:
    """Gold judges those who answered some of it, the others judge the rest; `apart` measures from either."""
    by_gold = {} if truth is None else {one.person: one for one in apart(truth) if one.compared > 1}
    return tuple(
        _plain_person(named, by_gold.get(one.person, one), "gold" if one.person in by_gold else "others")
        for one in apart(None)
    )


def _plain_person(named: EncodedVotes, one: AnnotatorDistance, against: str) -> dict[str, Any]:
    low, high = json_number(one.distance.low), json_number(one.distance.high)
    return {
        "worker": named.people[one.person],
        "votes": one.votes,
        "compared": one.compared,
        "against": against,
        "distance": json_number(one.distance.value),
        "low": low,
        "high": high,
    }
