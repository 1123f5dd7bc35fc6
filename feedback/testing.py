"""Contracts of measures of agreement and methods of consensus, for the built-in ones and for those of plug-ins."""

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
from ml_backend.number_format import format_percent

Measure = Callable[[Votes], Coefficient]
Method = Callable[[Votes], Consensus]
_Result = TypeVar("_Result")

_TOLERANCE = 1e-6  # sums in another order differ by rounding
_MAX_LOSS = 0.03  # of accuracy, against the majority vote on votes of mostly careful people


class ContractBroken(FeedbackError):
    """An implementation breaks its contract; the message says where."""


def check_measure(measure: str | Measure) -> None:
    """Check a measure of agreement, given as a name or a callable; ContractBroken names the first broken promise.

    - It returns a value with an interval around it and the counts behind it, 1 where all people agree.
    - Codes of tasks and people and the order of votes change nothing.
    - Votes that do not define it give NaN and a note.

    Examples
    --------
    >>> check_measure("alpha")
    """
    compute = agreement.load_measure(measure) if isinstance(measure, str) else measure
    for name, votes, result in _run(compute, _same, "figure"):
        _check_coefficient(name, result, votes)
        _require(_same(result, compute(shuffled(votes))), f"{name}: names and order of votes make no difference")
    careful, careless = compute(_four_people(0.95)), compute(_four_people(0.6))
    _require(careful.value > careless.value, "careful people agree more than careless ones")
    alike = compute(Votes(np.repeat(np.arange(40), 2), np.tile([0, 1], 40), np.repeat(np.arange(40) % 2, 2)))
    _require(abs(alike.value - 1.0) < _TOLERANCE, f"full agreement on two labels is 1, not {alike.value}")
    for name, votes in _undefined():
        empty = compute(votes)
        _require(math.isnan(empty.value) and bool(empty.note), f"{name}: NaN, and a note that says why")
        _require(empty.low < empty.high, f"{name}: anything is still possible, so the interval is wide")


def check_method(method: str | Method) -> None:
    """Check a method of consensus, given as a name or a callable; ContractBroken names the first broken promise.

    - It returns one row of probabilities and one label per task; a task without votes has label -1.
    - The label of unanimous votes is the consensus; the accuracy is never far below the majority vote's.
    - Codes of tasks and people and the order of votes change nothing.

    Examples
    --------
    >>> check_method("majority")
    """
    fit = consensus.load_method(method) if isinstance(method, str) else method
    for name, votes, result in _run(fit, lambda a, b: np.array_equal(a.proba, b.proba), "consensus"):
        _check_consensus(name, result, votes)
        renamed, tasks = _renamed(votes)
        rows = fit(renamed).proba[tasks]
        same = bool(np.allclose(rows, result.proba, atol=1e-4))
        _require(same, f"{name}: names and order of votes make no difference")
    votes, truth = _simulate(0, (0.9, 0.85, 0.8, 0.8, 0.55), n=400, k=3)
    accuracy, baseline = ((result.labels == truth).mean() for result in (fit(votes), majority_vote(votes)))
    _require(
        accuracy >= baseline - _MAX_LOSS,
        f"right on {format_percent(accuracy)} where the majority is on {format_percent(baseline)}",
    )
    try:
        fit(Votes([], [], [], n_tasks=2, n_people=1, n_labels=2))
    except VotesError:
        return
    raise ContractBroken("broken promise: no votes at all are refused with VotesError.")


def crowds() -> Iterator[tuple[str, Votes]]:
    """Yield small sets of simulated votes, each with a name, of every shape that a measure or method may meet."""
    yield "five people, three labels", _simulate(1, (0.9, 0.85, 0.8, 0.8, 0.5), n=80, k=3)[0]
    yield "two people", _simulate(2, (0.9, 0.8), n=60, k=2)[0]
    dense = _simulate(3, (0.9, 0.8, 0.7, 0.6), n=90, k=4)[0]
    present = np.random.default_rng(3).random(len(dense)) < 0.6
    yield "missing votes", dense.select(present)
    yield "twelve labels, a careless person", _simulate(4, (0.9, 0.9, 0.9, 0.1), n=120, k=12)[0]
    careful = _simulate(5, (0.95, 0.95, 0.95), n=50, k=2)[0]
    yield "a task that nobody answered", Votes(careful.tasks, careful.people, careful.labels, 52, 4, 2)


def shuffled(votes: Votes) -> Votes:
    """Return the votes in another order, with other codes of tasks and people."""
    return _renamed(votes)[0]


def _run(
    compute: Callable[[Votes], _Result], same: Callable[[_Result, _Result], bool], what: str
) -> Iterator[tuple[str, Votes, _Result]]:
    """Yield the result on each set of votes; check that votes stay unchanged and that results repeat."""
    for name, votes in crowds():
        before = votes.labels.copy()
        result = compute(votes)
        _require(np.array_equal(before, votes.labels), f"{name}: the votes are left as they are")
        _require(same(result, compute(votes)), f"{name}: the same votes give the same {what}")
        yield name, votes, result


