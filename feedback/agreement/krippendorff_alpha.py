"""Krippendorff's alpha: of labels at four levels of measurement, and of any type of answer that has a distance."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from feedback.agreement.category_distances import LabelDistance, SquaredDistance, Weighting, label_distance
from feedback.agreement.chance_corrected import estimate
from feedback.agreement.coefficient import Coefficient, LinearizedCoefficient, analytic, undefined
from feedback.agreement.vote_patterns import Patterns, count_patterns
from feedback.errors import VotesError
from feedback.votes import Floats, Ints, Votes, encode_votes
from ml_backend.codecs import get_codec
from ml_backend.records import Answer

Distance = Callable[[Answer, Answer], float]
Level = Literal["nominal", "ordinal", "interval", "ratio"]
_WEIGHTINGS: Mapping[str, Weighting] = {"nominal": "nominal", "interval": "quadratic", "ratio": "ratio"}
_MIN_PARTNERS = 20  # from this many, an answer's mean distance to all others is known well enough to linearise


def krippendorff_alpha(
    votes: Votes | Patterns,
    *,
    level: Level = "nominal",
    values: ArrayLike | None = None,
) -> Coefficient:
    """Compute Krippendorff's alpha: 1 - observed disagreement / disagreement of votes distributed at random.

    Other options, and what is undefined, are as for `fleiss_kappa`. The analytic interval takes the distances as fixed.

    Parameters
    ----------
    values
        The numbers (k,) that the labels stand for; 0, 1, 2, ... by default. "ordinal" uses only their order.

    References
    ----------
    Krippendorff (2011), Computing Krippendorff's alpha-reliability, https://repository.upenn.edu/asc_papers/43.
    Standard error: Gwet (2014), Handbook of Inter-Rater Reliability, 4th edition.

    Examples
    --------
    >>> votes = Votes([0, 0, 1, 1, 2, 2, 3, 3], [0, 1] * 4, [0, 0, 1, 1, 0, 1, 1, 1])
    >>> round(krippendorff_alpha(votes).value, 3)
    0.533
    """
    table = count_patterns(votes)
    return estimate("alpha", table, _alpha, _scale(table, level, values))


def alpha_of_answers(tasks: Sequence[Hashable], answers: Sequence[Answer]) -> Coefficient:
    """Compute the alpha that suits the type of the answers, which is one for all; the first answer names it.

    Single labels are equal or not, ratings are ordinal, numbers an interval scale; all else is compared by the distance
    of its codec.

    >>> answers = [Answer("rating", stars) for stars in (1, 1, 2, 2, 1, 2, 2, 2)]
    >>> round(alpha_of_answers([0, 0, 1, 1, 2, 2, 3, 3], answers).value, 3)
    0.533
    """
    kind = answers[0].kind if answers else ""
    if kind in ("rating", "number"):
        numbers = [float(answer.value) for answer in answers]  # type: ignore[arg-type]
        named = encode_votes(tasks, [0] * len(tasks), numbers)
        scale = np.array(named.labels, dtype=np.float64)
        return krippendorff_alpha(named.votes, level="ordinal" if kind == "rating" else "interval", values=scale)
    if kind == "pairwise" or (kind == "choices" and all(len(answer.value) == 1 for answer in answers)):  # type: ignore[arg-type]
        return krippendorff_alpha(encode_votes(tasks, [0] * len(tasks), [answer.key for answer in answers]).votes)
    return alpha_by_distance(tasks, answers, get_codec(kind).distance)


def alpha_by_distance(
    tasks: Sequence[Hashable],
    answers: Sequence[Answer],
    distance: Distance,
    *,
    max_pairs: int = 20_000,
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
        The expected distance is the mean over all pairs of different answers, or over so many randomly drawn ones. Only
        in the first case is the interval made for few items with rare answers, as that of `krippendorff_alpha`.

    References
    ----------
    Krippendorff (2011), Computing Krippendorff's alpha-reliability, https://repository.upenn.edu/asc_papers/43.

    Examples
    --------
    >>> from ml_backend.codecs import get_codec
    >>> a, b = Answer("labels", ((0, 5, "PER"),)), Answer("labels", ((0, 4, "PER"),))
    >>> c, d = Answer("labels", ((90, 99, "ORG"),)), Answer("labels", ((20, 30, "LOC"),))
    >>> round(alpha_by_distance([1, 1, 2, 2, 3, 3], [a, b, c, c, d, d], get_codec("labels").distance).value, 2)
    0.95
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
    cached = _cache_distance(distance)
    distinct = sorted(set(rows), key=lambda answer: answer.key)
    code_of = {answer: place for place, answer in enumerate(distinct)}
    codes = np.fromiter((code_of[answer] for answer in rows), dtype=np.int64, count=len(rows))
    if len(distinct) * (len(distinct) - 1) // 2 <= max_pairs:
        return _alpha_by_matrix(item, codes, distinct, cached)
    sizes: Floats = np.bincount(item).astype(np.float64)
    pairs = int((sizes * (sizes - 1)).sum() / 2)
    observed_sums = _distance_within_items(item, rows, sizes, cached)
    n, n_items = float(len(rows)), len(sizes)
    observed = float(observed_sums.sum()) / n
    to_others, partners = _mean_distance_to_others(codes, distinct, cached, max_pairs)
    expected = float(to_others.mean())
    if expected < 1e-12:
        return undefined("alpha", n_items, pairs, "everybody gave the same answer to everything")
    value = 1.0 - observed / expected
    deviations = -(observed_sums - observed * sizes) / expected * n_items / n
    if partners >= _MIN_PARTNERS:
        expected_sums = np.bincount(item, weights=to_others)
        deviations += 2.0 * observed / expected**2 * (expected_sums - expected * sizes) * n_items / n
    linear = LinearizedCoefficient(value, 1.0 - expected, value + deviations, np.ones(n_items))
    return analytic("alpha", linear, n_items, pairs)


def _alpha_by_matrix(item: Ints, codes: Ints, distinct: Sequence[Answer], distance: Distance) -> Coefficient:
    table = np.zeros((len(distinct), len(distinct)))
    for i, answer in enumerate(distinct):
        for j in range(i):
            table[i, j] = table[j, i] = distance(answer, distinct[j])
    votes = Votes(item, np.zeros_like(item), codes)
    return estimate("alpha", count_patterns(votes), _alpha, label_distance(table, len(distinct)))


def _alpha(table: Patterns, distance: LabelDistance) -> LinearizedCoefficient:
    paired = table.paired()
    votes = float(paired.times @ paired.size)
    mean_size = votes / paired.times.sum()
    shares: Floats = paired.times @ paired.counts / votes
    expected = distance.against(shares)
    chance = 1.0 - float(shares @ expected)
    if 1.0 - chance < 1e-12:
        return LinearizedCoefficient(math.nan, chance, paired.size * math.nan, paired.times)
    agreement = 1.0 - distance.within(paired.counts) / (paired.size * (paired.size - 1.0))
    observed = paired.mean(paired.size / mean_size * agreement)
    # votes are drawn without replacement: hence the term 1 / votes, which vanishes as votes grow
    value = (observed + (1.0 - observed) / votes - chance) / (1.0 - chance)
    # the standard error is that of the large-sample form, as in Gwet; items with more votes have more weight
    extra_weight = paired.size / mean_size - 1.0
    large_sample = (observed - chance) / (1.0 - chance)
    rows = paired.size / mean_size * agreement - (observed + (1.0 - observed) / votes) * extra_weight - chance
    chance_rows = (paired.size - paired.counts @ expected) / mean_size - chance * extra_weight
    rows = (rows - 2.0 * (1.0 - large_sample) * (chance_rows - chance)) / (1.0 - chance)
    return LinearizedCoefficient(value, chance, rows + (value - large_sample), paired.times)


def _scale(table: Patterns, level: Level, values: ArrayLike | None) -> LabelDistance:
    k = table.counts.shape[1]
    if level in _WEIGHTINGS:
        return label_distance(_WEIGHTINGS[level], k, values)
    if level != "ordinal":
        raise VotesError(f"no level called {level!r}; wanted nominal, ordinal, interval or ratio.")
    order = np.arange(k) if values is None else np.asarray(values, dtype=np.float64)
    if order.shape != (k,):
        raise VotesError(f"values has shape {order.shape}; wanted {k} numbers, one per label.")
    paired = table.paired()
    used: Floats = np.asarray(paired.times @ paired.counts, dtype=np.float64)
    # the ordinal distance is the squared difference of mid-ranks: half the votes of both labels and all between them
    ranked, place = np.unique(order, return_inverse=True)
    per_rank = np.bincount(place, weights=used, minlength=len(ranked))
    return SquaredDistance((np.cumsum(per_rank) - per_rank / 2.0)[place])


def _cache_distance(distance: Distance) -> Distance:
    """Return a distance that is computed once for each pair of different answers."""
    known: dict[tuple[Answer, Answer], float] = {}

    def cached(a: Answer, b: Answer) -> float:
        if a == b:
            return 0.0
        if (a, b) not in known:
            known[a, b] = known[b, a] = distance(a, b)
        return known[a, b]

    return cached


def _distance_within_items(item: Ints, answers: Sequence[Answer], size: Floats, distance: Distance) -> Floats:
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
    codes: Ints, distinct: Sequence[Answer], distance: Distance, max_pairs: int
) -> tuple[Floats, int]:
    """Return the mean distance of each answer to drawn others, (n,), and how many others each mean is over."""
    n, k = len(codes), len(distinct)
    partners = max(1, max_pairs // k)
    # a circle of all answers, equal ones side by side: a step of 1 .. n - 1 never meets the answer itself
    circle, first = np.sort(codes), np.searchsorted(np.sort(codes), np.arange(k))
    drawn = circle[(first[:, None] + np.random.default_rng(0).integers(1, n, (k, partners))) % n]
    means = np.array([sum(distance(answer, distinct[j]) for j in drawn[i]) for i, answer in enumerate(distinct)])
    means /= partners
    return means[codes], partners
