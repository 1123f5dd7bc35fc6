"""The medoid: the answer that is nearest to all others; works for anything with a distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from feedback.errors import VotesError
from ml_backend.records import Answer

Distance = Callable[[Answer, Answer], float]
_EQUAL = 1e-9  # sums of the same distances in another order differ by rounding
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Chosen:
    """One of the given answers, and how near the others are to it."""

    answer: Answer
    place: int  # of the answer among those given
    support: float  # one minus the weighted mean distance of the others, [0, 1]; 1 for a single answer


def medoid(answers: Sequence[Answer], distance: Distance, *, weights: Sequence[float] | None = None) -> Chosen:
    """The answer with the smallest weighted distance to all; of equals the first by their keys, in whatever order.

    `weights` are what each person's answer counts, e.g. their accuracy.

    >>> from ml_backend.codecs import codec
    >>> a, b, c = (Answer("rating", stars) for stars in (1, 4, 5))
    >>> medoid([a, b, c], codec("rating").distance).answer.value
    4
    """
    if not answers:
        raise VotesError("a consensus needs at least one answer.")
    weight = np.ones(len(answers)) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight.shape != (len(answers),) or (weight < 0).any() or not weight.sum() > 0:
        raise VotesError(f"weights have shape {weight.shape}; wanted {len(answers)} numbers, not all 0.")
    apart = np.zeros((len(answers), len(answers)))
    for i, one in enumerate(answers):
        for j in range(i + 1, len(answers)):
            apart[i, j] = apart[j, i] = distance(one, answers[j])
    far = apart @ weight
    nearest = np.flatnonzero(far <= far.min() + _EQUAL).tolist()
    best = min(nearest, key=lambda place: answers[place].key)
    others = float(weight.sum() - weight[best])
    support = 1.0 - float(far[best]) / others if others > 0 else 1.0
    return Chosen(answers[best], best, round(support, _DIGITS))
