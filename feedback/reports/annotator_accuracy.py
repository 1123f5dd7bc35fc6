"""How often each person is right: against the gold book where they met enough of it, else against the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from feedback.annotators.correctness import is_right
from feedback.annotators.distance import Closeness, answers_apart
from feedback.annotators.gold import GoldTask
from feedback.annotators.reliability import Reliability, against_gold, against_others, hits_by_others
from feedback.consensus import hierarchical
from feedback.errors import VotesError
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.annotator_counts import answer_text
from feedback.stats import Interval
from feedback.stats.intervals import wilson
from feedback.store import Vote
from feedback.votes import LABELS, Floats, Named, Votes, name_columns
from ml_backend.codecs import codec
from ml_backend.errors import UnknownName

_FEW_GOLD = 5  # gold answers of one person below which the others judge instead
_MOST_REGIONS = 5_000  # answers that are compared by distance: each with all others of its task


@dataclass(frozen=True, slots=True)
class Accuracies:
    """What is known of everybody's accuracy; every mapping is by person."""

    records: Mapping[int, Reliability] = field(default_factory=dict)
    words: tuple[str, ...] = ()  # what the labels of `by_label` are called
    right: Floats = field(default_factory=lambda: np.zeros(0))  # (votes,) how much of a hit each is; NaN: not judged
    worth: Floats = field(default_factory=lambda: np.zeros(0))  # (votes,) how much that tells
    distances: Mapping[int, Closeness] = field(default_factory=dict)  # from the others, where answers are more or less


@dataclass(frozen=True, slots=True)
class Onboarding:
    """How far somebody is through the tasks that everybody is asked first."""

    answered: int
    of: int
    right: Interval  # of those with a known answer


def accuracies(snapshot: ProjectSnapshot, book: Mapping[int, GoldTask]) -> Accuracies:
    """Judge people on tasks that were drawn for several of them, and on those of the gold book; on no others.

    Whoever answered five gold tasks is judged by gold alone: the others may all be wrong.
    """
    asked = {task for task, one in book.items() if one.answer is None}
    places = [at for at, vote in enumerate(snapshot.votes) if vote.task in snapshot.doubled or vote.task in asked]
    right, worth = np.full(len(snapshot.votes), math.nan), np.zeros(len(snapshot.votes))
    records: dict[int, Reliability] = {}
    words: tuple[str, ...] = ()
    shared = [snapshot.votes[at] for at in places]
    labels = _are_labels(snapshot.votes)
    if shared and labels:
        named = _named(shared)
        words = tuple(answer_text(label.key) for label in named.labels)  # type: ignore[attr-defined]
        try:
            fit = hierarchical(named.votes)
            found = against_others(named.votes, fit=fit)
            right[places], worth[places] = hits_by_others(named.votes, fit=fit)
            records = {named.people[one.person]: one for one in found if one.compared}  # type: ignore[misc]
        except VotesError:  # too many people × labels
            pass
    by_gold, gold_words = _by_gold(snapshot, book, named=labels)
    if by_gold:
        truth = {task: one for task, one in book.items() if one.answer is not None}
        for at, vote in enumerate(snapshot.votes):
            if vote.person in by_gold:
                known = truth.get(vote.task)
                right[at] = math.nan if known is None else is_right(vote.answer, known, usual=_usual(snapshot))
                worth[at] = float(known is not None)
        records = {**records, **{person: _in_words(one, gold_words, words) for person, one in by_gold.items()}}
        words = (*words, *(word for word in gold_words if word not in words))
    return Accuracies(records, words, right, worth, {} if labels else _distances(shared))


def onboarding(snapshot: ProjectSnapshot, book: Mapping[int, GoldTask]) -> dict[int, Onboarding]:
    """How far each person is through the onboarding tasks, and how often they were right there."""
    first = set(snapshot.onboarding)
    said: dict[int, list[Vote]] = {vote.person: [] for vote in snapshot.votes}
    for vote in snapshot.votes:
        if vote.task in first:
            said[vote.person].append(vote)
    found = {}
    for person, votes in said.items():
        judged = [
            is_right(vote.answer, book[vote.task], usual=_usual(snapshot))
            for vote in votes
            if vote.task in book and book[vote.task].answer is not None
        ]
        found[person] = Onboarding(len(votes), len(first), wilson(sum(judged), len(judged)))
    return found


def _by_gold(
    snapshot: ProjectSnapshot, book: Mapping[int, GoldTask], *, named: bool
) -> tuple[dict[int, Reliability], tuple[str, ...]]:
    """Everybody who met enough gold; by label of the known answer where `named`, else only right or not."""
    votes = [vote for vote in snapshot.votes if vote.task in book and book[vote.task].answer is not None]
    if not votes:
        return {}, ()
    rights = [is_right(vote.answer, book[vote.task], usual=_usual(snapshot)) for vote in votes]
    answers = [book[vote.task].answer for vote in votes]
    truth = [answer.key if named and answer else "" for answer in answers]
    labels = sorted(set(truth))
    code = {key: place for place, key in enumerate(labels)}
    # one more label for whatever is wrong: what counts is whether the known answer was given
    said = [code[key] if right else len(labels) for key, right in zip(truth, rights, strict=True)]
    people = sorted({vote.person for vote in votes})
    place = {person: at for at, person in enumerate(people)}
    coded = Votes(
        np.arange(len(votes)), [place[vote.person] for vote in votes], said, len(votes), len(people), len(labels) + 1
    )
    found = against_gold(coded, np.array([code[key] for key in truth]))
    enough = {people[one.person]: one for one in found if one.compared >= _FEW_GOLD}
    return enough, tuple(answer_text(key) for key in labels) if named else ()


def _in_words(one: Reliability, own: Sequence[str], words: Sequence[str]) -> Reliability:
    """The same record with its labels in the order of `words`, then those that are only in the gold book."""
    place = dict(zip(own, one.by_label, strict=False))
    order = [*words, *(word for word in own if word not in words)]
    unknown = Interval(0.0, 1.0, math.nan)
    by_label = tuple(place.get(word, unknown) for word in order)
    return Reliability(one.person, one.votes, one.compared, one.accuracy, by_label, one.against)


def _distances(votes: Sequence[Vote]) -> dict[int, Closeness]:
    votes = votes[-_MOST_REGIONS:]
    if not votes:
        return {}
    try:
        distance = codec(votes[0].answer.kind).distance
    except UnknownName:
        return {}
    named = _named(votes)
    apart = answers_apart(named.votes.tasks, named.votes.people, [vote.answer for vote in votes], distance)
    return {named.people[one.person]: one for one in apart if one.compared}  # type: ignore[misc]


def _are_labels(votes: Sequence[Vote]) -> bool:
    return {vote.answer.kind for vote in votes} <= set(LABELS)


def _named(votes: Sequence[Vote]) -> Named:
    return name_columns([v.task for v in votes], [v.person for v in votes], [v.answer for v in votes])


def _usual(snapshot: ProjectSnapshot) -> float:
    return snapshot.policy.gold.tolerance
