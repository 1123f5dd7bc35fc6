"""Opinions: what the votes on each task say together, weighed by how reliable people are."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from feedback.consensus import Consensus, auto, hierarchical, method
from feedback.consensus.worth import gains
from feedback.errors import VotesError
from feedback.votes import Floats, Named, Votes, name_columns
from ml_backend.errors import UnknownName
from ml_backend.records import Answer

_LOG = logging.getLogger(__name__)
_LABELS = ("choices", "pairwise", "taxonomy", "rating")  # answers that are right or wrong, not more or less
_MOST_LABELS = 200  # error rates grow with its square
_FEW_PEOPLE = 3  # of two who differ nobody can tell who errs
_FEW = 5.0  # votes a person on shared tasks, below which nobody's habits can be told from luck
_SMALLEST = 1e-10


class _Said(Protocol):
    """What weighing needs of a vote."""

    @property
    def task(self) -> int: ...
    @property
    def person(self) -> int: ...
    @property
    def answer(self) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the votes on one task say together."""

    answer: Answer  # one that somebody gave
    confidence: float  # probability that it is right, (0, 1]
    weight: float  # for training, (0, 1]: the lead over chance; what may as well be a guess weighs next to nothing


@dataclass(frozen=True, slots=True)
class Opinions:
    """Opinions by task; none where majorities decide, and `reason` says why."""

    by_task: Mapping[int, Opinion] = field(default_factory=dict, repr=False)
    method: str = "majority"
    reason: str = ""
    gain: Mapping[int, float] = field(default_factory=dict, repr=False)  # of another vote, where no new task is left
    lead: Mapping[int, float] = field(default_factory=dict, repr=False)  # the same, less what a new task would tell
    answers: tuple[Answer, ...] = ()  # every answer that was given
    rows: Mapping[int, Floats] = field(default_factory=dict, repr=False)  # task -> probability of each of `answers`


def weigh(votes: Sequence[_Said], *, by: str) -> Opinions:
    """Weigh votes by the method `by`; "auto" chooses, and leaves it to majorities where too little is known of people.

    People's habits are learnt where several answered the same task; a single vote is as good as its person. Give the
    votes on tasks that models learn from, no others: what is proved by audit and gold tasks must be said by majority.
    """
    return _weigh(_named(votes), by)


def _weigh(named: Named, by: str) -> Opinions:
    answers = _answers(named)
    if by == "majority" or not answers:
        return Opinions()
    if len(answers) > _MOST_LABELS or answers[0].kind not in _LABELS:
        return Opinions(reason="answers of this type are not right or wrong")
    if len(named.labels) < 2:
        return Opinions(reason="everybody gives the same answer")
    shared = np.bincount(named.votes.tasks)[named.votes.tasks] > 1
    several = named.votes.where(shared)
    people = len(np.unique(several.people))
    if people < _FEW_PEOPLE or len(several) < _FEW * people:
        reason = f"{len(several)} votes of {people} people on shared tasks are too few to learn people's habits"
        return Opinions(reason=reason)
    try:
        fit, habits, reason = _fit(by, several)
    except (VotesError, UnknownName) as error:
        return Opinions(reason=str(error))
    if by == "auto" and fit.method == "majority":
        return Opinions(reason=reason)
    return _opinions(named, fit, habits, reason)


def _named(votes: Sequence[_Said]) -> Named:
    return name_columns([v.task for v in votes], [v.person for v in votes], [v.answer for v in votes])


def _answers(named: Named) -> list[Answer]:
    answers: list[Answer] = list(named.labels)  # type: ignore[arg-type]
    return answers


def _fit(by: str, several: Votes) -> tuple[Consensus, Consensus, str]:
    """The consensus, a fit that knows error rates, and why."""
    if by == "auto":
        choice = auto(several)
        return choice.consensus, choice.fits.get("hierarchical", choice.consensus), choice.reason
    fit = method(by)(several)
    return fit, hierarchical(several) if fit.errors is None else fit, f"the policy says {by}"


def _opinions(named: Named, fit: Consensus, habits: Consensus, reason: str) -> Opinions:
    votes = named.votes
    errors, prior, usual = _rates(habits, votes.n_people, votes.n_labels)
    rows = fit.proba.copy()
    alone = np.bincount(votes.tasks, minlength=votes.n_tasks)[votes.tasks] == 1
    single = prior * errors[votes.people[alone], :, votes.labels[alone]]
    rows[votes.tasks[alone]] = single / np.maximum(single.sum(axis=1, keepdims=True), _SMALLEST)
    given = np.zeros(rows.shape, dtype=bool)
    given[votes.tasks, votes.labels] = True
    best = np.where(given, rows, -1.0).argmax(axis=1)  # nobody's answer is nobody's consensus
    sure = rows[np.arange(len(rows)), best]
    k = rows.shape[1]
    weight = np.clip(np.round((k * sure - 1.0) / (k - 1), 1), 0.05, 1.0)  # coarse: the next vote must not change all
    answers = _answers(named)
    tasks: list[int] = list(named.tasks)  # type: ignore[arg-type]
    by_task = {
        task: Opinion(answers[label], round(p, 4), round(w, 2))
        for task, label, p, w in zip(tasks, best.tolist(), sure.tolist(), weight.tolist(), strict=True)
    }
    more, lead = gains(rows, usual, None), gains(rows, usual, prior)
    return Opinions(
        by_task,
        fit.method,
        reason,
        dict(zip(tasks, more.tolist(), strict=True)),
        dict(zip(tasks, lead.tolist(), strict=True)),
        tuple(answers),
        dict(zip(tasks, rows, strict=True)),
    )


def _rates(habits: Consensus, n_people: int, n_labels: int) -> tuple[Floats, Floats, Floats]:
    """Error rates of everybody (n_people, k, k), how common labels are (k,), and the rates of the usual person."""
    errors = np.zeros((n_people, n_labels, n_labels))
    learnt = habits.errors if habits.errors is not None else errors[:0]
    errors[: len(learnt)] = learnt
    known = errors.sum(axis=(1, 2)) > 0
    usual = errors[known].mean(axis=0)
    errors[~known] = usual
    prior = habits.prior if habits.prior is not None else habits.proba.mean(axis=0)
    return errors, prior, usual


class Weighing:
    """Remembers the opinions of each project for as long as its votes stay the same."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Opinions]] = {}

    def of(self, project: str, votes: Iterable[_Said], *, by: str) -> Opinions:
        """Opinions on these votes; only new votes cost time."""
        named = _named(list(votes))
        digest = hashlib.blake2b(repr((by, named.tasks, named.people, [one.key for one in _answers(named)])).encode())
        for column in (named.votes.tasks, named.votes.people, named.votes.labels):
            digest.update(column.tobytes())
        known = self._known.get(project)
        if known is None or known[0] != digest.hexdigest():
            known = self._known[project] = (digest.hexdigest(), _weigh(named, by))
            _LOG.info("project %s: consensus by %s: %s", project, known[1].method, known[1].reason)
        return known[1]
