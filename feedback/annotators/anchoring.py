"""Anchoring: how much more often people agree with a prediction when they see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedback.errors import VotesError
from feedback.stats.intervals import Interval, newcombe, wilson
from feedback.votes import Ints

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Anchoring:
    """The agreement of answers with the model, with a visible prediction and without."""

    person: int | None  # code; None: all people
    shown: Interval  # share of answers equal to the prediction, where it was visible
    blind: Interval  # the same, where it was hidden
    effect: Interval  # shown minus blind, in [-1, 1]

    @property
    def proven(self) -> bool:
        """Return whether the effect is above 0 beyond chance."""
        return self.effect.low > 0.0

    def __str__(self) -> str:
        return f"agrees with the model {self.shown} when shown, {self.blind} when hidden: a difference of {self.effect}"


def anchoring(people: Ints, shown: Bools, agrees: Bools, *, confidence: float = 0.95) -> tuple[Anchoring, ...]:
    """Measure anchoring of all people together, then of each person; intervals are Wilson's and Newcombe's.

    Parameters
    ----------
    people
        Code of the person, one row per answer, on tasks where a random draw decided whether the prediction was visible.
        Without a random draw the difference has no meaning, because hidden tasks may be harder.
    shown
        Whether the prediction was visible.
    agrees
        Whether the answer equals the prediction, also where that was hidden.

    Raises
    ------
    VotesError
        If the columns differ in length.

    Examples
    --------
    >>> shown = np.arange(200) < 100
    >>> agrees = np.where(shown, np.arange(200) % 10 < 9, np.arange(200) % 10 < 7)
    >>> str(anchoring(np.zeros(200, dtype=int), shown, agrees)[0].effect)
    '0.20 [0.09, 0.31]'
    """
    if not len(people) == len(shown) == len(agrees):
        raise VotesError(f"{len(people)} people, {len(shown)} shown, {len(agrees)} agrees; wanted one row per answer.")
    everybody = _anchoring(None, shown, agrees, confidence)
    own_rows = ((int(person), people == person) for person in np.unique(people))
    return everybody, *(_anchoring(person, shown[rows], agrees[rows], confidence) for person, rows in own_rows)


def _anchoring(person: int | None, shown: Bools, agrees: Bools, confidence: float) -> Anchoring:
    visible, hidden = agrees[shown], agrees[~shown]
    k_visible, n_visible, k_hidden, n_hidden = int(visible.sum()), len(visible), int(hidden.sum()), len(hidden)
    return Anchoring(
        person,
        wilson(k_visible, n_visible, confidence=confidence),
        wilson(k_hidden, n_hidden, confidence=confidence),
        newcombe(k_visible, n_visible, k_hidden, n_hidden, confidence=confidence),
    )
