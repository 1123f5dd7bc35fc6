"""`auto`: the methods that predict hidden votes, together; the majority where there is too little to learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from feedback.consensus.dawid_skene import dawid_skene, error_rates, hierarchical
from feedback.consensus.majority_vote import majority
from feedback.consensus.one_coin import one_coin, weighted
from feedback.consensus.result import Consensus, checked, settle
from feedback.consensus.sparse_votes import Incidence
from feedback.errors import VotesError
from feedback.stats.intervals import binomial_tail
from feedback.votes import Floats, Ints, Votes
from ml_backend.calibration import Calibrator

Method = Callable[[Votes], Consensus]

METHODS: Mapping[str, Method] = {
    "majority": majority,
    "dawid_skene": dawid_skene,
    "hierarchical": hierarchical,
    "one_coin": one_coin,
    "weighted": weighted,
}
COMMITTEE = ("majority", "hierarchical", "one_coin", "weighted")  # one of each kind; two of a kind would outvote
_FEW_PER_PERSON = 5.0  # votes; below it nobody's habits can be told from luck
_FEW_PER_TASK = 1.5  # votes; below it there is nobody to compare with
_HIDDEN = 5  # folds of hidden votes
_MOST_VOTES = 50_000  # above it, hiding some votes once compares the methods as well
_MOST_ASKED = 15_000
_POOLING = 4.0  # how much the judge of hidden votes leans on the crowd
_WORSE = -2.0  # standard errors below the majority: proven worse
_MOST_RATES = 20_000_000  # error rates; beyond it the judge knows one figure per person
_TEMPERATURES = np.array([1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 14.0])  # votes hang together: never below 1
_FLOOR = 1e-12
_BETTER_ODDS = 0.05  # one-sided level at which gold answers prove one method better


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen and why."""

    consensus: Consensus
    reason: str
    fits: Mapping[str, Consensus]  # every method that was fitted on all votes


@dataclass(frozen=True, slots=True)
class Trial:
    """How one method did on hidden votes."""

    margin: float  # standard errors above the majority's log likelihood
    temperature: float  # under which its probabilities predict hidden votes best


def auto(votes: Votes, *, known: Ints | None = None, seed: int = 0) -> Choice:
    """Choose per project. `known` (n_tasks,) holds gold labels, -1 elsewhere; it helps to choose, and is not copied in.

    - Sparse votes (fewer than 1.5 a task or 5 a person): the majority.
    - Otherwise a committee: the mean of the probabilities of majority, hierarchical Dawid-Skene, one-coin and
      weighted vote, without those whose prediction of hidden votes is proven worse than the majority's. One winner by
      likelihood would be wrong more often: a model may explain votes well and the truth badly.
    - A single method takes over from the committee only when gold answers prove it better (exact sign test).

    >>> rng = np.random.default_rng(1)
    >>> truth, careless = rng.integers(0, 2, 60), rng.random((60, 6)) < [0.05, 0.1, 0.1, 0.4, 0.4, 0.45]
    >>> said = np.where(careless, 1 - truth[:, None], truth[:, None])
    >>> choice = auto(Votes(np.repeat(np.arange(60), 6), np.tile(np.arange(6), 60), said.ravel()))
    >>> choice.consensus.method, int((choice.consensus.labels == truth).sum())
    ('committee', 59)
    """
    checked(votes)
    per_task = len(votes) / max(len(np.unique(votes.tasks)), 1)
    per_person = len(votes) / max(len(np.unique(votes.people)), 1)
    if per_task < _FEW_PER_TASK or per_person < _FEW_PER_PERSON:
        reason = f"{per_task:.1f} votes a task and {per_person:.1f} a person are too few to learn people's habits"
        plain = majority(votes)
        return Choice(plain, reason, {"majority": plain})
    trials = held_out(votes, seed=seed)
    fits = {name: fit for name in METHODS if (fit := tried(name, votes)) is not None}
    trusted = [name for name in COMMITTEE if trials[name].margin > _WORSE and name in fits]
    rows = [_soften(fits[name].proba, trials[name].temperature) for name in trusted]
    pooled = settle("committee", votes, np.mean(rows, axis=0))
    reason = "mean of " + ", ".join(trusted)
    if dropped := [name for name in COMMITTEE if name not in trusted]:
        reason += f"; {', '.join(dropped)} predict hidden votes worse than the majority"
    choice = Choice(pooled, reason, fits)
    return choice if known is None else prefer_proven(choice, known)


