"""Labels on text: spans from start to end, each with a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ml_backend.codecs.region_matching import mean_similarity, span_iou
from ml_backend.codecs.regions import labels_of, number_of, region, value_of
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

Span = tuple[float, float, str]  # start, end (not included), label


class Spans:
    """The answer is the sorted tuple of (start, end, label); the distance is one minus the mean matched overlap.

    Spans are matched one to one within a label; a span without a partner counts as no overlap.

    >>> a = Answer("labels", ((0, 5, "PER"), (10, 15, "ORG")))
    >>> b = Answer("labels", ((0, 5, "PER"), (10, 14, "ORG")))
    >>> round(Spans().distance(a, b), 3)
    0.1
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Read each region; one with several labels is as many spans."""
        spans: set[Span] = set()
        for one in regions:
            value = value_of(one)
            offsets = value.get("globalOffsets")  # hypertext: start and end are paths, the offsets stand here
            place = offsets if isinstance(offsets, Mapping) else value
            start, end = _whole(number_of(place, "start")), _whole(number_of(place, "end"))
            if not start < end:
                raise CodecError(f"a span from {start:g} to {end:g} is empty")
            spans.update((start, end, label) for label in labels_of(value, "labels"))
        if not spans:
            raise CodecError("no span is marked")
        return Answer("labels", tuple(sorted(spans)))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        """One region a span."""
        return [
            region(control, "labels", {"start": start, "end": end, "labels": [label]}, score, named=True)
            for start, end, label in spans_of(answer)
        ]

    def distance(self, a: Answer, b: Answer) -> float:
        """One minus the mean overlap (shared over joint length) of matched spans."""
        return 1.0 - mean_similarity(spans_of(a), spans_of(b), span_similarity)


def spans_of(answer: Answer) -> tuple[Span, ...]:
    """The spans of a labels answer."""
    return cast("tuple[Span, ...]", answer.value)


def span_similarity(a: Span, b: Span) -> float:
    """Overlap of two spans of the same label; 0 for different labels."""
    return span_iou((a[0], a[1]), (b[0], b[1])) if a[2] == b[2] else 0.0


def _whole(offset: float) -> float:
    """Characters are counted whole; seconds of sound are not."""
    return int(offset) if offset.is_integer() else offset
