"""The codecs of labelled intervals: spans of texts, hypertexts and dialogues, of time series and of videos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ml_backend.codecs.date_time import read_moment
from ml_backend.codecs.geometry import merge_intervals, overlap, span_iou
from ml_backend.codecs.labelled_regions import Geometry, LabelledRegion, RegionCodec, RegionKind
from ml_backend.codecs.regions import read_number, region_value
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.number_format import format_set_number

_MAX_QUOTED = 60  # characters of a span that its words quote
_MAX_PLACE = 1e18  # a time in nanoseconds since 1970 is smaller
_MAX_DIGITS = 6  # of the number of a turn
_NO_PATH = "/unknown"  # no element has it, so the editor draws hypertext by globalOffsets, and finds the paths itself


def _read_span(region: Mapping[str, Any]) -> Iterator[Geometry]:
    value = region_value(region)
    # hypertext: start and end are paths, and the offsets are in globalOffsets
    offsets = value.get("globalOffsets")
    yield _read_interval(offsets if isinstance(offsets, Mapping) else value)


def _read_interval(place: Mapping[str, Any], *, may_be_empty: bool = False) -> tuple[float, float]:
    start, end = _read_place(place, "start"), _read_place(place, "end")
    if start > end or (start == end and not may_be_empty):
        raise CodecError(f"a span from {start:g} to {end:g} is empty")
    return start, end


def _read_place(place: Mapping[str, Any], name: str) -> float:
    """Return a whole offset (characters, frames) as int; offsets in seconds stay floats."""
    number = read_number(place, name)
    if abs(number) > _MAX_PLACE:
        raise CodecError(f"{name} is {number:g}, wanted a smaller number")
    return int(number) if number.is_integer() else number


def _write_span(span: Geometry, control: Control) -> tuple[dict[str, Any], dict[str, Any]]:
    start, end = span
    if control.object_kind != "hypertext":
        return {"start": start, "end": end}, {}
    paths = {"start": _NO_PATH, "end": _NO_PATH, "startOffset": start, "endOffset": end}
    return {**paths, "globalOffsets": {"start": start, "end": end}}, {}


def _read_turns(region: Mapping[str, Any]) -> Iterator[Geometry]:
    value = region_value(region)
    turns = [_read_turn(value, name) for name in ("start", "end")]
    first, last = (read_number(value, name) for name in ("startOffset", "endOffset"))
    if not (first.is_integer() and last.is_integer() and 0 <= first < _MAX_PLACE and 0 <= last < _MAX_PLACE):
        raise CodecError(f"a span from character {first:g} to {last:g} has no whole numbers from 0 on")
    if (turns[0], first) >= (turns[1], last):
        raise CodecError(f"a span from turn {turns[0]}, {first:g} to turn {turns[1]}, {last:g} is empty")
    yield turns[0], int(first), turns[1], int(last)


def _read_turn(value: Mapping[str, Any], name: str) -> int:
    turn = value.get(name)
    number = turn if isinstance(turn, str) else str(_read_place(value, name))
    if not number.isdecimal() or len(number) > _MAX_DIGITS:
        raise CodecError(f"{name} is {number[:40]!r}, wanted the number of a turn in the dialogue")
    return int(number)


def _write_turns(span: Geometry, _control: Control) -> tuple[dict[str, Any], dict[str, Any]]:
    start, start_offset, end, end_offset = span
    return {"start": str(start), "startOffset": start_offset, "end": str(end), "endOffset": end_offset}, {}


def _read_times(region: Mapping[str, Any]) -> Iterator[Geometry]:
    value = region_value(region)
    times = value.get("start"), value.get("end")
    if not all(isinstance(time, str) and time.strip() for time in times):
        yield _read_interval(value, may_be_empty=True)
        return
    moments = [read_moment(str(time)) for time in times]
    if moments[0] is not None and moments[1] is not None and moments[0] > moments[1]:
        raise CodecError(f"a span from {times[0]!r:.40} to {times[1]!r:.40} is empty")
    yield times


def _write_times(span: Geometry, _control: Control) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"start": span[0], "end": span[1], "instant": span[0] == span[1]}, {}


def _times_iou(a: Geometry, b: Geometry) -> float:
    """Return the IoU of two times; texts that are no ISO 8601 times are the same or not."""
    places = [read_moment(time) if isinstance(time, str) else time for time in (*a, *b)]
    known = [place for place in places if place is not None]
    return span_iou((known[0], known[1]), (known[2], known[3])) if len(known) == len(places) else float(a == b)


def _read_ranges(region: Mapping[str, Any]) -> Iterator[Geometry]:
    ranges = region_value(region).get("ranges")
    if not isinstance(ranges, list) or not ranges or not all(isinstance(item, Mapping) for item in ranges):
        raise CodecError("ranges is not a list of objects with start and end")
    for item in ranges:
        yield _read_interval(item, may_be_empty=True)


def _write_ranges(span: Geometry, _control: Control) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"ranges": [{"start": span[0], "end": span[1]}]}, {}


def _frames_iou(a: Geometry, b: Geometry) -> float:
    return span_iou((a[0], a[1] + 1), (b[0], b[1] + 1))  # the last frame belongs to a range


def _character_distance(a: Sequence[LabelledRegion], b: Sequence[LabelledRegion]) -> float:
    """Return one minus the F1 of labelled characters."""
    shared = joint = 0.0
    for label in {region[-1] for region in (*a, *b)}:
        left, right = (
            merge_intervals((start, end) for start, end, own in regions if own == label) for regions in (a, b)
        )
        both, either = overlap(left, right)
        shared, joint = shared + both, joint + either
    return 1.0 - 2.0 * shared / (shared + joint)  # |A| + |B| = |A ∩ B| + |A ∪ B|


def _turn_distance(a: Sequence[LabelledRegion], b: Sequence[LabelledRegion]) -> float:
    """Return the distance of characters where each turn is as long as the largest offset that anybody used."""
    length = 1 + max(offset for region in (*a, *b) for offset in (region[1], region[3]))
    places = [
        [(first * length + at, last * length + end, label) for first, at, last, end, label in regions]
        for regions in (a, b)
    ]
    return _character_distance(*places)


def _turn_similarity(a: Geometry, b: Geometry) -> float:
    return 1.0 - _turn_distance([(*a, "")], [(*b, "")])


def _describe_span(span: Geometry, text: str) -> str:
    """Return the place of a span, with what it covers where the text is known.

    >>> _describe_span((0, 5), "Alice laughed"), _describe_span((1.5, 2.25), "")
    (' "Alice" (0 to 5)', ' (1.5 to 2.25)')
    """
    start, end = span
    covered = text[start:end] if isinstance(start, int) and isinstance(end, int) and start >= 0 else ""
    quoted = (
        f' "{" ".join(covered[:_MAX_QUOTED].split())}{"…" if len(covered) > _MAX_QUOTED else ""}"' if covered else ""
    )
    return f"{quoted} ({_in_words(start)} to {_in_words(end)})"


def _in_words(place: float | str) -> str:
    return place if isinstance(place, str) else format_set_number(place)


def _describe_turns(span: Geometry, _text: str) -> str:
    """Return the turn, counted from 1, and the characters of a span in a dialogue.

    >>> _describe_turns((0, 3, 0, 8), ""), _describe_turns((0, 3, 2, 8), "")
    (' (turn 1, 3 to 8)', ' (turn 1, 3 to turn 3, 8)')
    """
    start, start_offset, end, end_offset = span
    return f" (turn {start + 1}, {start_offset} to {f'turn {end + 1}, ' if end != start else ''}{end_offset})"


# Spans of characters are compared by the F1 of labelled characters, which is the coefficient of Dice (1945),
# doi:10.2307/1932409, of two sets; with labels as in Da San Martino et al. (2019), doi:10.18653/v1/D19-1565. Intervals
# of time by the temporal IoU of matched ones: Caba Heilbron et al. (2015), doi:10.1109/CVPR.2015.7298698.
_SPAN: Any = (_read_span, _write_span, span_iou, _describe_span, _character_distance)
Labels = partial(RegionCodec, RegionKind("labels", *_SPAN))
HyperTextLabels = partial(RegionCodec, RegionKind("hypertextlabels", *_SPAN))
ParagraphLabels = partial(
    RegionCodec,
    RegionKind("paragraphlabels", _read_turns, _write_turns, _turn_similarity, _describe_turns, _turn_distance),
)
TimeSeriesLabels = partial(
    RegionCodec, RegionKind("timeserieslabels", _read_times, _write_times, _times_iou, _describe_span)
)
TimelineLabels = partial(
    RegionCodec, RegionKind("timelinelabels", _read_ranges, _write_ranges, _frames_iou, _describe_span)
)
