"""How often each person is right, against gold or the other people; how much they follow predictions that they see."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np

from feedback.annotators.accuracy_intervals import FAMILY_LEVEL, accuracy_intervals
from feedback.annotators.distance_from_others import AnnotatorDistance, distances_of_answers
from feedback.annotators.gold import GoldTask, matches_gold
from feedback.consensus import hierarchical_dawid_skene
from feedback.errors import VotesError
from feedback.stats.intervals import Bools, Interval, clopper_pearson, newcombe
from feedback.store import OverrideRow, Vote
from feedback.votes import LABEL_KINDS, EncodedVotes, Floats, Ints, Votes, encode_votes
from ml_backend.codecs import answer_distance, get_codec
from ml_backend.errors import UnknownName
from ml_backend.number_format import format_count, format_set_percent, format_share

_EPS = 1e-10
_MIN_GOLD_ANSWERS = 5  # a person with fewer is compared with the other people instead
_MIN_COMPARED = 15  # before a pause is advised
_MAX_DISTANCE_ANSWERS = 5_000  # each answer is compared with all others of its task
Against = Literal["gold", "others"]
SAMPLES: Mapping[str, str] = {"gold": "gold answers", "others": "shared tasks"}  # what people are compared on, in words


@dataclass(frozen=True, slots=True)
class Reliability:
    """The accuracy of one person.

    An interval is [0, 1] where nothing could be compared, and its value is NaN where it is too wide to tell anything.
    Who is named, and for what, follows from the family's intervals alone.
    """

    person: int  # code
    votes: int
    compared: int  # votes with something to compare with
    accuracy: Interval
    by_label: tuple[Interval, ...]  # accuracy on tasks with this true label
    against: Against
    family_accuracy: Interval  # these and those of all other people hold together with probability 0.95
    family_by_label: tuple[Interval, ...]
    reason: str = ""  # why votes cannot tell how often this person is right; "" where they can

    @property
    def weakest_label(self) -> int | None:
        """Return the label with the lowest accuracy, if that is below the overall accuracy beyond chance; else None."""
        weak = [k for k, own in enumerate(self.family_by_label) if own.high < self.family_accuracy.low]
        return min(weak, key=lambda k: self.family_by_label[k].high) if weak else None

    @property
    def unclear_labels(self) -> tuple[int, ...]:
        """Return the labels on which the votes of the others cannot tell how often the person is right."""
        asked = self.compared and self.against == "others"
        return tuple(k for k, own in enumerate(self.by_label) if asked and math.isnan(own.value))


@dataclass(frozen=True, slots=True)
class AccuracyTable:
    """The accuracy of every person; the mappings are by Label Studio user id."""

    records: Mapping[int, Reliability]
    label_keys: tuple[str, ...]  # answer keys of the labels, in the order of `Reliability.by_label`
    hits: Floats  # (n_votes,) NaN where the vote was not judged
    weights: Floats  # (n_votes,) information in each hit; 0: none
    distances: Mapping[int, AnnotatorDistance]  # of numbers and regions
    note: str = ""  # why people are not compared with each other


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

    A person with five gold answers or more is compared with gold alone, because all other people may be wrong. `votes`
    are the latest of each person on each task, `overlap_tasks` ids of the tasks drawn at random for several people. A
    calibration task, gold without an answer, counts as one of them. `tolerance` is that of `matches_gold`.
    """
    calibration = {task for task, entry in gold.items() if entry.answer is None}
    rows = [row for row, vote in enumerate(votes) if vote.task in overlap_tasks or vote.task in calibration]
    hits, weights = np.full(len(votes), math.nan), np.zeros(len(votes))
    records: dict[int, Reliability] = {}
    label_keys: tuple[str, ...] = ()
    note = ""
    shared = [votes[row] for row in rows]
    are_labels = {vote.answer.kind for vote in votes} <= set(LABEL_KINDS)
    if shared and are_labels:
        encoded = encode_answers(shared)
        label_keys = tuple(label.key for label in encoded.labels)  # type: ignore[attr-defined]
        try:
            by_others = against_others(encoded.votes)
            hits[rows], weights[rows] = hits_against_others(encoded.votes)
        except VotesError as error:  # too many labels
            note = str(error)
        else:
            records = {encoded.people[record.person]: record for record in by_others}  # type: ignore[misc]
    by_gold, gold_keys = _against_gold_tasks(votes, gold, tolerance, by_label=are_labels)
    if by_gold:
        for row, vote in enumerate(votes):
            if vote.person in by_gold:
                entry = gold.get(vote.task)
                hits[row], weights[row] = math.nan, 0.0
                if entry is not None and entry.answer is not None:
                    hits[row], weights[row] = matches_gold(vote.answer, entry, tolerance=tolerance), 1.0
        label_keys = tuple(dict.fromkeys((*label_keys, *gold_keys)))
        records |= {person: _reorder_labels(record, gold_keys, label_keys) for person, record in by_gold.items()}
    return AccuracyTable(records, label_keys, hits, weights, {} if are_labels else _distances(shared), note)


