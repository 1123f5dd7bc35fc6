"""Anchoring: how much more often people agree with a prediction when they see it."""

from __future__ import annotations

import numpy as np

from feedback.stats.intervals import Bools, Interval, newcombe
from feedback.votes import Ints


def anchoring(people: Ints, shown: Bools, agrees: Bools) -> dict[int, Interval]:
    """Measure the anchoring of each person: agreement with visible predictions minus that with hidden ones, in [-1, 1].

    An effect is proven where its lower bound is above 0. Intervals are Newcombe's.

    The columns have one row per answer, on tasks where a random draw decided whether the prediction was shown: without
    it hidden tasks may be harder. `agrees` is whether the answer equals the prediction, also where that was hidden.

    >>> shown = np.arange(200) < 100
    >>> agrees = np.where(shown, np.arange(200) % 10 < 9, np.arange(200) % 10 < 7)
    >>> str(anchoring(np.zeros(200, dtype=int), shown, agrees)[0])
    '0.20 [0.09, 0.31]'
    """
    effects = {}
    for person in np.unique(people).tolist():
        visible, hidden = agrees[(people == person) & shown], agrees[(people == person) & ~shown]
        effects[person] = newcombe(int(visible.sum()), len(visible), int(hidden.sum()), len(hidden))
    return effects
