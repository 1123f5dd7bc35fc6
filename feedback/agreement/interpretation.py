"""What the figures mean for whoever runs the project, in sentences."""

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

UNCLEAR = 0.6  # below it the task definition is the problem, not the people: Krippendorff (2004) discards at .667
_FEW = 30  # items below which an interval is too wide to say anything
_PARADOX = 0.3  # AC1 this far above kappa: one label is nearly always right
_ROUNDED = 0.005  # half of the last digit shown


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """A judgement of one set of votes; `sentences` are for people, the rest is for pages."""

    clear: bool | None  # None: too little to say
    coefficient: Coefficient
    sentences: tuple[str, ...]
    confused: tuple[Hashable, Hashable, float] | None  # two labels and their share of all disagreement
    open_first: tuple[int, ...]  # task codes

    def __str__(self) -> str:
        return " ".join(self.sentences)


def interpret_agreement(
    votes: Votes, labels: Sequence[Hashable], *, coefficient: Coefficient | None = None, drawn: bool = True
) -> AgreementReport:
    """Judge the votes by `coefficient` (else Krippendorff's nominal alpha); `labels` name the codes.

    `drawn` says that the tasks were drawn at random. Where they were chosen because they are hard, the figure is shown
    and named as such, and nothing is concluded from it.

    >>> votes = Votes(np.repeat(np.arange(60), 2), np.tile([0, 1], 60), np.tile([0, 0, 1, 1, 0, 1], 20))
    >>> print(interpret_agreement(votes, ["hate", "offensive"]).sentences[0])
    alpha 0.34 [0.09, 0.58] on 60 items: below 0.6, the task definition is unclear.
    """
    coefficient = krippendorff_alpha(votes) if coefficient is None else coefficient
    one = most_disputed(votes)
    pair = _most_confused(votes, labels)
    if math.isnan(coefficient.value):
        return AgreementReport(None, coefficient, (describe_coefficient(coefficient),), pair, tuple(map(int, one)))
    if paradox := _paradox(votes, labels, coefficient):
        sentences, clear = [f"{coefficient}: low, and yet people agree.", paradox], None
    else:
        sentences = [describe_coefficient(coefficient, drawn=drawn)]
        clear = None if coefficient.items < _FEW or not drawn else _is_clear(coefficient)
    if pair and coefficient.value < 1.0:
        sentences.append(f"Most confused: {pair[0]} ↔ {pair[1]} ({pair[2]:.0%} of all disagreement).")
    return AgreementReport(clear, coefficient, tuple(sentences), pair, tuple(map(int, one)))


def describe_coefficient(coefficient: Coefficient, *, drawn: bool = True) -> str:
    """One sentence on a coefficient of any type of answer; nothing is concluded from a few items."""
    if math.isnan(coefficient.value):
        return f"{coefficient.name} cannot be computed: {coefficient.note}."
    if not drawn:
        return f"{coefficient}, chosen because they are hard: shown, not judged."
    if coefficient.items < _FEW:
        return f"{coefficient}: too few to judge, {_FEW} randomly drawn items are wanted."
    if coefficient.value < UNCLEAR:
        likely = "" if coefficient.high < UNCLEAR + _ROUNDED else " probably"
        return f"{coefficient}:{likely} below {UNCLEAR}, the task definition is unclear."
    if coefficient.low < UNCLEAR:
        return f"{coefficient}: acceptable, though {UNCLEAR} is within reach of chance; measure more items."
    return f"{coefficient}: people understand the task alike."


def _is_clear(coefficient: Coefficient) -> bool | None:
    if coefficient.value < UNCLEAR:
        return False
    return True if coefficient.low >= UNCLEAR else None


def _paradox(votes: Votes, labels: Sequence[Hashable], coefficient: Coefficient) -> str:
    """Explain a low kappa beside high agreement: one label is nearly always right."""
    agreed, robust = percent_agreement(votes), gwet_ac1(votes)
    if math.isnan(robust.value) or robust.value < UNCLEAR or robust.value - coefficient.value < _PARADOX:
        return ""
    common = np.bincount(votes.labels, minlength=votes.n_labels)
    top = int(common.argmax())
    share = common[top] / common.sum()
    return (
        f"People agree on {agreed.value:.0%} of the pairs, and {labels[top]} is {share:.0%} of all votes: agreement by "
        f"chance is then so likely that {coefficient.name} {coefficient.value:.3f} says little. AC1, which allows for that, is "
        f"{robust.value:.3f} [{robust.low:.2f}, {robust.high:.2f}]; draw more items with the rare labels to know more."
    )


def _most_confused(votes: Votes, labels: Sequence[Hashable]) -> tuple[Hashable, Hashable, float] | None:
    shares = np.triu(label_confusions(votes)) if votes.n_labels > 1 and len(votes) else np.zeros((1, 1))
    if not shares.max() > 0:
        return None
    a, b = np.unravel_index(int(shares.argmax()), shares.shape)
    return labels[int(a)], labels[int(b)], float(shares[a, b])
