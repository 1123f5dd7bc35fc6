"""Contracts: what a measure of agreement and a method of consensus must do, run over ours and over a plug-in's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from feedback import agreement, consensus
from feedback.agreement import Coefficient
from feedback.consensus import Consensus, majority_vote
from feedback.errors import FeedbackError, VotesError
from feedback.votes import Ints, Votes

Measure = Callable[[Votes], Coefficient]
Method = Callable[[Votes], Consensus]
_Found = TypeVar("_Found")

_NEARLY = 1e-6  # sums in another order
_MUCH_WORSE = 0.03  # accuracy below the majority's on a crowd of mostly careful people


class ContractBroken(FeedbackError):
    """An implementation does not do what its protocol promises; the message says what."""


def check_measure(measure: str | Measure) -> None:
    """Run the contract of measures of agreement; ContractBroken names the first promise that breaks.

    One figure with an interval around it and the counts behind it; 1 where everybody agrees; the same whatever tasks
    and people are called and in whatever order votes come; votes that cannot define it give NaN and a reason.

    >>> check_measure("alpha")
    """
    ask = agreement.load_measure(measure) if isinstance(measure, str) else measure
    for name, votes, found in _asked(ask, _same, "figure"):
        _figure(name, found, votes)
        _demand(_same(found, ask(shuffled(votes))), f"{name}: names and order of votes make no difference")
    _demand(ask(_told(0.95)).value > ask(_told(0.6)).value, "careful people agree more than careless ones")
    alike = ask(Votes(np.repeat(np.arange(40), 2), np.tile([0, 1], 40), np.repeat(np.arange(40) % 2, 2)))
    _demand(abs(alike.value - 1.0) < _NEARLY, f"full agreement on two labels is 1, not {alike.value}")
    for what, votes in _undefined():
        empty = ask(votes)
        _demand(math.isnan(empty.value) and bool(empty.note), f"{what}: NaN, and a note that says why")
        _demand(empty.low < empty.high, f"{what}: anything is still possible, so the interval is wide")


def check_method(method: str | Method) -> None:
    """Run the contract of methods of consensus; ContractBroken names the first promise that breaks.

    One row of probabilities and one label a task; a task without votes keeps label -1; what all say is the consensus;
    the same whatever tasks and people are called and in whatever order votes come; never much worse than the majority.

    >>> check_method("majority_vote")
    """
    settle = consensus.load_method(method) if isinstance(method, str) else method
    for name, votes, found in _asked(settle, lambda a, b: np.array_equal(a.proba, b.proba), "consensus"):
        _rows(name, found, votes)
        other, tasks = _renamed(votes)
        moved = settle(other).proba[tasks]
        _demand(
            bool(np.allclose(moved, found.proba, atol=1e-4)), f"{name}: names and order of votes make no difference"
        )
    votes, truth = _crowd(0, (0.9, 0.85, 0.8, 0.8, 0.55), n=400, k=3)
    right, plain = ((fit.labels == truth).mean() for fit in (settle(votes), majority_vote(votes)))
    _demand(right >= plain - _MUCH_WORSE, f"right on {right:.2f} where the majority is on {plain:.2f}")
    try:
        settle(Votes([], [], [], n_tasks=2, n_people=1, n_labels=2))
    except VotesError:
        return
    raise ContractBroken("broken promise: no votes at all are refused with VotesError.")


def crowds() -> Iterator[tuple[str, Votes]]:
    """Small crowds of every shape that a measure or a method may meet."""
    yield "five people, three labels", _crowd(1, (0.9, 0.85, 0.8, 0.8, 0.5), n=80, k=3)[0]
    yield "two people", _crowd(2, (0.9, 0.8), n=60, k=2)[0]
    dense = _crowd(3, (0.9, 0.8, 0.7, 0.6), n=90, k=4)[0]
    kept = np.random.default_rng(3).random(len(dense)) < 0.6
    yield "votes missing here and there", dense.select(kept)
    yield "twelve labels, a careless person", _crowd(4, (0.9, 0.9, 0.9, 0.1), n=120, k=12)[0]
    sure = _crowd(5, (0.95, 0.95, 0.95), n=50, k=2)[0]
    yield "a task that nobody answered", Votes(sure.tasks, sure.people, sure.labels, 52, 4, 2)


def _asked(
    ask: Callable[[Votes], _Found], alike: Callable[[_Found, _Found], bool], what: str
) -> Iterator[tuple[str, Votes, _Found]]:
    """What an implementation says of each crowd; asking changes nothing, neither the votes nor the next answer."""
    for name, votes in crowds():
        before = votes.labels.copy()
        found = ask(votes)
        _demand(np.array_equal(before, votes.labels), f"{name}: the votes are left as they are")
        _demand(alike(found, ask(votes)), f"{name}: the same votes give the same {what}")
        yield name, votes, found


def shuffled(votes: Votes) -> Votes:
    """The same votes in another order, with other codes for tasks and people."""
    return _renamed(votes)[0]


def _figure(name: str, found: Coefficient, votes: Votes) -> None:
    _demand(bool(found.name), f"{name}: a figure has a name")
    _demand(found.value <= 1.0 + _NEARLY, f"{name}: nothing agrees more than fully: {found.value}")
    inside = found.low - _NEARLY <= found.value <= found.high + _NEARLY
    _demand(inside, f"{name}: the interval [{found.low}, {found.high}] holds the value {found.value}")
    given = np.bincount(votes.tasks)
    _demand(found.items == int((given > 1).sum()), f"{name}: items are those with two votes or more, not {found.items}")
    _demand(0 < found.pairs <= int((given * (given - 1) // 2).sum()), f"{name}: {found.pairs} pairs were compared")


def _rows(name: str, found: Consensus, votes: Votes) -> None:
    n, k = votes.n_tasks, votes.n_labels
    _demand(bool(found.method), f"{name}: a consensus names its method")
    _demand(found.proba.shape == (n, k), f"{name}: one row a task and one column a label, not {found.proba.shape}")
    _demand(bool(np.isfinite(found.proba).all()) and float(found.proba.min()) >= 0.0, f"{name}: probabilities")
    _demand(bool(np.allclose(found.proba.sum(axis=1), 1.0)), f"{name}: rows sum to 1")
    given = np.bincount(votes.tasks, minlength=n)
    _demand(np.array_equal(found.support, given), f"{name}: support counts the votes of a task")
    _demand(np.array_equal(found.labels == -1, given == 0), f"{name}: label -1 is for tasks without votes, no others")
    voted = np.flatnonzero(given)
    top = found.proba[voted].max(axis=1) - found.proba[voted, found.labels[voted]]
    _demand(float(top.max()) < _NEARLY, f"{name}: the label is the likeliest one")
    if found.errors is not None:
        _demand(found.errors.shape == (votes.n_people, k, k), f"{name}: error rates are (people, true, said)")
        seen = found.errors[np.unique(votes.people)]
        _demand(bool(np.allclose(seen.sum(axis=2), 1.0)), f"{name}: a person says something: rates sum to 1 over said")
    together = _unanimous(votes)
    agreed = (found.labels[list(together)] == list(together.values())).mean() if together else 1.0
    _demand(agreed > 0.97, f"{name}: what all four or more say is the consensus")


def _unanimous(votes: Votes) -> dict[int, int]:
    """Tasks on which four people or more say the same, with what they say."""
    found = {}
    for task in range(votes.n_tasks):
        said = votes.labels[votes.tasks == task]
        if len(said) > 3 and (said == said[0]).all():
            found[task] = int(said[0])
    return found


def _undefined() -> Iterator[tuple[str, Votes]]:
    yield "no votes", Votes([], [], [], n_tasks=3, n_people=2, n_labels=2)
    yield "nobody shares a task", Votes([0, 1, 2], [0, 1, 0], [0, 1, 1])


def _told(right: float) -> Votes:
    return _crowd(6, (right,) * 4, n=200, k=3)[0]


def _crowd(seed: int, right: tuple[float, ...], *, n: int, k: int) -> tuple[Votes, Ints]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    wrong = (truth[:, None] + rng.integers(1, k, (n, len(right)))) % k
    said = np.where(rng.random((n, len(right))) < right, truth[:, None], wrong)
    people = np.tile(np.arange(len(right)), n)
    return Votes(np.repeat(np.arange(n), len(right)), people, said.ravel(), n_labels=k), truth


def _renamed(votes: Votes) -> tuple[Votes, Ints]:
    """Other codes and another order; also the new code of each task."""
    rng = np.random.default_rng(7)
    tasks, people = rng.permutation(votes.n_tasks), rng.permutation(votes.n_people)
    order = rng.permutation(len(votes))
    moved = Votes(
        tasks[votes.tasks][order],
        people[votes.people][order],
        votes.labels[order],
        votes.n_tasks,
        votes.n_people,
        votes.n_labels,
    )
    return moved, tasks


def _same(a: Coefficient, b: Coefficient) -> bool:
    pairs = ((a.value, b.value), (a.low, b.low), (a.high, b.high))
    return (a.items, a.pairs) == (b.items, b.pairs) and all(math.isclose(x, y, abs_tol=_NEARLY) for x, y in pairs)


def _demand(kept: bool, promise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not kept:
        raise ContractBroken(f"broken promise: {promise}.")
