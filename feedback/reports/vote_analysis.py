"""Analysis of votes on any type of answer: agreement, consensus by each method, and the accuracy of each person."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from feedback import agreement, consensus
from feedback.agreement import cohen_kappa, gwet_ac1, intraclass_correlation, krippendorff_alpha, percent_agreement
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.cohen_kappa import pairwise_kappa
from feedback.agreement.interpretation import interpret_agreement, judge_coefficient, per_label_agreement
from feedback.agreement.krippendorff_alpha import alpha_by_distance
from feedback.agreement.vote_patterns import count_patterns
from feedback.annotators.accuracy import Reliability, compare_people
from feedback.annotators.distance_from_others import AnnotatorDistance, distances_of_answers, distances_of_numbers
from feedback.consensus import select_method
from feedback.consensus.distance_aggregation import medoid
from feedback.consensus.method_selection import (
    fit_or_none,
    list_usable_methods,
    prefer_proven_on_gold,
    select_majority,
)
from feedback.consensus.numeric_consensus import NumericConsensus, median, trimmed_mean
from feedback.consensus.region_fusion import FUSED_KINDS, fuse_regions
from feedback.consensus.sparse_votes import number_labels_by_task
from feedback.reports.consensus_scores import ConsensusScore, LabelScorer, encode_gold, gold_by_code, score_by_distance
from feedback.stats.intervals import Interval
from feedback.votes import EncodedVotes, Floats, Votes, encode_votes
from ml_backend.codecs import answer_distance
from ml_backend.left_out import name_some
from ml_backend.number_format import format_count
from ml_backend.records import Answer

NUMBER_KINDS = ("rating", "number")
UNCALIBRATED = "--calibrate-gold is for answers with one label: other answers have a distance from gold, no probability"
_OF_PATTERNS = ("percent", "alpha", "ac1", "fleiss", "brennan_prediger")  # measures that take counted votes
_N_OPEN_FIRST = 10
_MAX_RATING_CELLS = 20_000_000  # items times people
_MAX_VOTES = 200_000  # beyond it the overall figures are precise enough, and breakdowns would double the time
_MAX_LABELS = 50  # a table of more is not read
_MAX_NAMED = 5  # labels in a note
_HUGE = 1e150
_ROUNDING = 1e-9  # numbers that differ by less are equal


@dataclass(frozen=True, slots=True)
class Analysis:
    """The result of `hitl agree`."""

    agreement: Mapping[str, Coefficient]
    headline: Coefficient  # the measure that judges: that of the policy, or alpha
    verdict: str
    open_first: tuple[Hashable, ...]  # the tasks on which people differ most
    consensus: Mapping[str, ConsensusScore]
    annotators: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    pairs: tuple[Mapping[str, Any], ...] = ()  # agreement of every two people
    by_label: Mapping[str, Coefficient] = field(default_factory=dict)
    # only of a project:
    by_month: Mapping[str, Coefficient] = field(default_factory=dict)
    by_guideline: Mapping[str, Coefficient] = field(default_factory=dict)  # before and after its last change
    by_segment: Mapping[str, Coefficient] = field(default_factory=dict)  # by a field of its tasks
    suggestions: tuple[Mapping[str, Any], ...] = ()  # label issues, the most certain first

    def to_json(self) -> dict[str, Any]:
        """Return the analysis as JSON; undefined figures are null."""
        values = {column.name: getattr(self, column.name) for column in fields(self)}
        return {
            name: {key: figure.to_json() for key, figure in value.items()} if isinstance(value, Mapping) else value
            for name, value in values.items()
        } | {"headline": {"measure": self.headline.name, **self.headline.to_json()}}


def analyse_votes(
    kind: str,
    tasks: Sequence[Hashable],
    people: Sequence[Hashable],
    labels: Sequence[Any],
    *,
    gold: Mapping[Any, Any] | None = None,
    calibrate_gold: int = 0,
    drawn: bool = True,
    with_people: bool = True,
    notes: Sequence[str] = (),
) -> Analysis:
    """Analyse votes, one row each.

    Parameters
    ----------
    kind
        Type of the answers: ratings are ordered, and numbers and answers with several parts are compared by distance.
    labels
        A name for an answer with one label, a number for ratings and numbers, else an `Answer`.
    gold
        Gold answers by task, of the type of `labels`; each consensus method is scored on them.
    calibrate_gold
        Number of gold answers drawn to calibrate the confidence; the others score it.
    drawn
        The tasks were drawn at random, so that agreement on labels may be interpreted.
    with_people
        Also compare people with gold, or with each other on all tasks.
    """
    named = encode_votes(tasks, people, labels)
    if kind == "number" or isinstance(labels[0], Answer):
        notes = (*notes, UNCALIBRATED) if calibrate_gold else notes
        if kind == "number":
            return _analyse_numbers(named, gold, notes)
        return _analyse_answers(kind, named, labels, gold, notes)
    return _analyse_labels(
        named, gold, calibrate_gold, notes, ordered=kind == "rating", drawn=drawn, with_people=with_people
    )


def _analyse_labels(
    named: EncodedVotes,
    gold: Mapping[Hashable, Hashable] | None,
    calibrate_gold: int,
    notes: Sequence[str],
    *,
    ordered: bool,
    drawn: bool,
    with_people: bool,
) -> Analysis:
    votes = named.votes
    known, gold_notes = encode_gold(named, gold) if gold is not None else (None, [])
    usable = list_usable_methods(votes)
    crowd, truth = (votes, known) if usable.with_tables else number_labels_by_task(votes, known)
    choice = select_method(crowd) if usable.with_tables else select_majority(crowd, usable.left_out)
    names = (*usable.methods, *(consensus.plugin_names() if usable.with_tables else ()))
    tried = {name: choice.fits.get(name) or fit_or_none(consensus.load_method(name), crowd) for name in names}
    fits = {name: fit for name, fit in tried.items() if fit is not None}
    figures = _ordered_figures(named) if ordered else _label_figures(votes)
    reading = interpret_agreement(votes, named.labels, coefficient=figures["alpha"], drawn=drawn)
    scorer = LabelScorer(crowd, truth, calibrate_gold)
    people, people_note = compare_people(votes, gold=known) if with_people else ((), "")
    labels = [str(label) for label in named.labels]
    best = scorer.score(choice.consensus, choose=lambda given: prefer_proven_on_gold(choice, given).consensus)
    return Analysis(
        figures,
        figures["alpha"],
        reading.text,
        tuple(named.tasks[task] for task in reading.open_first),
        {"auto": replace(best, reason=choice.reason), **{name: scorer.score(fit) for name, fit in fits.items()}},
        tuple(reliability_json(named.people[record.person], record, labels) for record in people),
        (
            *notes,
            *gold_notes,
            *([usable.left_out] if usable.left_out else ()),
            *_notes_on_breakdowns(votes),
            *notes_on_people(labels, people, people_note),
        ),
        pairs=_agreement_by_pair(named),
        by_label=_agreement_by_label(named),
    )


def _analyse_numbers(named: EncodedVotes, gold: Mapping[Hashable, float] | None, notes: Sequence[str]) -> Analysis:
    """Analyse by interval alpha and ICC, median and trimmed mean, and each person's distance from the median."""
    votes, scale = named.votes, np.array(named.labels, dtype=np.float64)
    largest = float(np.abs(scale).max())
    unit = largest if largest > _HUGE else 1.0  # sums of the largest floats are infinite
    scale /= unit
    numbers: Floats = scale[votes.labels]
    table = count_patterns(votes)
    figures = {"percent": percent_agreement(table), "alpha": krippendorff_alpha(table, level="interval", values=scale)}
    figures |= _rating_figures(votes, scale)
    middle = median(votes.tasks, numbers, n_tasks=votes.n_tasks)
    trimmed = trimmed_mean(votes.tasks, numbers, n_tasks=votes.n_tasks)
    known = None if gold is None else gold_by_code(named.tasks, gold)
    truth = None if known is None else np.array([known.get(code, math.nan) / unit for code in range(votes.n_tasks)])

    def score(fit: NumericConsensus) -> ConsensusScore:
        if truth is None:
            return ConsensusScore(fit.method)
        errors = np.abs(fit.values - truth)[np.isfinite(truth)]
        return score_by_distance(fit.method, [error * unit for error in errors.tolist()], (errors < _ROUNDING).tolist())

    scores = {fit.method: score(fit) for fit in (middle, trimmed)}
    widest = np.argsort(-np.nan_to_num(middle.spread), kind="stable")[:_N_OPEN_FIRST]
    by_gold = () if truth is None else distances_of_numbers(votes.tasks, votes.people, numbers, truth=truth)
    return Analysis(
        figures,
        figures["alpha"],
        judge_coefficient(figures["alpha"])[1],
        tuple(named.tasks[task] for task in widest if middle.spread[task] > 0),
        {"auto": scores["median"], **scores},
        _distances_json(named, by_gold, distances_of_numbers(votes.tasks, votes.people, numbers), unit=unit),
        tuple(notes),
    )


