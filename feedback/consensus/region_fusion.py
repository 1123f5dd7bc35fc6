"""Fusion of spans and boxes: regions of several people that overlap enough become one region."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.optimize import linear_sum_assignment

from feedback.errors import VotesError
from feedback.votes import Floats
from ml_backend.codecs import get_codec
from ml_backend.codecs.labelled_regions import LabelledRegion, RegionCodec, regions_of
from ml_backend.codecs.regions import similarities
from ml_backend.records import Answer

Similar: TypeAlias = Callable[[LabelledRegion, LabelledRegion], float]
_MIN_SIMILARITY = 0.5  # regions with at least this similarity are the same region
_MIN_ROTATION = 1e-9  # degrees


@dataclass(frozen=True, slots=True)
class FusedRegion:
    """One region of the consensus, and the share of the weight of all people behind it."""

    region: LabelledRegion
    support: float  # (0, 1]


def fuse_regions(
    answers: Sequence[Answer], *, weights: Sequence[float] | None = None, keep: float = 0.5
) -> tuple[FusedRegion, ...]:
    """Fuse spans or boxes: keep those that more than the share `keep` of the people drew; ends are weighted medians.

    Regions of two people are matched one to one by their similarity (Hungarian algorithm). Of rotated boxes, whose
    angles have no median, the box nearest to all others is kept. The result is sorted by start.

    Parameters
    ----------
    answers
        One per person, of a kind in `FUSED_KINDS`; a person without regions gives an empty answer.
    weights
        The weight of each person, 0 or more, for example their accuracy; 1 by default.
    keep
        Smallest share of the weight, exclusive.

    Raises
    ------
    VotesError
        If the weights have another length or are all 0.

    Examples
    --------
    >>> a, b, c = (Answer("labels", ((start, 12, "PER"),)) for start in (0, 1, 5))
    >>> fuse_regions([a, b, c])
    (FusedRegion(region=(1, 12, 'PER'), support=1.0),)
    """
    weight = answer_weights(weights, len(answers))
    codec: RegionCodec = get_codec(answers[0].kind)  # type: ignore[assignment]
    center = FUSED_KINDS[answers[0].kind]
    drawn = [regions_of(answer) for answer in answers]
    groups: list[list[tuple[int, LabelledRegion]]] = []  # a person is in a group at most once
    # sorted, so that the order of the answers changes nothing
    for person in sorted(range(len(drawn)), key=lambda row: (-weight[row], drawn[row])):
        _join(groups, person, drawn[person], codec.similarity)
    found = []
    for group in groups:
        group_weight = np.array([weight[person] for person, _ in group])
        support = float(group_weight.sum() / weight.sum())
        if support > keep:
            found.append(FusedRegion(center([region for _, region in group], group_weight, codec.similarity), support))
    return tuple(sorted(found, key=lambda fused: fused.region))


def _join(
    groups: list[list[tuple[int, LabelledRegion]]],
    person: int,
    regions: Sequence[LabelledRegion],
    similar: Similar,
) -> None:
    """Add each region of a person to the group that it matches, one to one; the others start new groups."""
    matched: set[int] = set()
    if groups and regions:
        table = np.array(
            [
                [similarities([own], [region for _, region in group], similar).mean() for group in groups]
                for own in regions
            ]
        )
        table[table < _MIN_SIMILARITY] = 0.0
        for place, group in zip(*linear_sum_assignment(table, maximize=True), strict=True):
            if table[place, group] > 0:
                groups[group].append((person, regions[place]))
                matched.add(int(place))
    groups.extend([(person, region)] for place, region in enumerate(regions) if place not in matched)


def _median_span(spans: Sequence[LabelledRegion], weights: Floats, _similar: Similar) -> LabelledRegion:
    start, end = (_median(np.array([span[side] for span in spans]), weights) for side in (0, 1))
    first = spans[0]
    are_integers = all(isinstance(side, int) for span in spans for side in span[:2])
    return (int(start), int(end), first[2]) if are_integers else (start, end, first[2])


def _median_box(boxes: Sequence[LabelledRegion], weights: Floats, similar: Similar) -> LabelledRegion:
    if any(abs(box[4]) > _MIN_ROTATION for box in boxes):
        similarity = similarities(boxes, boxes, similar) @ weights
        return boxes[int(similarity.argmax())]
    corners = np.array([(x, y, x + width, y + height) for x, y, width, height, *_ in boxes])
    left, top, right, bottom = (_median(corners[:, side], weights) for side in range(4))
    return (left, top, right - left, bottom - top, 0.0, 1.0, boxes[0][6])


def _median(values: Floats, weights: Floats) -> float:
    """Return the weighted median; the mean of two values where half of the weight lies on each side."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order]) / weights.sum()
    low = int(np.searchsorted(cumulative, 0.5 - 1e-12))
    high = low + 1 if abs(cumulative[low] - 0.5) < 1e-9 and low + 1 < len(values) else low
    return float(values[order[low]] + values[order[high]]) / 2.0


# kind of the answers -> the region in the middle of several
FUSED_KINDS: Mapping[str, Callable[[Sequence[LabelledRegion], Floats, Similar], LabelledRegion]] = {
    "hypertextlabels": _median_span,
    "labels": _median_span,
    "rectanglelabels": _median_box,
    "timelinelabels": _median_span,
}


def answer_weights(weights: Sequence[float] | None, n: int) -> Floats:
    """Return the weights of n answers, 1 by default; VotesError for a wrong number, one below 0, or only zeros."""
    weight = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight.shape != (n,) or (weight < 0).any() or not weight.sum() > 0:
        raise VotesError(f"weights have shape {weight.shape}; wanted one per answer ({n}), 0 or more, not all 0.")
    return weight
