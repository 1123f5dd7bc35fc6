"""Opinions: what the votes on each task say together, weighed by how reliable people are."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from feedback.consensus import Consensus, auto, hierarchical, load_method
from feedback.consensus.aggregated_label import AggregatedLabel, AggregatedLabels, VoteLike
from feedback.consensus.distance_aggregation import weigh_near
from feedback.consensus.value_of_label import gains
from feedback.errors import VotesError
from feedback.votes import LABELS, Floats, Ints, Named, Votes, name_columns
from ml_backend.errors import UnknownName
from ml_backend.records import Answer

Bools = NDArray[np.bool_]

_LOG = logging.getLogger(__name__)
_MOST_LABELS = 200  # error rates grow with its square
_FEW_PEOPLE = 3  # of two who differ nobody can tell who errs
_FEW = 5.0  # votes a person on shared tasks, below which nobody's habits can be told from luck
_SMALLEST = 1e-10


def weigh(votes: Sequence[VoteLike], *, by: str, gold: Mapping[int, Answer] | None = None) -> AggregatedLabels:
    """Weigh votes by the method `by`; "auto" chooses, and leaves it to majorities where too little is known of people.

    People's habits are learnt where several answered the same task, and on `gold` tasks, whose answers are known; a
    single vote is as good as its person. Give the votes on tasks that models learn from and on gold, no others. Gold
    tasks get no opinion, nor may audit tasks: what these prove must be said by majority. Numbers and regions are
    weighed by distance.
    """
    return _weigh(_named(votes), by, gold or {})


def _weigh(named: Named, by: str, gold: Mapping[int, Answer]) -> AggregatedLabels:
    answers = _answers(named)
    if by == "majority" or not answers:
        return AggregatedLabels()
    if answers[0].kind not in LABELS:
        return weigh_near(named, gold)
    if len(answers) > _MOST_LABELS:
        return AggregatedLabels(reason=f"{len(answers)} different answers are too many to learn people's habits")
    if len(named.labels) < 2:
        return AggregatedLabels(reason="everybody gives the same answer")
    code = {answer: place for place, answer in enumerate(answers)}
    known = np.array([code.get(gold[task], -1) if task in gold else -1 for task in named.tasks])  # type: ignore[index]
    judged = known[named.votes.tasks] >= 0
    shared = np.bincount(named.votes.tasks)[named.votes.tasks] > 1
    unknown_gold = np.array([task in gold for task in named.tasks])[named.votes.tasks] & ~judged
    several = named.votes.select((shared | judged) & ~unknown_gold)
    people = len(np.unique(several.people))
    sound = int(judged.sum()) >= _FEW * people > 0  # then gold tells who errs, of two people and of one
    if len(several) < _FEW * people or (people < _FEW_PEOPLE and not sound):
        reason = f"{len(several)} votes of {people} people on shared tasks are too few to learn people's habits"
        return AggregatedLabels(reason=reason)
    try:
        fit, habits, reason = _fit(by, several, known if sound else None)
    except (VotesError, UnknownName) as error:
        return AggregatedLabels(reason=str(error))
    if by == "auto" and fit.method == "majority":
        return AggregatedLabels(reason=reason)
    met = np.bincount(several.labels, minlength=several.n_labels) >= _FEW
    return _opinions(named, fit, habits, reason, met=met, but=gold.keys())


def _named(votes: Sequence[VoteLike]) -> Named:
    return name_columns([v.task for v in votes], [v.person for v in votes], [v.answer for v in votes])


def _answers(named: Named) -> list[Answer]:
    answers: list[Answer] = list(named.labels)  # type: ignore[arg-type]
    return answers


def _fit(by: str, several: Votes, known: Ints | None) -> tuple[Consensus, Consensus, str]:
    """The consensus, a fit that knows error rates, and why. Where answers are known, error rates are learnt on them."""
    if by == "auto" and known is not None:
        fit = hierarchical(several, known=known, start=_start(several, known))
        return fit, fit, f"{int((known >= 0).sum())} gold tasks tell how people err"
    if by == "auto":
        choice = auto(several)
        return choice.consensus, choice.fits.get("hierarchical", choice.consensus), choice.reason
    fit = load_method(by)(several)
    return fit, hierarchical(several) if fit.errors is None else fit, f"the policy says {by}"


def _start(several: Votes, known: Ints) -> Floats:
    """What is known of tasks before any habit is: the shares of votes, each weighing what its person got right of gold.

    From plain shares, a careless pair would be believed until the end.
    """
    truth = known[several.tasks]
    right = np.bincount(several.people, weights=(truth == several.labels) & (truth >= 0), minlength=several.n_people)
    asked = np.bincount(several.people, weights=truth >= 0, minlength=several.n_people)
    skill = ((right + 1.0) / (asked + 2.0))[several.people]
    k = several.n_labels
    log = np.zeros((several.n_tasks, k))
    np.add.at(log, (several.tasks, several.labels), np.log(skill * (k - 1) / (1.0 - skill)))
    rows = np.exp(log - log.max(axis=1, keepdims=True))
    shares: Floats = rows / rows.sum(axis=1, keepdims=True)
    return shares


def _opinions(
    named: Named, fit: Consensus, habits: Consensus, reason: str, *, met: Bools, but: Collection[int]
) -> AggregatedLabels:
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
    doubted = (rows.max(axis=1) > sure) & met[best]  # of a label that was hardly met, nobody's habits are known
    k = rows.shape[1]
    weight = np.clip(np.round((k * sure - 1.0) / (k - 1), 1), 0.05, 1.0)  # coarse: the next vote must not change all
    answers = _answers(named)
    tasks: list[int] = list(named.tasks)  # type: ignore[arg-type]
    by_task = {
        task: AggregatedLabel(answers[label], round(p, 4), round(w, 2), doubted=doubt)
        for task, label, p, w, doubt in zip(
            tasks, best.tolist(), sure.tolist(), weight.tolist(), doubted.tolist(), strict=True
        )
        if task not in but
    }
    more, lead = gains(rows, usual, None), gains(rows, usual, prior)
    return AggregatedLabels(
        by_task,
        fit.method,
        reason,
        {task: gain for task, gain in zip(tasks, more.tolist(), strict=True) if task in by_task},
        {task: gain for task, gain in zip(tasks, lead.tolist(), strict=True) if task in by_task},
        tuple(answers),
        {task: row for task, row in zip(tasks, rows, strict=True) if task in by_task},
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


class AggregationCache:
    """Remembers the opinions of each project for as long as its votes stay the same."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, AggregatedLabels]] = {}

    def of(
        self, project: str, votes: Iterable[VoteLike], *, by: str, gold: Mapping[int, Answer] | None = None
    ) -> AggregatedLabels:
        """Opinions on these votes; only new votes cost time."""
        named, book = _named(list(votes)), sorted((task, answer.key) for task, answer in (gold or {}).items())
        told = (by, named.tasks, named.people, [one.key for one in _answers(named)], book)
        digest = hashlib.blake2b(repr(told).encode())
        for column in (named.votes.tasks, named.votes.people, named.votes.labels):
            digest.update(column.tobytes())
        known = self._known.get(project)
        if known is None or known[0] != digest.hexdigest():
            known = self._known[project] = (digest.hexdigest(), _weigh(named, by, gold or {}))
            _LOG.info("project %s: consensus by %s: %s", project, known[1].method, known[1].reason)
        return known[1]
