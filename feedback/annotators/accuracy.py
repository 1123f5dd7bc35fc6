"""How often each person is right: against gold where they answered enough of it, else against the other people."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from feedback.annotators.distance import AnnotatorDistance, distances_of_answers
from feedback.annotators.gold import GoldTask, matches_gold
from feedback.annotators.reliability import Reliability, against_gold, against_others, hits_against_others
from feedback.consensus import Consensus, hierarchical_dawid_skene
from feedback.errors import VotesError
from feedback.stats.intervals import Interval, wilson
from feedback.store import Vote
from feedback.votes import LABEL_KINDS, EncodedVotes, Floats, Ints, Votes, encode_votes
from ml_backend.codecs import get_codec
from ml_backend.errors import UnknownName

_MIN_GOLD_ANSWERS = 5  # a person with fewer is compared with the other people instead
_MAX_DISTANCE_ANSWERS = 5_000  # each answer is compared with all others of its task


@dataclass(frozen=True, slots=True)
class AccuracyTable:
    """The accuracy of every person; the mappings are by Label Studio user id."""

    records: Mapping[int, Reliability] = field(default_factory=dict)
    label_keys: tuple[str, ...] = ()  # answer keys of the labels, in the order of `Reliability.by_label`
    hits: Floats = field(default_factory=lambda: np.zeros(0))  # (n_votes,) NaN where the vote was not judged
    weights: Floats = field(default_factory=lambda: np.zeros(0))  # (n_votes,) information in each hit; 0: none
    distances: Mapping[int, AnnotatorDistance] = field(default_factory=dict)  # of numbers and regions


@dataclass(frozen=True, slots=True)
class OnboardingProgress:
    """How many onboarding tasks a person has answered, and how often the answer was the gold answer."""

    answered: int
    total: int
    accuracy: Interval  # on the onboarding tasks with a gold answer


def measure_accuracy(
    votes: Sequence[Vote], gold: Mapping[int, GoldTask], *, overlap_tasks: Collection[int], tolerance: float
) -> AccuracyTable:
    """Measure people on the tasks drawn for several people and on gold tasks, and on no others.

    A person with five gold answers or more is compared with gold alone, because all other people may be wrong.

    Parameters
    ----------
    votes
        The latest vote of each person on each task.
    gold
        Gold and calibration tasks by task id. A calibration task has no answer and counts as an overlap task.
    overlap_tasks
        Ids of the tasks drawn at random for several people.
    tolerance
        Distance in [0, 1] up to which spans and boxes count as right, where the gold task sets none.
    """
    calibration = {task for task, entry in gold.items() if entry.answer is None}
    rows = [row for row, vote in enumerate(votes) if vote.task in overlap_tasks or vote.task in calibration]
    hits, weights = np.full(len(votes), math.nan), np.zeros(len(votes))
    records: dict[int, Reliability] = {}
    label_keys: tuple[str, ...] = ()
    shared = [votes[row] for row in rows]
    are_labels = {vote.answer.kind for vote in votes} <= set(LABEL_KINDS)
    if shared and are_labels:
        encoded = _encode(shared)
        label_keys = tuple(label.key for label in encoded.labels)  # type: ignore[attr-defined]
        try:
            fit = hierarchical_dawid_skene(encoded.votes)
            compared = against_others(encoded.votes, fit=fit)
            hits[rows], weights[rows] = hits_against_others(encoded.votes, fit=fit)
            for record in compared:
                if record.compared:
                    records[encoded.people[record.person]] = record  # type: ignore[index]
        except VotesError:  # too many people times labels
            pass
    by_gold, gold_keys = _against_gold_tasks(votes, gold, tolerance, by_label=are_labels)
    if by_gold:
        for row, vote in enumerate(votes):
            if vote.person in by_gold:
                entry = gold.get(vote.task)
                hits[row], weights[row] = math.nan, 0.0
                if entry is not None and entry.answer is not None:
                    hits[row], weights[row] = matches_gold(vote.answer, entry, tolerance=tolerance), 1.0
        reordered = {person: _reorder_labels(record, gold_keys, label_keys) for person, record in by_gold.items()}
        records = {**records, **reordered}
        label_keys = (*label_keys, *(key for key in gold_keys if key not in label_keys))
    return AccuracyTable(records, label_keys, hits, weights, {} if are_labels else _distances(shared))


def compare_people(votes: Votes, *, fit: Consensus | None, gold: Ints | None) -> tuple[Reliability, ...]:
    """Compare each person with gold where they answered enough of it, else with the other people.

    `fit` is a Dawid-Skene or hierarchical consensus of these votes; None leaves only gold. `gold` (n_tasks,) are label
    codes, -1 where unknown; None leaves only the other people.
    """
    by_others = against_others(votes, fit=fit) if fit is not None else ()
    if gold is None:
        return by_others
    by_gold = {record.person: record for record in against_gold(votes, gold) if record.compared >= _MIN_GOLD_ANSWERS}
    return tuple(by_gold.get(record.person, record) for record in by_others) or tuple(by_gold.values())


def onboarding_progress(
    votes: Sequence[Vote], gold: Mapping[int, GoldTask], *, onboarding_tasks: Collection[int], tolerance: float
) -> dict[int, OnboardingProgress]:
    """Return each person's progress on the onboarding tasks, by user id."""
    tasks = set(onboarding_tasks)
    answered: dict[int, list[Vote]] = {vote.person: [] for vote in votes}
    for vote in votes:
        if vote.task in tasks:
            answered[vote.person].append(vote)
    progress = {}
    for person, own in answered.items():
        judged = [
            matches_gold(vote.answer, gold[vote.task], tolerance=tolerance)
            for vote in own
            if vote.task in gold and gold[vote.task].answer is not None
        ]
        progress[person] = OnboardingProgress(len(own), len(tasks), wilson(sum(judged), len(judged)))
    return progress


