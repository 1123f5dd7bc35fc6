"""Spans and boxes that several people drew become one: what most of them mean, where they mean it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from scipy.optimize import linear_sum_assignment

from feedback.errors import VotesError
from feedback.votes import Floats
from ml_backend.codecs.boxes import LabelledBox, box_similarity, boxes_of
from ml_backend.codecs.region_matching import similarities
from ml_backend.codecs.spans import Span, span_similarity, spans_of
from ml_backend.records import Answer

Region = TypeVar("Region", bound=tuple[Any, ...])  # sorted by where it starts
_SAME = 0.5  # overlap from which two people mean the same thing
_UNTURNED = 1e-9


@dataclass(frozen=True, slots=True)
class Fused(Generic[Region]):
    """One region of the consensus and the share of people's weight behind it."""

    region: Region
    support: float  # (0, 1]


def fuse_spans(
    answers: Sequence[Answer], *, weights: Sequence[float] | None = None, keep: float = 0.5
) -> tuple[Fused[Span], ...]:
    """The spans that more than the share `keep` of the people mean; ends are weighted medians.

    `weights` are what each person counts, e.g. their accuracy; a person without spans gives an empty answer.

    >>> a, b, c = (Answer("labels", ((start, 12, "PER"),)) for start in (0, 1, 5))
    >>> fuse_spans([a, b, c])
    (Fused(region=(1, 12, 'PER'), support=1.0),)
    """
    return _fuse([spans_of(answer) for answer in answers], span_similarity, _middle_span, weights, keep)


def fuse_boxes(
    answers: Sequence[Answer], *, weights: Sequence[float] | None = None, keep: float = 0.5
) -> tuple[Fused[LabelledBox], ...]:
    """The boxes that more than the share `keep` of the people mean; edges are weighted medians.

    Turned boxes are not averaged, their angle is a circle: the member that is nearest to all others stands for them.
    """
    return _fuse([boxes_of(answer) for answer in answers], box_similarity, _middle_box, weights, keep)


Middle = Callable[[Sequence[Region], Floats], Region]


def _fuse(
    drawn: Sequence[Sequence[Region]],
    similar: Callable[[Region, Region], float],
    middle: Middle[Region],
    weights: Sequence[float] | None,
    keep: float,
) -> tuple[Fused[Region], ...]:
    weight = np.ones(len(drawn)) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight.shape != (len(drawn),) or (weight < 0).any() or not weight.sum() > 0:
        raise VotesError(f"weights have shape {weight.shape}; wanted one per person ({len(drawn)}), not all 0.")
    groups: list[list[tuple[int, Region]]] = []  # a person is in a group at most once
    for person in sorted(range(len(drawn)), key=lambda one: (-weight[one], drawn[one])):  # in whatever order they came
        _join(groups, person, drawn[person], similar)
    found = []
    for group in groups:
        heavy = np.array([weight[person] for person, _ in group])
        support = float(heavy.sum() / weight.sum())
        if support > keep:
            found.append(Fused(middle([region for _, region in group], heavy), support))
    return tuple(sorted(found, key=lambda one: one.region))


def _join(
    groups: list[list[tuple[int, Region]]],
    person: int,
    regions: Sequence[Region],
    similar: Callable[[Region, Region], float],
) -> None:
    """Put each region into the group that means the same, one to one; what is left starts groups of its own."""
    taken: set[int] = set()
    if groups and regions:
        table = np.array(
            [
                [similarities([one], [region for _, region in group], similar).mean() for group in groups]
                for one in regions
            ]
        )
        table[table < _SAME] = 0.0
        for place, group in zip(*linear_sum_assignment(table, maximize=True), strict=True):
            if table[place, group] > 0:
                groups[group].append((person, regions[place]))
                taken.add(int(place))
    groups.extend([(person, region)] for place, region in enumerate(regions) if place not in taken)


def _middle_span(spans: Sequence[Span], weights: Floats) -> Span:
    start, end = (_median(np.array([span[side] for span in spans]), weights) for side in (0, 1))
    first = spans[0]
    whole = all(isinstance(side, int) for span in spans for side in span[:2])
    return (int(start), int(end), first[2]) if whole else (start, end, first[2])


def _middle_box(boxes: Sequence[LabelledBox], weights: Floats) -> LabelledBox:
    if any(abs(box[4]) > _UNTURNED for box in boxes):
        near = similarities(boxes, boxes, box_similarity) @ weights
        return boxes[int(near.argmax())]
    corners = np.array([(x, y, x + width, y + height) for x, y, width, height, *_ in boxes])
    left, top, right, bottom = (_median(corners[:, side], weights) for side in range(4))
    return (left, top, right - left, bottom - top, 0.0, 1.0, boxes[0][6])


def _median(values: Floats, weights: Floats) -> float:
    """The weighted median: half of the weight lies on either side; between two, the mean of both."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    low = int(np.searchsorted(reached, 0.5 - 1e-12))
    high = low + 1 if abs(reached[low] - 0.5) < 1e-9 and low + 1 < len(values) else low
    return float(values[order[low]] + values[order[high]]) / 2.0
