"""Explain an agreement coefficient in sentences for the owner of a project."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from feedback.agreement.chance_corrected import gwet_ac1, percent_agreement
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.krippendorff_alpha import krippendorff_alpha
from feedback.agreement.label_breakdown import label_confusions, most_disputed
from feedback.votes import Votes

UNCLEAR = 0.6  # below it the task definition is unclear
_MIN_ITEMS = 30  # with fewer, the interval is too wide for a conclusion
_PARADOX_GAP = 0.3  # AC1 this far above the coefficient: one label is nearly always right
_ROUNDED = 0.005  # half of the last digit shown


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What an agreement coefficient means; `sentences` are for people to read."""

    clear: bool | None  # whether the task definition is clear; None: too few items to tell
    coefficient: Coefficient
    sentences: tuple[str, ...]
    confused: tuple[Hashable, Hashable, float] | None  # two labels and their share of all disagreement
    open_first: tuple[int, ...]  # codes of the tasks with most disagreement

    def __str__(self) -> str:
        return " ".join(self.sentences)


def interpret_agreement(
    votes: Votes, labels: Sequence[Hashable], *, coefficient: Coefficient | None = None, drawn: bool = True
) -> Interpretation:
    """Explain the agreement of votes: whether the task is clear, which labels are confused, which tasks to open.

    A task definition counts as unclear below 0.6. Krippendorff (2004, doi:10.1111/j.1468-2958.2004.tb00738.x) draws no
    conclusions below .667. A low kappa with a high AC1 is explained by one frequent label, not by an unclear task.

    Parameters
    ----------
    labels
        The names of the label codes, length k.
    coefficient
        The coefficient to explain; Krippendorff's nominal alpha by default.
    drawn
        Whether the tasks were drawn at random. Where they were chosen because they are hard, the coefficient is shown
        and nothing is concluded.

    Examples
    --------
    >>> votes = Votes(np.repeat(np.arange(60), 2), np.tile([0, 1], 60), np.tile([0, 0, 1, 1, 0, 1], 20))
    >>> print(interpret_agreement(votes, ["hate", "offensive"]).sentences[0])
    alpha 0.34 [0.09, 0.58] on 60 items: below 0.6, the task definition is unclear.
    """
    coefficient = krippendorff_alpha(votes) if coefficient is None else coefficient
    disputed = tuple(most_disputed(votes).tolist())
    pair = _most_confused(votes, labels)
    if math.isnan(coefficient.value):
        return Interpretation(None, coefficient, (describe_coefficient(coefficient),), pair, disputed)
    if paradox := _paradox(votes, labels, coefficient):
        sentences, clear = [f"{coefficient}: low, and yet people agree.", paradox], None
    else:
        sentences = [describe_coefficient(coefficient, drawn=drawn)]
        clear = None if coefficient.items < _MIN_ITEMS or not drawn else _is_clear(coefficient)
    if pair and coefficient.value < 1.0:
        sentences.append(f"Most confused: {pair[0]} ↔ {pair[1]} ({pair[2]:.0%} of all disagreement).")
    return Interpretation(clear, coefficient, tuple(sentences), pair, disputed)


def describe_coefficient(coefficient: Coefficient, *, drawn: bool = True) -> str:
    """Return one sentence on what a coefficient means; nothing is concluded from fewer than 30 items."""
    if math.isnan(coefficient.value):
        return f"{coefficient.name} cannot be computed: {coefficient.note}."
    if not drawn:
        return f"{coefficient}, not judged, because these items were chosen as hard and not at random."
    if coefficient.items < _MIN_ITEMS:
        return f"{coefficient}: too few to judge, {_MIN_ITEMS} randomly drawn items are wanted."
    if coefficient.value < UNCLEAR:
        likely = "" if coefficient.high < UNCLEAR + _ROUNDED else " probably"
        return f"{coefficient}:{likely} below {UNCLEAR}, the task definition is unclear."
    if coefficient.low < UNCLEAR:
        return f"{coefficient}: acceptable, but it may be below {UNCLEAR}; measure more items."
    return f"{coefficient}: people understand the task alike."


def _is_clear(coefficient: Coefficient) -> bool | None:
    if coefficient.value < UNCLEAR:
        return False
    return True if coefficient.low >= UNCLEAR else None


def _paradox(votes: Votes, labels: Sequence[Hashable], coefficient: Coefficient) -> str:
    """Return sentences that explain a low coefficient next to a high AC1, or "" where there is nothing to explain."""
    agreement, ac1 = percent_agreement(votes), gwet_ac1(votes)
    if math.isnan(ac1.value) or ac1.value < UNCLEAR or ac1.value - coefficient.value < _PARADOX_GAP:
        return ""
    counts = np.bincount(votes.labels, minlength=votes.n_labels)
    top = int(counts.argmax())
    share = counts[top] / counts.sum()
    name, value = coefficient.name, coefficient.value
    return (
        f"People agree on {agreement.value:.0%} of the pairs, and {labels[top]} is {share:.0%} of all votes: agreement "
        f"by chance is then so likely that {name} {value:.3f} is hard to interpret. AC1, which allows for that, is "
        f"{ac1.value:.3f} [{ac1.low:.2f}, {ac1.high:.2f}]; draw more items with the rare labels to know more."
    )


def _most_confused(votes: Votes, labels: Sequence[Hashable]) -> tuple[Hashable, Hashable, float] | None:
    shares = np.triu(label_confusions(votes)) if votes.n_labels > 1 and len(votes) else np.zeros((1, 1))
    if not shares.max() > 0:
        return None
    a, b = np.unravel_index(int(shares.argmax()), shares.shape)
    return labels[int(a)], labels[int(b)], float(shares[a, b])
