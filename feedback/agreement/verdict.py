"""What the figures mean for whoever runs the project, in sentences."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from feedback.agreement.chance_corrected import gwet, percent
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.krippendorff_alpha import alpha
from feedback.agreement.label_breakdown import confusions, disputed
from feedback.votes import Votes

UNCLEAR = 0.6  # below it the task definition is the problem, not the people: Krippendorff (2004) discards at .667
_FEW = 30  # items below which an interval is too wide to say anything
_PARADOX = 0.3  # AC1 this far above kappa: one label is nearly always right
_ROUNDED = 0.005  # half of the last digit shown


@dataclass(frozen=True, slots=True)
class Reading:
    """A judgement of one set of votes; `sentences` are for people, the rest is for pages."""

    clear: bool | None  # None: too little to say
    figure: Coefficient
    sentences: tuple[str, ...]
    confused: tuple[Hashable, Hashable, float] | None  # two labels and their share of all disagreement
    open_first: tuple[int, ...]  # task codes

    def __str__(self) -> str:
        return " ".join(self.sentences)


def read(votes: Votes, labels: Sequence[Hashable], *, figure: Coefficient | None = None, drawn: bool = True) -> Reading:
    """Judge the votes by `figure` (else Krippendorff's nominal alpha); `labels` name the codes.

    `drawn` says that the tasks were drawn at random. Where they were chosen because they are hard, the figure is shown
    and named as such, and nothing is concluded from it.

    >>> votes = Votes(np.repeat(np.arange(60), 2), np.tile([0, 1], 60), np.tile([0, 0, 1, 1, 0, 1], 20))
    >>> print(read(votes, ["hate", "offensive"]).sentences[0])
    alpha 0.34 [0.09, 0.58] on 60 items: below 0.6, the task definition is unclear.
    """
    figure = alpha(votes) if figure is None else figure
    one = disputed(votes)
    pair = _most_confused(votes, labels)
    if math.isnan(figure.value):
        return Reading(None, figure, (in_words(figure),), pair, tuple(map(int, one)))
    if paradox := _paradox(votes, labels, figure):
        sentences, clear = [f"{figure}: low, and yet people agree.", paradox], None
    else:
        sentences = [in_words(figure, drawn=drawn)]
        clear = None if figure.items < _FEW or not drawn else _is_clear(figure)
    if pair and figure.value < 1.0:
        sentences.append(f"Most confused: {pair[0]} ↔ {pair[1]} ({pair[2]:.0%} of all disagreement).")
    return Reading(clear, figure, tuple(sentences), pair, tuple(map(int, one)))


def in_words(figure: Coefficient, *, drawn: bool = True) -> str:
    """One sentence on a coefficient of any type of answer; nothing is concluded from a few items."""
    if math.isnan(figure.value):
        return f"{figure.name} cannot be computed: {figure.note}."
    if not drawn:
        return f"{figure}, chosen because they are hard: shown, not judged."
    if figure.items < _FEW:
        return f"{figure}: too few to judge, {_FEW} randomly drawn items are wanted."
    if figure.value < UNCLEAR:
        likely = "" if figure.high < UNCLEAR + _ROUNDED else " probably"
        return f"{figure}:{likely} below {UNCLEAR}, the task definition is unclear."
    if figure.low < UNCLEAR:
        return f"{figure}: acceptable, though {UNCLEAR} is within reach of chance; measure more items."
    return f"{figure}: people understand the task alike."


def _is_clear(figure: Coefficient) -> bool | None:
    if figure.value < UNCLEAR:
        return False
    return True if figure.low >= UNCLEAR else None


def _paradox(votes: Votes, labels: Sequence[Hashable], figure: Coefficient) -> str:
    """Explain a low kappa beside high agreement: one label is nearly always right."""
    agreed, robust = percent(votes), gwet(votes)
    if math.isnan(robust.value) or robust.value < UNCLEAR or robust.value - figure.value < _PARADOX:
        return ""
    common = np.bincount(votes.labels, minlength=votes.n_labels)
    top = int(common.argmax())
    share = common[top] / common.sum()
    return (
        f"People agree on {agreed.value:.0%} of the pairs, and {labels[top]} is {share:.0%} of all votes: agreement by "
        f"chance is then so likely that {figure.name} {figure.value:.3f} says little. AC1, which allows for that, is "
        f"{robust.value:.3f} [{robust.low:.2f}, {robust.high:.2f}]; draw more items with the rare labels to know more."
    )


def _most_confused(votes: Votes, labels: Sequence[Hashable]) -> tuple[Hashable, Hashable, float] | None:
    shares = np.triu(confusions(votes)) if votes.n_labels > 1 and len(votes) else np.zeros((1, 1))
    if not shares.max() > 0:
        return None
    a, b = np.unravel_index(int(shares.argmax()), shares.shape)
    return labels[int(a)], labels[int(b)], float(shares[a, b])