def compare_people(votes: Votes, *, gold: Ints | None) -> tuple[tuple[Reliability, ...], str]:
    """Compare each person with gold where they answered enough of it, else with the other people.

    `gold` (n_tasks,) are label codes, -1 where unknown; None leaves only the other people. The text says why people
    cannot be compared with each other; "" where they can.
    """
    by_others, note = tuple[Reliability, ...](), ""
    try:
        by_others = against_others(votes)
    except VotesError as error:
        note = str(error)
    if gold is None:
        return by_others, note
    by_gold = {record.person: record for record in against_gold(votes, gold) if record.compared >= _MIN_GOLD_ANSWERS}
    return tuple(by_gold.get(record.person, record) for record in by_others) or tuple(by_gold.values()), note


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
        progress[person] = OnboardingProgress(len(own), len(tasks), clopper_pearson(sum(judged), len(judged)))
    return progress


def against_gold(votes: Votes, gold: Ints) -> tuple[Reliability, ...]:
    """Compare each person with gold labels; intervals are exact (Clopper-Pearson).

    `gold` (n_tasks,) is -1 where unknown. A code of k or more is a label that nobody gave: every vote on that task is
    wrong. VotesError where it does not have one row per task.

    >>> records = against_gold(Votes([0, 1, 2], [0, 0, 0], [1, 1, 0]), np.array([1, 0, -1]))
    >>> str(records[0].accuracy), records[0].compared
    ('0.50 [0.01, 0.99]', 2)
    """
    if len(gold) != votes.n_tasks:
        raise VotesError(f"gold has {len(gold)} rows, wanted {votes.n_tasks}: one per task, -1 where unknown.")
    n, k, truth = votes.n_people, votes.n_labels, gold[votes.tasks]
    right = np.zeros((n, k + 2), dtype=np.int64)  # by true label, any label that nobody gave, and all together
    judged = right.copy()
    for table, rows in ((judged, truth >= 0), (right, truth == votes.labels)):
        np.add.at(table, (votes.people[rows], np.minimum(truth[rows], k)), 1)
        table[:, -1] = table.sum(axis=1)
    n_votes = np.bincount(votes.people, minlength=n)
    people = np.flatnonzero(n_votes).tolist()
    confidence = 1.0 - FAMILY_LEVEL / max(int((judged[:, :k] > 0).sum() + (judged[:, -1] > 0).sum()), 1)
    figures = [*range(k), k + 1]

    @cache  # of thousands of labels most have the same few counts
    def interval(hits: int, total: int, confidence: float) -> Interval:
        return clopper_pearson(hits, total, confidence=confidence)

    def intervals(person: int, confidence: float) -> list[Interval]:
        counts = zip(right[person, figures].tolist(), judged[person, figures].tolist(), strict=True)
        return [interval(hits, total, confidence) for hits, total in counts]

    return tuple(
        _record(person, n_votes, judged[person, -1], "gold", intervals(person, 0.95), intervals(person, confidence))
        for person in people
    )