def held_out(votes: Votes, *, seed: int = 0) -> dict[str, Trial]:
    """How well each committee member's consensus predicts hidden votes.

    A fifth of the votes is hidden in turn; of many votes only some, once. What a hidden vote should be follows from
    the consensus of the other votes on its task and from the error rates of its person against that consensus. Which
    are hidden is drawn in order of task and person, whatever the order of the rows.
    """
    votes = votes.in_order()
    rng = np.random.default_rng(seed)
    folds, share = (_HIDDEN, 1.0 / _HIDDEN) if len(votes) <= _MOST_VOTES else (1, _MOST_ASKED / len(votes))
    fold = np.floor(rng.random(len(votes)) / share).astype(np.int64)
    base = np.zeros(votes.n_tasks)
    gained = {name: np.zeros((len(_TEMPERATURES), votes.n_tasks)) for name in COMMITTEE[1:]}
    for hidden in range(folds):
        seen, asked = votes.select(fold != hidden), votes.select(fold == hidden)
        if not len(seen):
            continue
        supported = np.bincount(seen.tasks, minlength=votes.n_tasks) > 0
        asked = asked.select(supported[asked.tasks])
        base += _log_chance(majority(seen).proba, seen, asked)
        for name, logs in gained.items():
            fit = tried(name, seen)
            for place, at in enumerate(_TEMPERATURES):
                logs[place] += _log_chance(_soften(fit.proba, at), seen, asked) if fit else -np.inf
    trials = {name: _trial(logs - base) for name, logs in gained.items()}
    return {COMMITTEE[0]: Trial(0.0, 1.0)} | trials


def _trial(gains: Floats) -> Trial:
    """The best temperature of gains (temperatures, n_tasks); tasks are the independent unit of its margin."""
    best = int(gains.sum(axis=1).argmax())
    told = gains[best]
    spread = float(np.sqrt((told**2).sum())) if np.isfinite(told).all() else np.inf
    margin = float(told.sum()) / max(spread, 1e-12) if np.isfinite(spread) else -np.inf
    return Trial(margin, float(_TEMPERATURES[best]))


def _soften(proba: Floats, temperature: float) -> Floats:
    """Raise probabilities to the power 1 / temperature and normalise the rows."""
    if temperature == 1.0:
        return proba
    # a probability of exactly 0 would stay 0 at every temperature
    return Calibrator.temperature(temperature).apply(np.maximum(proba, _FLOOR))


def _log_chance(proba: Floats, seen: Votes, asked: Votes) -> Floats:
    """The log probability of the asked votes by task, with the same model of people for every consensus."""
    chance: Floats
    if seen.n_people * seen.n_labels**2 <= _MOST_RATES:
        rates = error_rates(Incidence.of(seen).counts(proba), _POOLING)
        chance = np.einsum("vk,vk->v", proba[asked.tasks], rates[asked.people, asked.labels])
    else:
        agreed = np.bincount(seen.people, weights=proba[seen.tasks, seen.labels], minlength=seen.n_people)
        given = np.bincount(seen.people, minlength=seen.n_people)
        skill = (agreed + _POOLING * agreed.sum() / len(seen)) / (given + _POOLING)
        likely: Floats = proba[asked.tasks, asked.labels]
        chance = skill[asked.people] * likely + (1 - skill[asked.people]) * (1 - likely) / max(seen.n_labels - 1, 1)
    logs = np.log(np.maximum(chance, 1e-6))  # one impossible vote must not decide alone
    return np.bincount(asked.tasks, weights=logs, minlength=asked.n_tasks).astype(np.float64)


def prefer_proven(choice: Choice, known: Ints) -> Choice:
    """The same choice, or the single method that gold answers prove better: an exact sign test, all tries counted."""
    rows = np.flatnonzero(known >= 0)
    if not len(rows) or not choice.fits:
        return choice
    right = {name: fit.labels[rows] == known[rows] for name, fit in choice.fits.items()}
    ours = choice.consensus.labels[rows] == known[rows]
    best = max(right, key=lambda name: int(right[name].sum()))
    wins, losses = int((right[best] & ~ours).sum()), int((ours & ~right[best]).sum())
    if wins <= losses or binomial_tail(wins, wins + losses, 0.5) > _BETTER_ODDS / len(right):
        return choice
    reason = f"{best} is right on {wins} gold answers where the rest is wrong, wrong on {losses}: {choice.reason}"
    return Choice(choice.fits[best], reason, choice.fits)


def tried(name: str, votes: Votes, *, method: Method | None = None) -> Consensus | None:
    """The fit of one of ours, or of `method`; nothing where it refuses these votes (too many people × labels)."""
    try:
        return (method or METHODS[name])(votes)
    except VotesError:
        return None