def _analyse_answers(
    kind: str,
    named: EncodedVotes,
    answers: Sequence[Answer],
    gold: Mapping[Hashable, Answer] | None,
    notes: Sequence[str],
) -> Analysis:
    """Analyse answers of any type with a codec: alpha by distance, medoid or fusion, and each person's distance."""
    tasks, people, distance = named.votes.tasks, named.votes.people, answer_distance
    alpha = alpha_by_distance(tasks.tolist(), answers, distance)
    by_task: dict[int, list[Answer]] = {}
    for task, answer in zip(tasks.tolist(), answers, strict=True):
        by_task.setdefault(task, []).append(answer)
    medoids = {task: medoid(given, distance) for task, given in by_task.items()}
    results: dict[str, dict[int, Answer]] = {"medoid": {task: found.answer for task, found in medoids.items()}}
    if kind in FUSED_KINDS:
        fused = {task: tuple(found.region for found in fuse_regions(given)) for task, given in by_task.items()}
        # without a region of a majority, the medoid is the consensus
        results["fusion"] = {
            task: Answer(kind, regions) if regions else medoids[task].answer for task, regions in fused.items()
        }
    truth = None if gold is None else gold_by_code(named.tasks, gold)
    scores = {}
    for name, found in results.items():
        errors = [distance(found[task], known) for task, known in (truth or {}).items()]
        exact = [found[task] == known for task, known in (truth or {}).items()]
        scores[name] = score_by_distance(name, errors, exact) if truth else ConsensusScore(name)
    worst = sorted((found.support, task) for task, found in medoids.items() if found.support < 1.0)
    by_gold = () if truth is None else distances_of_answers(tasks, people, answers, distance, truth=truth)
    return Analysis(
        {"percent": percent_agreement(named.votes), "alpha": alpha},
        alpha,
        judge_coefficient(alpha)[1],
        tuple(named.tasks[task] for _, task in worst[:_N_OPEN_FIRST]),
        {"auto": scores.get("fusion", scores["medoid"]), **scores},
        _distances_json(named, by_gold, distances_of_answers(tasks, people, answers, distance)),
        tuple(notes),
    )