def _against_gold_tasks(
    votes: Sequence[Vote], gold: Mapping[int, GoldTask], tolerance: float, *, by_label: bool
) -> tuple[dict[int, Reliability], tuple[str, ...]]:
    """Compare everybody who answered enough gold; per label of the gold answer where `by_label` is set."""
    judged = [vote for vote in votes if vote.task in gold and gold[vote.task].answer is not None]
    if not judged:
        return {}, ()
    right = [matches_gold(vote.answer, gold[vote.task], tolerance=tolerance) for vote in judged]
    answers = [gold[vote.task].answer for vote in judged]
    truth = [answer.key if by_label and answer else "" for answer in answers]
    keys = sorted(set(truth))
    label_code = {key: code for code, key in enumerate(keys)}
    # one more label represents every wrong answer: what counts is whether the gold answer was given
    given = [label_code[key] if hit else len(keys) for key, hit in zip(truth, right, strict=True)]
    people = sorted({vote.person for vote in judged})
    person_code = {person: code for code, person in enumerate(people)}
    coded = Votes(
        np.arange(len(judged)),
        [person_code[vote.person] for vote in judged],
        given,
        len(judged),
        len(people),
        len(keys) + 1,
    )
    records = against_gold(coded, np.array([label_code[key] for key in truth]))
    enough = {people[record.person]: record for record in records if record.compared >= _MIN_GOLD_ANSWERS}
    return enough, tuple(keys) if by_label else ()


def _reorder_labels(record: Reliability, own_keys: Sequence[str], label_keys: Sequence[str]) -> Reliability:
    """Return the record with its labels in the order of `label_keys`, then those that only gold has."""
    figures = dict(zip(own_keys, record.by_label, strict=False))
    order = [*label_keys, *(key for key in own_keys if key not in label_keys)]
    unknown = Interval(0.0, 1.0, math.nan)
    by_label = tuple(figures.get(key, unknown) for key in order)
    return Reliability(record.person, record.votes, record.compared, record.accuracy, by_label, record.against)


def _distances(votes: Sequence[Vote]) -> dict[int, AnnotatorDistance]:
    votes = votes[-_MAX_DISTANCE_ANSWERS:]
    if not votes:
        return {}
    try:
        distance = get_codec(votes[0].answer.kind).distance
    except UnknownName:
        return {}
    encoded = _encode(votes)
    records = distances_of_answers(encoded.votes.tasks, encoded.votes.people, [vote.answer for vote in votes], distance)
    return {encoded.people[record.person]: record for record in records if record.compared}  # type: ignore[misc]


def _encode(votes: Sequence[Vote]) -> EncodedVotes:
    return encode_votes([vote.task for vote in votes], [vote.person for vote in votes], [vote.answer for vote in votes])
