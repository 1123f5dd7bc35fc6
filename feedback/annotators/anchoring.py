"""Whether people follow what they are shown: the same kind of task, blind and with a prediction, drawn by hash."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedback.errors import VotesError
from feedback.stats import Interval
from feedback.stats.intervals import newcombe, wilson
from feedback.votes import Ints

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Anchoring:
    """How much more often answers agree with the model when people saw what it says."""

    person: int | None  # code; None is everybody
    shown: Interval  # share of answers equal to the prediction, where it was shown
    blind: Interval  # where it was not
    pull: Interval  # shown minus blind, within [-1, 1]

    @property
    def proven(self) -> bool:
        """Whether people surely lean towards what they see."""
        return self.pull.low > 0.0

    def __str__(self) -> str:
        return f"agrees with the model {self.shown} when it is shown, {self.blind} when not: a pull of {self.pull}"


def anchoring(people: Ints, shown: Bools, agrees: Bools, *, confidence: float = 0.95) -> tuple[Anchoring, ...]:
    """Everybody first, then each person. Rows are answers on tasks where showing was drawn at random.

    `agrees` says whether the answer equals the model's prediction, also where that was hidden. Without a random draw
    the difference means nothing: what is hidden may simply be harder.

    >>> shown = np.arange(200) < 100
    >>> agrees = np.where(shown, np.arange(200) % 10 < 9, np.arange(200) % 10 < 7)
    >>> str(anchoring(np.zeros(200, dtype=int), shown, agrees)[0].pull)
    '0.20 [0.09, 0.31]'
    """
    if not len(people) == len(shown) == len(agrees):
        raise VotesError(f"{len(people)} people, {len(shown)} shown, {len(agrees)} agrees; wanted one row per answer.")
    everybody = _one(None, shown, agrees, confidence)
    mine = (people == one for one in np.unique(people))
    return everybody, *(
        _one(int(one), shown[rows], agrees[rows], confidence) for one, rows in zip(np.unique(people), mine, strict=True)
    )


def _one(person: int | None, shown: Bools, agrees: Bools, confidence: float) -> Anchoring:
    seen, hidden = agrees[shown], agrees[~shown]
    counts = int(seen.sum()), len(seen), int(hidden.sum()), len(hidden)
    return Anchoring(
        person,
        wilson(counts[0], counts[1], confidence=confidence),
        wilson(counts[2], counts[3], confidence=confidence),
        newcombe(*counts, confidence=confidence),
    )