def _label_figures(votes: Votes) -> dict[str, Coefficient]:
    table = count_patterns(votes)  # once for all measures that do not ask who voted
    names = (*agreement.BUILTINS, *agreement.plugin_names())
    return {name: agreement.load_measure(name)(table if name in _OF_PATTERNS else votes) for name in names}


def _ordered_figures(named: EncodedVotes) -> dict[str, Coefficient]:
    votes, values = named.votes, np.array([float(str(label)) for label in named.labels])
    table = count_patterns(votes)
    figures = {
        "percent": percent_agreement(table),
        "alpha": krippendorff_alpha(table, level="ordinal", values=values),
        "alpha_interval": krippendorff_alpha(table, level="interval", values=values),
        "ac2": gwet_ac1(table, weighting="quadratic", values=values),
        "cohen": cohen_kappa(votes, weighting="quadratic", values=values),
    }
    return figures | _rating_figures(votes, values)


def _rating_figures(votes: Votes, values: Floats) -> dict[str, Coefficient]:
    """Return the intraclass correlation; {} for one person or too many cells."""
    people, column = np.unique(votes.people, return_inverse=True)
    if len(people) < 2 or votes.n_tasks * len(people) > _MAX_RATING_CELLS:
        return {}
    ratings = np.full((votes.n_tasks, len(people)), np.nan)
    ratings[votes.tasks, column] = values[votes.labels]
    return {"icc": intraclass_correlation(ratings)}


