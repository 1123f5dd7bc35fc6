"""Analysis of votes on numbers and regions: agreement, consensus and people, by distance instead of by label."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from feedback.agreement import intraclass_correlation, krippendorff_alpha, percent_agreement
from feedback.agreement.interpretation import judge_coefficient
from feedback.agreement.krippendorff_alpha import alpha_by_distance
from feedback.agreement.vote_patterns import count_patterns
from feedback.annotators.distance import AnnotatorDistance, distances_of_answers, distances_of_numbers
from feedback.consensus.medoid import medoid
from feedback.consensus.numeric_consensus import NumericConsensus, median, trimmed_mean
from feedback.consensus.region_fusion import fuse_boxes, fuse_spans
from feedback.errors import VotesError
from feedback.reports.vote_analysis import Analysis, ConsensusScore, interval_json, ratings_table
from feedback.votes import EncodedVotes, Floats, encode_votes
from ml_backend.codecs import get_codec
from ml_backend.records import Answer

Gold = TypeVar("Gold", float, Answer)  # one gold answer
Truth = TypeVar("Truth")  # gold answers by task, as numbers or as answers
_N_OPEN_FIRST = 10
_FUSIONS: Mapping[str, Callable[..., Sequence[Any]]] = {"labels": fuse_spans, "rectanglelabels": fuse_boxes}


def analyse_numbers(
    tasks: Sequence[Hashable],
    people: Sequence[Hashable],
    values: Sequence[float],
    *,
    gold: Mapping[Hashable, float] | None = None,
    notes: Sequence[str] = (),
) -> Analysis:
    """Analyse numbers: interval alpha and ICC, median and trimmed mean, and each person's distance from the median."""
    named = encode_votes(tasks, people, list(values))
    votes, scale = named.votes, np.array(named.labels, dtype=np.float64)
    numbers: Floats = scale[votes.labels]
    table = count_patterns(votes)
    figures = {"percent": percent_agreement(table), "alpha": krippendorff_alpha(table, level="interval", values=scale)}
    if (ratings := ratings_table(votes, scale)) is not None:
        figures["icc"] = intraclass_correlation(ratings)
    truth = _gold_numbers(named, gold)
    middle = median(votes.tasks, numbers, n_tasks=votes.n_tasks)
    trimmed = trimmed_mean(votes.tasks, numbers, n_tasks=votes.n_tasks)
    scores = {fit.method: _score_numbers(fit, truth) for fit in (middle, trimmed)}
    widest = np.argsort(-np.nan_to_num(middle.spread), kind="stable")[:_N_OPEN_FIRST]
    return Analysis(
        figures,
        judge_coefficient(figures["alpha"])[1],
        tuple(named.tasks[task] for task in widest if middle.spread[task] > 0),
        {"auto": scores["median"], **scores},
        _compare(named, lambda known: distances_of_numbers(votes.tasks, votes.people, numbers, truth=known), truth),
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
    """Analyse answers of any type with a codec: alpha by distance, medoid or fusion, and each person's distance."""
    named = encode_votes(tasks, people, list(answers))
    distance = get_codec(kind).distance
    figures = {
        "percent": percent_agreement(named.votes),
        "alpha": alpha_by_distance(named.votes.tasks.tolist(), answers, distance),
    }
    by_task: dict[int, list[Answer]] = {}
    for task, answer in zip(named.votes.tasks.tolist(), answers, strict=True):
        by_task.setdefault(task, []).append(answer)
    medoids = {task: medoid(given, distance) for task, given in by_task.items()}
    results: dict[str, dict[int, Answer]] = {"medoid": {task: found.answer for task, found in medoids.items()}}
    if kind in _FUSIONS:
        fused = {task: tuple(found.region for found in _FUSIONS[kind](given)) for task, given in by_task.items()}
        # without a region of a majority, the medoid is the consensus
        results["fusion"] = {
            task: Answer(kind, regions) if regions else medoids[task].answer for task, regions in fused.items()
        }
    truth = None if gold is None else _gold_answers(named, gold)
    scores = {name: _score_answers(name, answers_of, truth, distance) for name, answers_of in results.items()}
    worst = sorted((found.support, task) for task, found in medoids.items() if found.support < 1.0)
    columns = named.votes.tasks, named.votes.people, answers, distance
    return Analysis(
        figures,
        judge_coefficient(figures["alpha"])[1],
        tuple(named.tasks[task] for _, task in worst[:_N_OPEN_FIRST]),
        {"auto": scores.get("fusion", scores["medoid"]), **scores},
        _compare(named, lambda known: distances_of_answers(*columns, truth=known), truth),
        tuple(notes),
    )


def _gold_numbers(named: EncodedVotes, gold: Mapping[Hashable, float] | None) -> Floats | None:
    if gold is None:
        return None
    known = _gold_answers(named, gold)
    return np.array([known.get(code, math.nan) for code in range(len(named.tasks))], dtype=np.float64)


def _gold_answers(named: EncodedVotes, gold: Mapping[Hashable, Gold]) -> Mapping[int, Gold]:
    known = {code: gold[task] for code, task in enumerate(named.tasks) if task in gold}
    if not known:
        raise VotesError("no gold answer belongs to a task with votes.", hint="Both files must use the same task ids.")
    return known


def _score_numbers(fit: NumericConsensus, truth: Floats | None) -> ConsensusScore:
    if truth is None:
        return ConsensusScore(fit.method)
    errors = np.abs(fit.values - truth)[np.isfinite(truth)]
    return ConsensusScore(fit.method, float((errors < 1e-9).mean()), None, float(errors.mean()))


def _score_answers(
    name: str,
    answers: Mapping[int, Answer],
    truth: Mapping[int, Answer] | None,
    distance: Callable[[Answer, Answer], float],
) -> ConsensusScore:
    if truth is None:
        return ConsensusScore(name)
    errors = [distance(answers[task], known) for task, known in truth.items()]
    exact = sum(answers[task] == known for task, known in truth.items())
    return ConsensusScore(name, exact / len(truth), None, sum(errors) / len(truth))


def _compare(
    named: EncodedVotes, measure: Callable[[Truth | None], Sequence[AnnotatorDistance]], truth: Truth | None
) -> tuple[dict[str, Any], ...]:
    """Compare people with gold where they answered some of it, else with the others; `measure` does either."""
    by_gold = {} if truth is None else {record.person: record for record in measure(truth) if record.compared > 1}
    return tuple(
        _person_json(named, by_gold.get(record.person, record), "gold" if record.person in by_gold else "others")
        for record in measure(None)
    )


def _person_json(named: EncodedVotes, record: AnnotatorDistance, against: str) -> dict[str, Any]:
    return {
        "worker": named.people[record.person],
        "votes": record.votes,
        "compared": record.compared,
        "against": against,
        **interval_json(record.distance, "distance"),
    }
