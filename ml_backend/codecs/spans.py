"""The codec of Labels on text: labelled spans from start to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ml_backend.codecs.regions import (
    describe_regions,
    make_region,
    mean_similarity,
    read_labels,
    read_number,
    region_value,
    span_iou,
)
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.number_format import format_set_number
from ml_backend.records import Answer

Span = tuple[float, float, str]  # start, end (not included), label
_MAX_QUOTED = 60  # characters of a span that its words quote


class Spans:
    """An answer is a sorted tuple of (start, end, label); the distance is one minus the mean IoU of matched spans.

    Spans with the same label are matched one to one (Kuhn, 1955, scipy's linear_sum_assignment); a span without a
    partner counts as IoU 0. The IoU is the index of Jaccard (1912) of the covered characters.

    >>> a = Answer("labels", ((0, 5, "PER"), (10, 15, "ORG")))
    >>> b = Answer("labels", ((0, 5, "PER"), (10, 14, "ORG")))
    >>> round(Spans().distance(a, b), 3)
    0.1
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        spans: set[Span] = set()
        for region in regions:
            value = region_value(region)
            # hypertext: start and end are paths, and the offsets are in globalOffsets
            offsets = value.get("globalOffsets")
            place = offsets if isinstance(offsets, Mapping) else value
            start, end = _int_if_whole(read_number(place, "start")), _int_if_whole(read_number(place, "end"))
            if not start < end:
                raise CodecError(f"a span from {start:g} to {end:g} is empty")
            spans.update((start, end, label) for label in read_labels(value, "labels"))
        if not spans:
            raise CodecError("there is no span")
        return Answer("labels", tuple(sorted(spans)))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        return [
            make_region(control, "labels", {"start": start, "end": end, "labels": [label]}, score, named=True)
            for start, end, label in spans_of(answer)
        ]

    def distance(self, a: Answer, b: Answer) -> float:
        return 1.0 - mean_similarity(spans_of(a), spans_of(b), span_similarity)

    def describe(self, answer: Answer, text: str = "", /) -> str:
        return describe_regions([_describe_span(span, text) for span in spans_of(answer)])


def spans_of(answer: Answer) -> tuple[Span, ...]:
    """Return the spans of a labels answer."""
    return cast("tuple[Span, ...]", answer.value)


def span_similarity(a: Span, b: Span) -> float:
    """Return the IoU of two spans, in [0, 1]; 0 for different labels."""
    return span_iou((a[0], a[1]), (b[0], b[1])) if a[2] == b[2] else 0.0


def _describe_span(span: Span, text: str) -> str:
    """Return the label and the place of a span, with what it covers where the text is known.

    >>> _describe_span((0, 5, "PER"), "Alice laughed"), _describe_span((1.5, 2.25, "noise"), "")
    ('PER "Alice" (0 to 5)', 'noise (1.5 to 2.25)')
    """
    start, end, label = span
    covered = text[start:end] if isinstance(start, int) and isinstance(end, int) and start >= 0 else ""
    quoted = (
        f' "{" ".join(covered[:_MAX_QUOTED].split())}{"…" if len(covered) > _MAX_QUOTED else ""}"' if covered else ""
    )
    return f"{label}{quoted} ({format_set_number(start)} to {format_set_number(end)})"


def _int_if_whole(offset: float) -> float:
    """Return a whole offset (characters) as int; offsets in seconds of audio stay floats."""
    return int(offset) if offset.is_integer() else offset