def against_others(votes: Votes) -> tuple[Reliability, ...]:
    """Compare each person with the other people on the same tasks; the intervals are those of `accuracy_intervals`.

    VotesError where there are too many labels. People who share tasks with fewer than two others are compared with
    nobody: of two people who differ, nobody can know who is right.

    >>> votes = Votes(np.repeat(np.arange(40), 3), np.tile([0, 1, 2], 40), np.repeat(np.arange(40) % 2, 3))
    >>> [round(record.accuracy.value, 2) for record in against_others(votes)]
    [1.0, 1.0, 1.0]
    """
    found, n_votes = accuracy_intervals(votes), np.bincount(votes.people, minlength=votes.n_people)
    n_shared = np.bincount(votes.people[_shared(votes)], minlength=votes.n_people)
    records = []
    for person in np.flatnonzero(n_votes).tolist():
        rows = zip(found.low[person], found.high[person], found.value[person], strict=True)
        family = zip(found.family_low[person], found.family_high[person], found.value[person], strict=True)
        own, wide = ([Interval(*map(float, bounds)) for bounds in row] for row in (rows, family))
        reason = ""
        if not n_shared[person]:
            reason = "nobody else has answered their tasks, so nothing tells how often they are right"
        elif not found.compared[person]:
            reason = "only two people share these tasks, and their votes do not tell who is right"
        elif not found.converged:
            reason = "the fit of all votes did not converge, so the intervals may be too narrow"
        elif math.isnan(own[-1].value):
            reason = "the votes do not tell how often the answers are right"
        n_compared = int(n_shared[person]) if found.compared[person] else 0
        records.append(replace(_record(person, n_votes, n_compared, "others", own, wide), reason=reason))
    return tuple(records)


def _record(
    person: int, n_votes: Ints, compared: int, against: Against, own: Sequence[Interval], family: Sequence[Interval]
) -> Reliability:
    """Return the record from intervals of each label and, last, of all tasks."""
    *by_label, accuracy = own
    *family_by_label, family_accuracy = family
    figures = accuracy, tuple(by_label), against, family_accuracy, tuple(family_by_label)
    return Reliability(person, int(n_votes[person]), int(compared), *figures)


def hits_against_others(votes: Votes) -> tuple[Floats, Floats]:
    """Return the hit and the weight of each vote against the other people, both (n,); 0 without other people.

    The sum of hits over the sum of weights, over any votes of a person, estimates their accuracy on these votes.
    """
    hits, weights = _hits(_label_probabilities_by_others(votes), votes.labels)
    shared = _shared(votes)
    return np.where(shared, hits, 0.0), np.where(shared, weights, 0.0)


def advise_pause(record: Reliability, *, below: float) -> str:
    """Return a sentence that advises to pause a person, or "" unless even the family's upper bound is below it.

    >>> careless = against_gold(Votes(range(40), [0] * 40, [0, 1] * 20), np.zeros(40, dtype=int))[0]
    >>> advise_pause(careless, below=0.8)
    'right on 50 % (34 to 66 %) of 40 gold answers: proven below 80 %'
    >>> advise_pause(careless, below=0.6)
    ''
    """
    if record.compared < _MIN_COMPARED or not record.family_accuracy.high < below:
        return ""
    own = format_share(record.accuracy.value, record.accuracy.low, record.accuracy.high)
    of = f"{format_count(record.compared)} {SAMPLES[record.against]}"
    return f"right on {own} of {of}: proven below {format_set_percent(below)}"


def measure_anchoring(answers: Iterable[OverrideRow]) -> dict[int, Interval]:
    """Measure how much more often each person agrees with a prediction that they see than with a hidden one.

    The differences of shares are in [-1, 1], with Newcombe's interval; one is proven where its lower bound is above 0.
    Where no random draw decided which tasks are blind, they may be harder.
    """
    counts: dict[int, Counter[tuple[bool, bool]]] = defaultdict(Counter)
    for row in answers:
        if row.person is not None and row.shown is not None:
            counts[row.person][row.blind, row.changed] += 1
    effects = {}
    for person, own in counts.items():
        shown, blind = own[False, False], own[True, False]  # answers equal to the prediction
        effects[person] = newcombe(shown, shown + own[False, True], blind, blind + own[True, True])
    return effects


