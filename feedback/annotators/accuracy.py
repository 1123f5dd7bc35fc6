"""How often each person is right, against gold or the other people; how much they follow predictions that they see."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from feedback.annotators.distance_from_others import AnnotatorDistance, distances_of_answers
from feedback.annotators.gold import GoldTask, matches_gold
from feedback.consensus import Consensus, hierarchical_dawid_skene
from feedback.errors import VotesError
from feedback.stats.intervals import Bools, Interval, newcombe, wilson
from feedback.store import OverlapVote, OverrideRow, Vote
from feedback.votes import LABEL_KINDS, EncodedVotes, Floats, Ints, Votes, encode_votes
from ml_backend.codecs import get_codec
from ml_backend.errors import UnknownName

_EPS = 1e-10
_MIN_GOLD_ANSWERS = 5  # a person with fewer is compared with the other people instead
_MIN_COMPARED = 15  # before a pause is advised
_MAX_DISTANCE_ANSWERS = 5_000  # each answer is compared with all others of its task
Against = Literal["gold", "others"]


@dataclass(frozen=True, slots=True)
class Reliability:
    """The accuracy of one person; the interval is [0, 1] where nothing could be compared."""

    person: int  # code
    votes: int
    compared: int  # votes with something to compare with
    accuracy: Interval
    by_label: tuple[Interval, ...]  # accuracy on tasks with this true label
    against: Against

    @property
    def weakest_label(self) -> int | None:
        """Return the label with the lowest accuracy, if that is below the overall accuracy beyond chance; else None."""
        weak = [k for k, accuracy in enumerate(self.by_label) if accuracy.high < self.accuracy.low]
        return min(weak, key=lambda k: self.by_label[k].value) if weak else None


@dataclass(frozen=True, slots=True)
class AccuracyTable:
    """The accuracy of every person; the mappings are by Label Studio user id."""

    records: Mapping[int, Reliability]
    label_keys: tuple[str, ...]  # answer keys of the labels, in the order of `Reliability.by_label`
    hits: Floats  # (n_votes,) NaN where the vote was not judged
    weights: Floats  # (n_votes,) information in each hit; 0: none
    distances: Mapping[int, AnnotatorDistance]  # of numbers and regions


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
    shared = [votes[row] for row in rows]
    are_labels = {vote.answer.kind for vote in votes} <= set(LABEL_KINDS)
    if shared and are_labels:
        encoded = encode_answers(shared)
        label_keys = tuple(label.key for label in encoded.labels)  # type: ignore[attr-defined]
        try:
            fit = hierarchical_dawid_skene(encoded.votes)
        except VotesError:  # too many people times labels
            pass
        else:
            hits[rows], weights[rows] = hits_against_others(encoded.votes, fit=fit)
            compared = [record for record in against_others(encoded.votes, fit=fit) if record.compared]
            records = {encoded.people[record.person]: record for record in compared}  # type: ignore[misc]
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


def against_gold(votes: Votes, gold: Ints) -> tuple[Reliability, ...]:
    """Compare each person with gold labels; intervals are Wilson's.

    `gold` (n_tasks,) is -1 where unknown. A code of k or more is a label that nobody gave: every vote on that task is
    wrong. VotesError where it does not have one row per task.

    >>> records = against_gold(Votes([0, 1, 2], [0, 0, 0], [1, 1, 0]), np.array([1, 0, -1]))
    >>> str(records[0].accuracy), records[0].compared
    ('0.50 [0.09, 0.91]', 2)
    """
    if len(gold) != votes.n_tasks:
        raise VotesError(f"gold has {len(gold)} rows, wanted {votes.n_tasks}: one per task, -1 where unknown.")
    truth = gold[votes.tasks]
    judged = truth >= 0
    expected = np.zeros((len(votes), votes.n_labels + 1))  # the last column is any label that nobody gave
    expected[judged, np.minimum(truth[judged], votes.n_labels)] = 1.0
    return _compare(votes, expected, judged, "gold")


def against_others(votes: Votes, *, fit: Consensus | None = None) -> tuple[Reliability, ...]:
    """Compare each person with the consensus of the other people on the same tasks, without their own votes.

    `fit` is a Dawid-Skene consensus of these votes; a hierarchical one is fitted by default, and VotesError is raised
    where its method learns no error rates. A person's own vote is taken out of the probabilities of a task by dividing
    by their error rate.

    >>> votes = Votes(np.repeat(np.arange(40), 3), np.tile([0, 1, 2], 40), np.repeat(np.arange(40) % 2, 3))
    >>> [round(record.accuracy.value, 2) for record in against_others(votes)]
    [1.0, 1.0, 1.0]
    """
    return _compare(votes, _label_probabilities_by_others(votes, fit), _shared(votes), "others")


def hits_against_others(votes: Votes, *, fit: Consensus | None = None) -> tuple[Floats, Floats]:
    """Return the hit and the weight of each vote against the other people, both (n,); 0 without other people.

    The sum of hits over the sum of weights, over any votes of a person, estimates their accuracy on these votes.
    """
    hits, weights = _hits(_label_probabilities_by_others(votes, fit), votes.labels)
    shared = _shared(votes)
    return np.where(shared, hits, 0.0), np.where(shared, weights, 0.0)


def advise_pause(record: Reliability, *, below: float) -> str:
    """Return a sentence that advises to pause a person, or "" unless even the upper bound is below the threshold.

    >>> careless = Reliability(3, 40, 40, wilson(20, 40), (), "gold")
    >>> advise_pause(careless, below=0.8)
    'right on 0.50 [0.35, 0.65] of 40 gold answers: proven below 0.8'
    >>> advise_pause(careless, below=0.6)
    ''
    """
    if record.compared < _MIN_COMPARED or not record.accuracy.high < below:
        return ""
    what = "gold answers" if record.against == "gold" else "tasks that others answered too"
    return f"right on {record.accuracy} of {record.compared} {what}: proven below {below:g}"


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
    figures, unknown = dict(zip(own_keys, record.by_label, strict=False)), Interval(0.0, 1.0, math.nan)
    return replace(record, by_label=tuple(figures.get(key, unknown) for key in label_keys))


def _distances(votes: Sequence[Vote]) -> dict[int, AnnotatorDistance]:
    votes = votes[-_MAX_DISTANCE_ANSWERS:]
    if not votes:
        return {}
    try:
        distance = get_codec(votes[0].answer.kind).distance
    except UnknownName:
        return {}
    encoded = encode_answers(votes)
    records = distances_of_answers(encoded.votes.tasks, encoded.votes.people, [vote.answer for vote in votes], distance)
    return {encoded.people[record.person]: record for record in records if record.compared}  # type: ignore[misc]


def encode_answers(votes: Sequence[Vote] | Sequence[OverlapVote]) -> EncodedVotes:
    """Encode votes with their answers as labels."""
    return encode_votes([vote.task for vote in votes], [vote.person for vote in votes], [vote.answer for vote in votes])


def _label_probabilities_by_others(votes: Votes, fit: Consensus | None) -> Floats:
    """Return the label probabilities of each vote's task from the other votes on it, (n, k).

    A row has no meaning where there is no other vote.
    """
    fit = hierarchical_dawid_skene(votes) if fit is None else fit
    if fit.errors is None:
        raise VotesError(f"{fit.method} learns no error rates; wanted a fit of dawid_skene or hierarchical.")
    log = np.log(np.maximum(fit.proba[votes.tasks], _EPS))
    log -= np.log(np.maximum(fit.errors[votes.people, :, votes.labels], _EPS))
    others = np.exp(log - log.max(axis=1, keepdims=True))
    rows: Floats = others / others.sum(axis=1, keepdims=True)
    return rows


def _compare(votes: Votes, expected: Floats, judged: Bools, against: Against) -> tuple[Reliability, ...]:
    """Compare votes with the label probabilities of their tasks, `expected` (n, k).

    Against an uncertain label, a person who is always right would still seem to be wrong sometimes. The accuracy is
    therefore a regression of hits on the probabilities; for probabilities of 0 and 1 it is the share of hits.
    """
    n, k = votes.n_people, votes.n_labels
    people, labels, rows = votes.people[judged], votes.labels[judged], expected[judged]
    n_votes, compared = np.bincount(votes.people, minlength=n), np.bincount(people, minlength=n)
    hits, weights = (np.bincount(people, weights=values, minlength=n) for values in _hits(rows, labels))
    by_label = [_recall(people, labels == label, rows[:, label], n) for label in range(k)]
    return tuple(
        Reliability(
            person,
            int(n_votes[person]),
            int(compared[person]),
            _accuracy(hits[person], weights[person]),
            tuple(_accuracy(right[person], total[person]) for right, total in by_label),
            against,
        )
        for person in np.flatnonzero(n_votes).tolist()
    )


def _hits(rows: Floats, labels: Ints) -> tuple[Floats, Floats]:
    """Return each comparison's hit, and its weight in comparisons with a certain label, both (n,)."""
    sharpness = (rows**2).sum(axis=1)
    chance = (1.0 - sharpness) / max(rows.shape[1] - 1, 1)  # the expected hit of somebody who is always wrong
    slope = sharpness - chance  # 1 for a certain label, 0 where nothing is known
    return slope * (rows[np.arange(len(labels)), labels] - chance), slope**2


def _shared(votes: Votes) -> Bools:
    return np.bincount(votes.tasks, minlength=votes.n_tasks)[votes.tasks] > 1


def _recall(people: Ints, given: Bools, proba: Floats, n: int) -> tuple[Floats, Floats]:
    """Return, per person, the hits on one true label and their number: a regression on the label's probability."""
    other = 1.0 - proba
    own_squared, mixed, other_squared, right, wrong = (
        np.bincount(people, weights=weights, minlength=n)
        for weights in (proba**2, proba * other, other**2, proba * given, other * given)
    )
    slope = mixed / np.maximum(other_squared, _EPS)
    return right - slope * wrong, own_squared - slope * mixed


def _accuracy(hits: float, total: float) -> Interval:
    total = float(total) if total > _EPS else 0.0
    return wilson(min(max(float(hits), 0.0), total), total)
