"""Krippendorff's alpha for any type of answer that has a distance."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from feedback.agreement.coefficient import Coefficient, LinearizedCoefficient, analytic, undefined
from feedback.errors import VotesError
from feedback.votes import Floats, Ints
from ml_backend.records import Answer

Distance = Callable[[Answer, Answer], float]
_MIN_PARTNERS = 20  # from this many, an answer's mean distance to all others is known well enough to linearise


def alpha_by_distance(
    tasks: Sequence[Hashable],
    answers: Sequence[Answer],
    distance: Distance,
    *,
    confidence: float = 0.95,
    max_pairs: int = 20_000,
    seed: int = 0,
) -> Coefficient:
    """Compute Krippendorff's alpha from a distance between answers; with a distance of 0 or 1 it is the nominal alpha.

    At most 1; 0 is what chance gives. NaN with a note where no item has two answers or all answers are equal.

    Parameters
    ----------
    tasks, answers
        One row per answer; VotesError where they differ in length.
    distance
        Symmetric, in [0, 1], 0 for equal answers; every codec has one.
    max_pairs
        The expected distance is the mean over all pairs of different answers, or over so many randomly drawn ones.

    References
    ----------
    Krippendorff (2011), Computing Krippendorff's alpha-reliability, https://repository.upenn.edu/asc_papers/43.

    Examples
    --------
    >>> from ml_backend.codecs import get_codec
    >>> a, b = Answer("labels", ((0, 5, "PER"),)), Answer("labels", ((0, 4, "PER"),))
    >>> c, d = Answer("labels", ((90, 99, "ORG"),)), Answer("labels", ((20, 30, "LOC"),))
    >>> round(alpha_by_distance([1, 1, 2, 2, 3, 3], [a, b, c, c, d, d], get_codec("labels").distance).value, 2)
    0.92
    """
    if len(tasks) != len(answers):
        raise VotesError(f"{len(answers)} answers for {len(tasks)} tasks; wanted one task per answer.")
    code = {task: place for place, task in enumerate(dict.fromkeys(tasks))}
    item = np.fromiter((code[task] for task in tasks), dtype=np.int64, count=len(tasks))
    size = np.bincount(item, minlength=len(code))
    pairable = np.flatnonzero(size[item] > 1) if len(item) else np.zeros(0, dtype=np.int64)
    if not len(pairable):
        return undefined("alpha", 0, 0, "no item has two votes")
    _, item = np.unique(item[pairable], return_inverse=True)
    rows = [answers[place] for place in pairable]
    cached = _CachedDistance(distance)
    sizes: Floats = np.bincount(item).astype(np.float64)
    pairs = int((sizes * (sizes - 1)).sum() / 2)
    observed_sums = _distance_within_items(item, rows, sizes, cached)
    n, n_items = float(len(rows)), len(sizes)
    observed = float(observed_sums.sum()) / n
    to_others, partners = _mean_distance_to_others(rows, cached, max_pairs, seed)
    expected = float(to_others.mean())
    if expected < 1e-12:
        return undefined("alpha", n_items, pairs, "everybody gave the same answer to everything")
    value = 1.0 - observed / expected
    deviations = -(observed_sums - observed * sizes) / expected * n_items / n
    if partners >= _MIN_PARTNERS:
        expected_sums = np.bincount(item, weights=to_others)
        deviations += 2.0 * observed / expected**2 * (expected_sums - expected * sizes) * n_items / n
    linear = LinearizedCoefficient(value, 1.0 - expected, value + deviations, np.ones(n_items))
    return analytic("alpha", linear, n_items, pairs, confidence=confidence, lowest=-1.0)


class _CachedDistance:
    """A distance that is computed once for each pair of different answers."""

    def __init__(self, distance: Distance) -> None:
        self._distance = distance
        self._cache: dict[tuple[Answer, Answer], float] = {}

    def __call__(self, a: Answer, b: Answer) -> float:
        if a == b:
            return 0.0
        if (a, b) not in self._cache:
            self._cache[a, b] = self._cache[b, a] = self._distance(a, b)
        return self._cache[a, b]


def _distance_within_items(item: Ints, answers: Sequence[Answer], size: Floats, distance: _CachedDistance) -> Floats:
    """Return, per item, the sum of distances over ordered pairs of its answers, divided by its answers minus one."""
    order = np.argsort(item, kind="stable")
    ends = np.cumsum(size).astype(np.int64)
    sums = np.zeros(len(size))
    for place, end in enumerate(ends.tolist()):
        members = [answers[row] for row in order[end - int(size[place]) : end]]
        total = sum(distance(a, b) for at, a in enumerate(members) for b in members[:at])
        sums[place] = 2.0 * total / (size[place] - 1.0)
    return sums


def _mean_distance_to_others(
    answers: Sequence[Answer], distance: _CachedDistance, max_pairs: int, seed: int
) -> tuple[Floats, int]:
    """Return the mean distance of each answer to others, (n,), and how many others each mean is over."""
    distinct = sorted(set(answers), key=lambda answer: answer.key)
    code = {answer: place for place, answer in enumerate(distinct)}
    codes = np.fromiter((code[answer] for answer in answers), dtype=np.int64, count=len(answers))
    n, k = len(answers), len(distinct)
    if k * (k - 1) // 2 <= max_pairs:
        table = np.zeros((k, k))
        for i, answer in enumerate(distinct):
            for j in range(i):
                table[i, j] = table[j, i] = distance(answer, distinct[j])
        means: Floats = table @ np.bincount(codes) / (n - 1)
        return means[codes], n - 1
    partners = max(1, max_pairs // k)
    # a circle of all answers, equal ones side by side: a step of 1 .. n - 1 never meets the answer itself
    circle, first = np.sort(codes), np.searchsorted(np.sort(codes), np.arange(k))
    drawn = circle[(first[:, None] + np.random.default_rng(seed).integers(1, n, (k, partners))) % n]
    means = np.array([sum(distance(answer, distinct[j]) for j in drawn[i]) for i, answer in enumerate(distinct)])
    means /= partners
    return means[codes], partners
