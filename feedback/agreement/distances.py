"""Krippendorff's alpha for any type of answer: a distance between two answers is all it needs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from feedback.agreement.coefficient import Coefficient, Linear, analytic, undefined
from feedback.errors import VotesError
from feedback.votes import Floats, Ints
from ml_backend.records import Answer

Distance = Callable[[Answer, Answer], float]
_ENOUGH_PARTNERS = 20  # from which one answer's mean distance to all others is known well enough to linearise


def alpha_by_distance(
    tasks: Sequence[Hashable],
    answers: Sequence[Answer],
    distance: Distance,
    *,
    confidence: float = 0.95,
    most_pairs: int = 20_000,
    seed: int = 0,
) -> Coefficient:
    """Krippendorff's alpha, <= 1, of one answer per row; `distance` lies in [0, 1], as every codec's.

    What answers dealt at random would differ by is the mean over all pairs of answers; of more than `most_pairs`, over
    randomly drawn ones. With a distance of 0 or 1 it is the nominal alpha.

    >>> from ml_backend.codecs import codec
    >>> a, b = Answer("labels", ((0, 5, "PER"),)), Answer("labels", ((0, 4, "PER"),))
    >>> far, off = Answer("labels", ((90, 99, "ORG"),)), Answer("labels", ((20, 30, "LOC"),))
    >>> round(alpha_by_distance([1, 1, 2, 2, 3, 3], [a, b, far, far, off, off], codec("labels").distance).value, 2)
    0.92
    """
    if len(tasks) != len(answers):
        raise VotesError(f"{len(answers)} answers for {len(tasks)} tasks; wanted one task per answer.")
    code = {task: place for place, task in enumerate(dict.fromkeys(tasks))}
    item = np.fromiter((code[task] for task in tasks), dtype=np.int64, count=len(tasks))
    size = np.bincount(item, minlength=len(code))
    keep = np.flatnonzero(size[item] > 1) if len(item) else np.zeros(0, dtype=np.int64)
    if not len(keep):
        return undefined("alpha", 0, 0, "no item has two votes")
    _, item = np.unique(item[keep], return_inverse=True)
    kept = [answers[place] for place in keep]
    measured = _Measured(distance)
    sizes: Floats = np.bincount(item).astype(np.float64)
    pairs = int((sizes * (sizes - 1)).sum() / 2)
    seen_rows = _within(item, kept, sizes, measured)
    n, n_items = float(len(kept)), len(sizes)
    seen = float(seen_rows.sum()) / n
    far, partners = _to_others(kept, measured, most_pairs, seed)
    dealt = float(far.mean())
    if dealt < 1e-12:
        return undefined("alpha", n_items, pairs, "everybody gave the same answer to everything")
    value = 1.0 - seen / dealt
    rows = -(seen_rows - seen * sizes) / dealt * n_items / n
    if partners >= _ENOUGH_PARTNERS:
        apart = np.bincount(item, weights=far)
        rows += 2.0 * seen / dealt**2 * (apart - dealt * sizes) * n_items / n
    linear = Linear(value, 1.0 - dealt, value + rows, np.ones(n_items))
    return analytic("alpha", linear, n_items, pairs, confidence=confidence, lowest=-1.0)


class _Measured:
    """A distance that is computed once for equal answers."""

    def __init__(self, distance: Distance) -> None:
        self._distance = distance
        self._known: dict[tuple[Answer, Answer], float] = {}

    def __call__(self, a: Answer, b: Answer) -> float:
        if a == b:
            return 0.0
        if (a, b) not in self._known:
            found = self._distance(a, b)
            self._known[a, b] = self._known[b, a] = found
        return self._known[a, b]


def _within(item: Ints, answers: Sequence[Answer], size: Floats, distance: _Measured) -> Floats:
    """Per item, the sum of distances over ordered pairs of its answers, divided by its answers less one."""
    order = np.argsort(item, kind="stable")
    ends = np.cumsum(size).astype(np.int64)
    sums = np.zeros(len(size))
    for place, end in enumerate(ends.tolist()):
        members = [answers[row] for row in order[end - int(size[place]) : end]]
        apart = sum(distance(one, other) for at, one in enumerate(members) for other in members[:at])
        sums[place] = 2.0 * apart / (size[place] - 1.0)
    return sums


def _to_others(answers: Sequence[Answer], distance: _Measured, most_pairs: int, seed: int) -> tuple[Floats, int]:
    """The mean distance of each answer to others, and over how many others each mean runs."""
    n = len(answers)
    if n * (n - 1) // 2 <= most_pairs:
        table = np.zeros((n, n))
        for i, one in enumerate(answers):
            for j in range(i):
                table[i, j] = table[j, i] = distance(one, answers[j])
        return table.sum(axis=1) / (n - 1), n - 1
    partners = max(1, most_pairs // n)
    # a partner is never the answer itself: steps of 1 .. n - 1 around the circle
    steps = np.random.default_rng(seed).integers(1, n, (n, partners))
    others = (np.arange(n)[:, None] + steps) % n
    means = [sum(distance(one, answers[j]) for j in others[i]) / partners for i, one in enumerate(answers)]
    return np.array(means), partners