def _agreement_by_pair(named: EncodedVotes) -> tuple[dict[str, Any], ...]:
    """Return Cohen's kappa of every two people who share five tasks or more, lowest upper bound first."""
    if not len(named.votes) or len(named.votes) > _MAX_VOTES:
        return ()
    pairs = [
        {"workers": [named.people[person], named.people[other]]}
        | _interval_json("kappa", Interval(figure.low, figure.high, figure.value))
        | {"items": figure.items}
        for (person, other), figure in pairwise_kappa(named.votes).items()
    ]
    return tuple(sorted(pairs, key=lambda pair: pair["high"]))


def _agreement_by_label(named: EncodedVotes) -> dict[str, Coefficient]:
    """Return how well people tell each label from all others: Fleiss' kappa by label."""
    votes = named.votes
    if not 2 <= votes.n_labels <= _MAX_LABELS or len(votes) > _MAX_VOTES:
        return {}
    return {str(label): figure for label, figure in zip(named.labels, per_label_agreement(votes), strict=True)}


def _notes_on_breakdowns(votes: Votes) -> list[str]:
    """Return which breakdowns are left out because they would take too long, or fill pages."""
    if len(votes) > _MAX_VOTES:
        return [f"agreement by label and by pair of people is computed for up to {format_count(_MAX_VOTES)} votes"]
    return [f"agreement by label is computed for up to {_MAX_LABELS} labels"] if votes.n_labels > _MAX_LABELS else []


def notes_on_people(labels: Sequence[str], people: Sequence[Reliability], note: str) -> list[str]:
    """Return what the votes cannot tell, without names: readers may see pseudonyms. Notes end without a full stop."""
    reasons = Counter(record.reason for record in people if record.reason)
    notes = [note.removesuffix(".")] if note else []
    notes += [f"{format_count(times)} of {format_count(len(people))} people: {why}" for why, times in reasons.items()]
    unclear = [labels[label] for label in sorted({label for row in people for label in row.unclear_labels})]
    if unclear:
        notes.append(f"the votes do not tell of each person how often they find {name_some(unclear, most=_MAX_NAMED)}")
    return notes


def reliability_json(person: Hashable, record: Reliability, label_names: Sequence[str]) -> dict[str, Any]:
    """Return the accuracy of a person as JSON; `label_names` are in the order of its labels."""
    labels = {
        name: _interval_json("accuracy", own)
        for name, own in zip(label_names, record.by_label, strict=True)
        if (own.low, own.high) != (0.0, 1.0)
    }
    weakest = record.weakest_label
    return (
        _person_json(person, record, record.against)
        | _interval_json("accuracy", record.accuracy)
        | {"labels": labels, "weakest_label": None if weakest is None else label_names[weakest]}
        | {"unclear_labels": [label_names[label] for label in record.unclear_labels], "reason": record.reason}
    )


def distance_json(person: Hashable, record: AnnotatorDistance, against: str, *, unit: float = 1.0) -> dict[str, Any]:
    """Return the mean distance of a person from gold or from the others as JSON; `unit` is that of the numbers."""
    return _person_json(person, record, against) | _interval_json("distance", record.distance.times(unit))


def _distances_json(
    named: EncodedVotes,
    by_gold: Sequence[AnnotatorDistance],
    by_others: Sequence[AnnotatorDistance],
    *,
    unit: float = 1.0,
) -> tuple[dict[str, Any], ...]:
    """Compare people with gold where they answered some of it, else with the others; `unit` is that of the numbers."""
    on_gold = {record.person: record for record in by_gold if record.compared > 1}
    return tuple(
        distance_json(named.people[record.person], record, "gold" if record.person in on_gold else "others", unit=unit)
        for record in (on_gold.get(other.person, other) for other in by_others)
    )


def _person_json(person: Hashable, record: Reliability | AnnotatorDistance, against: str) -> dict[str, Any]:
    return {"worker": person, "votes": record.votes, "compared": record.compared, "against": against}


def _interval_json(measure: str, interval: Interval) -> dict[str, Any]:
    """Return an interval as JSON, its value under the name of the measure."""
    body = interval.to_json()
    return {measure: body.pop("value"), **body}
