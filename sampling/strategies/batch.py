"""A batch as scores: the picked rows stand above all others, in the order they were picked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sampling.errors import MissingInput
from sampling.plan import Plan
from sampling.pool import Floats, Pool, Rows

_BATCHES = 20  # the model is fitted again long before anybody reaches the end of twenty batches


def head(pool: Pool, plan: Plan) -> int:
    """How many rows are worth picking one by one; the rest keep the scores they have."""
    return min(len(pool), plan.size, _BATCHES * plan.batch)


def lift(picks: Sequence[int], rest: Floats) -> Floats:
    """Scores in (1, 2] for the picks, first pick highest, and `rest` (in [0, 1]) for everything else.

    >>> lift([2, 0], np.array([0.5, 0.9, 0.1]))
    array([1.5, 0.9, 2. ])
    """
    scores = rest.copy()
    if len(picks):
        scores[np.asarray(picks)] = 2.0 - np.arange(len(picks)) / len(picks)
    return scores


def vectors(pool: Pool) -> Rows:
    """The vectors of a pool; MissingInput where it has none."""
    if pool.vectors is None:
        raise MissingInput("this strategy looks at distances; the pool has no vectors: pass Pool(vectors=(n, d)).")
    return pool.vectors