def _check_coefficient(name: str, result: Coefficient, votes: Votes) -> None:
    _require(bool(result.name), f"{name}: a figure has a name")
    _require(result.value <= 1.0 + _TOLERANCE, f"{name}: nothing agrees more than fully: {result.value}")
    inside = result.low - _TOLERANCE <= result.value <= result.high + _TOLERANCE
    _require(inside, f"{name}: the interval [{result.low}, {result.high}] holds the value {result.value}")
    n_votes = np.bincount(votes.tasks)
    items, pairs = int((n_votes > 1).sum()), int((n_votes * (n_votes - 1) // 2).sum())
    _require(result.items == items, f"{name}: items are those with two votes or more, not {result.items}")
    _require(0 < result.pairs <= pairs, f"{name}: {result.pairs} pairs were compared")


def _check_consensus(name: str, result: Consensus, votes: Votes) -> None:
    n, k = votes.n_tasks, votes.n_labels
    _require(bool(result.method), f"{name}: a consensus names its method")
    _require(result.proba.shape == (n, k), f"{name}: one row a task and one column a label, not {result.proba.shape}")
    _require(bool(np.isfinite(result.proba).all()) and float(result.proba.min()) >= 0.0, f"{name}: probabilities")
    _require(bool(np.allclose(result.proba.sum(axis=1), 1.0)), f"{name}: rows sum to 1")
    n_votes = np.bincount(votes.tasks, minlength=n)
    _require(np.array_equal(result.support, n_votes), f"{name}: support counts the votes of a task")
    without = np.array_equal(result.labels == -1, n_votes == 0)
    _require(without, f"{name}: label -1 is for tasks without votes, no others")
    voted = np.flatnonzero(n_votes)
    gap = result.proba[voted].max(axis=1) - result.proba[voted, result.labels[voted]]
    _require(float(gap.max()) < _TOLERANCE, f"{name}: the label is the likeliest one")
    if result.errors is not None:
        shape = (votes.n_people, k, k)
        _require(result.errors.shape == shape, f"{name}: error rates are (people, true label, given label)")
        rates = result.errors[np.unique(votes.people)]
        _require(bool(np.allclose(rates.sum(axis=2), 1.0)), f"{name}: error rates sum to 1 over the given label")
    unanimous = _unanimous(votes)
    agreed = (result.labels[list(unanimous)] == list(unanimous.values())).mean() if unanimous else 1.0
    _require(agreed > 0.97, f"{name}: the label that all of four people or more give is the consensus")


def _unanimous(votes: Votes) -> dict[int, int]:
    """Return the label of each task to which at least four people gave the same label, and nobody another one."""
    found = {}
    for task in range(votes.n_tasks):
        labels = votes.labels[votes.tasks == task]
        if len(labels) > 3 and (labels == labels[0]).all():
            found[task] = int(labels[0])
    return found


def _undefined() -> Iterator[tuple[str, Votes]]:
    yield "no votes", Votes([], [], [], n_tasks=3, n_people=2, n_labels=2)
    yield "nobody shares a task", Votes([0, 1, 2], [0, 1, 0], [0, 1, 1])


def _four_people(accuracy: float) -> Votes:
    return _simulate(6, (accuracy,) * 4, n=200, k=3)[0]


def _simulate(seed: int, accuracies: tuple[float, ...], *, n: int, k: int) -> tuple[Votes, Ints]:
    """Return votes of people with these accuracies on n tasks, and the true labels (n,)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    wrong = (truth[:, None] + rng.integers(1, k, (n, len(accuracies)))) % k
    labels = np.where(rng.random((n, len(accuracies))) < accuracies, truth[:, None], wrong)
    people = np.tile(np.arange(len(accuracies)), n)
    return Votes(np.repeat(np.arange(n), len(accuracies)), people, labels.ravel(), n_labels=k), truth


def _renamed(votes: Votes) -> tuple[Votes, Ints]:
    """Return the votes with other codes and in another order, and the new code of each task (n_tasks,)."""
    rng = np.random.default_rng(7)
    tasks, people = rng.permutation(votes.n_tasks), rng.permutation(votes.n_people)
    order = rng.permutation(len(votes))
    renamed = Votes(
        tasks[votes.tasks][order],
        people[votes.people][order],
        votes.labels[order],
        votes.n_tasks,
        votes.n_people,
        votes.n_labels,
    )
    return renamed, tasks


def _same(a: Coefficient, b: Coefficient) -> bool:
    pairs = ((a.value, b.value), (a.low, b.low), (a.high, b.high))
    return (a.items, a.pairs) == (b.items, b.pairs) and all(math.isclose(x, y, abs_tol=_TOLERANCE) for x, y in pairs)


def _require(kept: bool, promise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not kept:
        raise ContractBroken(f"broken promise: {promise}.")
