"""The medoid: the answer that is nearest to all other answers, for any type of answer with a distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from feedback.errors import VotesError
from feedback.votes import Floats
from ml_backend.records import Answer

Distance = Callable[[Answer, Answer], float]
_EQUAL = 1e-9  # sums of the same distances in another order differ by rounding
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Medoid:
    """One of the given answers, and how near the other answers are to it."""

    answer: Answer
    support: float  # 1 - weighted mean distance of the other answers, in [0, 1]; 1 for a single answer


def medoid(answers: Sequence[Answer], distance: Distance, *, weights: Sequence[float] | None = None) -> Medoid:
    """Return the answer with the smallest weighted distance to all; of equal ones the first by key, in any order.

    `distance` is symmetric and in [0, 1]; every codec has one. `weights` (n,) are 0 or more, for example the accuracy
    of each person; 1 by default. VotesError where there are no answers, or the weights have another length or are all
    0.

    >>> from ml_backend.codecs import get_codec
    >>> answers = [Answer("rating", stars) for stars in (1, 4, 5)]
    >>> medoid(answers, get_codec("rating").distance).answer.value
    4
    """
    if not answers:
        raise VotesError("a consensus needs at least one answer.")
    weight = answer_weights(weights, len(answers))
    table = np.zeros((len(answers), len(answers)))
    for i, answer in enumerate(answers):
        for j in range(i + 1, len(answers)):
            table[i, j] = table[j, i] = distance(answer, answers[j])
    total = table @ weight
    nearest = np.flatnonzero(total <= total.min() + _EQUAL).tolist()
    best = min(nearest, key=lambda row: answers[row].key)
    other_weight = float(weight.sum() - weight[best])
    support = 1.0 - float(total[best]) / other_weight if other_weight > 0 else 1.0
    return Medoid(answers[best], round(support, _DIGITS))


def answer_weights(weights: Sequence[float] | None, n: int) -> Floats:
    """Return the weights of n answers, 1 by default; VotesError for a wrong number, one below 0, or only zeros."""
    weight = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight.shape != (n,) or (weight < 0).any() or not weight.sum() > 0:
        raise VotesError(f"weights have shape {weight.shape}; wanted one per answer ({n}), 0 or more, not all 0.")
    return weight
