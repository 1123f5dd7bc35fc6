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

    What answers dealt at random would differ by is the mean over all pairs of answers; where these are more than
    `most_pairs` different ones, over randomly drawn ones. With a distance of 0 or 1 it is the nominal alpha.

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
    different = sorted(set(answers), key=lambda one: one.key)
    code = {answer: place for place, answer in enumerate(different)}
    said = np.fromiter((code[answer] for answer in answers), dtype=np.int64, count=len(answers))
    n, k = len(answers), len(different)
    if k * (k - 1) // 2 <= most_pairs:
        table = np.zeros((k, k))
        for i, one in enumerate(different):
            for j in range(i):
                table[i, j] = table[j, i] = distance(one, different[j])
        far: Floats = table @ np.bincount(said) / (n - 1)
        return far[said], n - 1
    partners = max(1, most_pairs // k)
    # around the circle of all answers, equal ones side by side: by 1 .. n - 1 steps from one, which is never itself
    circle, first = np.sort(said), np.searchsorted(np.sort(said), np.arange(k))
    others = circle[(first[:, None] + np.random.default_rng(seed).integers(1, n, (k, partners))) % n]
    far = np.array([sum(distance(one, different[j]) for j in others[i]) for i, one in enumerate(different)]) / partners
    return far[said], partners