def _against_gold_tasks(
    votes: Sequence[Vote], gold: Mapping[int, GoldTask], tolerance: float, *, by_label: bool
) -> tuple[dict[int, Reliability], tuple[str, ...]]:
    """Compare everybody who answered enough gold; per label of the gold answer where `by_label` is set."""
    judged = [vote for vote in votes if vote.task in gold and gold[vote.task].answer is not None]
    if not judged:
        return {}, ()
    answers = [gold[vote.task].answer for vote in judged]
    truth = [answer.key if by_label and answer else "" for answer in answers]
    keys = sorted(set(truth))
    label_code = {key: code for code, key in enumerate(keys)}
    # one more label represents every wrong answer: what counts is whether the gold answer was given
    given = [
        label_code[key] if matches_gold(vote.answer, gold[vote.task], tolerance=tolerance) else len(keys)
        for key, vote in zip(truth, judged, strict=True)
    ]
    people = sorted({vote.person for vote in judged})
    person_code = {person: code for code, person in enumerate(people)}
    who, n = [person_code[vote.person] for vote in judged], len(judged)
    coded = Votes(np.arange(n), who, given, n, len(people), len(keys) + 1)
    records = against_gold(coded, np.array([label_code[key] for key in truth]))
    enough = {people[record.person]: record for record in records if record.compared >= _MIN_GOLD_ANSWERS}
    return enough, tuple(keys) if by_label else ()


def _reorder_labels(record: Reliability, own_keys: Sequence[str], label_keys: Sequence[str]) -> Reliability:
    """Return the record with its labels in the order of `label_keys`."""
    unknown = Interval(0.0, 1.0, math.nan)

    def reorder(figures: Sequence[Interval]) -> tuple[Interval, ...]:
        by_key = dict(zip(own_keys, figures, strict=False))
        return tuple(by_key.get(key, unknown) for key in label_keys)

    by_label, family = reorder(record.by_label), reorder(record.family_by_label)
    return replace(record, by_label=by_label, family_by_label=family)


def _distances(votes: Sequence[Vote]) -> dict[int, AnnotatorDistance]:
    votes = votes[-_MAX_DISTANCE_ANSWERS:]
    if not votes:
        return {}
    try:
        get_codec(votes[0].answer.kind)
    except UnknownName:
        return {}
    encoded = encode_answers(votes)
    answers = [vote.answer for vote in votes]
    records = distances_of_answers(encoded.votes.tasks, encoded.votes.people, answers, answer_distance)
    return {encoded.people[record.person]: record for record in records if record.compared}  # type: ignore[misc]


def encode_answers(votes: Sequence[Vote]) -> EncodedVotes:
    """Encode votes with their answers as labels."""
    return encode_votes([vote.task for vote in votes], [vote.person for vote in votes], [vote.answer for vote in votes])


def _label_probabilities_by_others(votes: Votes) -> Floats:
    """Return the label probabilities of each vote's task from the other votes on it, (n, k).

    A row has no meaning where there is no other vote.
    """
    fit = hierarchical_dawid_skene(votes)
    log = np.log(np.maximum(fit.proba[votes.tasks], _EPS))
    log -= np.log(np.maximum(fit.errors[votes.people, :, votes.labels], _EPS))  # type: ignore[index]  # it learns them
    others = np.exp(log - log.max(axis=1, keepdims=True))
    rows: Floats = others / others.sum(axis=1, keepdims=True)
    return rows


def _hits(rows: Floats, labels: Ints) -> tuple[Floats, Floats]:
    """Return each comparison's hit, and its weight in comparisons with a certain label, both (n,)."""
    sharpness = (rows**2).sum(axis=1)
    chance = (1.0 - sharpness) / max(rows.shape[1] - 1, 1)  # the expected hit of somebody who is always wrong
    slope = sharpness - chance  # 1 for a certain label, 0 where nothing is known
    return slope * (rows[np.arange(len(labels)), labels] - chance), slope**2


def _shared(votes: Votes) -> Bools:
    return np.bincount(votes.tasks, minlength=votes.n_tasks)[votes.tasks] > 1
