"""SVG charts: a share over time with its interval, and one interval as a bar.

Written by hand, because two shapes need no library: it saves megabytes at run time, colours follow the light or dark
mode of the page (with a fallback for a single file), and every text is escaped here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from ml_backend.number_format import format_percent

_WIDTH, _HEIGHT = 720.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 12.0, 12.0, 28.0
_INSET = 10.0  # a point at the very edge would be cut
_DAY_S = 86_400.0
_FORMS = ((300.0, "%H:%M:%S"), (_DAY_S, "%H:%M"), (300 * _DAY_S, "%d %b"))  # of times, by how long the axis is
_ACCENT, _GRID = "var(--accent, #2f6f8f)", "var(--line, #d9d9d9)"
_FONT = "fill: var(--soft, #666); font: 12px system-ui, sans-serif"


@dataclass(frozen=True, slots=True)
class Point:
    """One figure at one time, within its interval."""

    at_s: float  # epoch seconds
    value: float  # [0, 1], like low and high
    low: float
    high: float
    title: str  # tooltip


def over_time(points: Sequence[Point], *, label: str) -> str:
    """Draw shares over time as a line within the band of their intervals; "" without points.

    The share axis begins below the lowest interval and ends at 100 %, so that small steps are seen.

    >>> over_time([], label="accuracy")
    ''
    >>> over_time([Point(0.0, 0.9, 0.8, 0.95, "<m1>")], label="accuracy").count("&lt;m1&gt;")
    1
    """
    if not points:
        return ""
    floor = min(max(0.0, int(min(point.low for point in points) * 10 - 1e-9) / 10), 0.9)
    place = _Place(points[0].at_s, points[-1].at_s, floor)
    spots = [(place.x(point.at_s), place.y(point.value)) for point in points]
    band = [(place.x(point.at_s), place.y(point.high)) for point in points]
    band += [(place.x(point.at_s), place.y(point.low)) for point in reversed(points)]
    parts = [*_grid(floor, place), *_days(points, place)]
    if len(points) > 1:
        parts.append(f'<polygon points="{_joined(band)}" style="fill: {_ACCENT}; opacity: .16"/>')
        parts.append(f'<polyline points="{_joined(spots)}" style="fill: none; stroke: {_ACCENT}; stroke-width: 2"/>')
    for point, (x, y) in zip(points, spots, strict=True):
        whisker = f"M{x:.1f} {place.y(point.high):.1f}V{place.y(point.low):.1f}"
        parts.append(
            f"<g><title>{escape(point.title)}</title>"
            f'<path d="{whisker}" style="stroke: {_ACCENT}; stroke-width: 1.5; opacity: .45"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" style="fill: {_ACCENT}"/></g>'
        )
    return _svg(_WIDTH, _HEIGHT, label, parts)


def interval_bar(value: float | None, low: float, high: float, *, label: str) -> str:
    """Draw one share within its interval, on a track from 0 to 100 %; None draws the interval alone.

    >>> 'aria-label="92 %"' in interval_bar(0.92, 0.8, 0.97, label="92 %")
    True
    """
    width, middle = 124.0, 7.0
    left, right, *spots = (round(6 + share * (width - 12), 1) for share in (low, high, value) if share is not None)
    parts = [
        f'<path d="M6 {middle}H{width - 6}" style="stroke: {_GRID}; stroke-width: 4; stroke-linecap: round"/>',
        f'<path d="M{left} {middle}H{right}" style="stroke: {_ACCENT}; stroke-width: 4; opacity: .4"/>',
        *[f'<circle cx="{spot}" cy="{middle}" r="4" style="fill: {_ACCENT}"/>' for spot in spots],
    ]
    return _svg(width, 2 * middle, label, parts)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a time and a share are on the drawing."""

    first_s: float
    last_s: float
    floor: float

    def x(self, at_s: float) -> float:
        span_s = self.last_s - self.first_s
        share = (at_s - self.first_s) / span_s if span_s > 0 else 0.5
        return _LEFT + _INSET + share * (_WIDTH - _LEFT - _RIGHT - 2 * _INSET)

    def y(self, share: float) -> float:
        return _TOP + (1.0 - share) / (1.0 - self.floor) * (_HEIGHT - _TOP - _BOTTOM)


def _grid(floor: float, place: _Place) -> list[str]:
    step = 0.1 if floor >= 0.45 else 0.2 if floor > 0 else 0.25
    shares = [1.0 - step * number for number in range(int((1.0 - floor) / step + 1e-9) + 1)]
    return [
        f'<path d="M{_LEFT} {place.y(share):.1f}H{_WIDTH - _RIGHT}" style="stroke: {_GRID}"/>'
        f'<text x="{_LEFT - 8}" y="{place.y(share) + 4:.1f}" text-anchor="end" style="{_FONT}">'
        f"{format_percent(round(share, 6))}</text>"
        for share in shares
    ]


def _days(points: Sequence[Point], place: _Place) -> list[str]:
    first, last = points[0].at_s, points[-1].at_s
    form = next((form for below_s, form in _FORMS if last - first < below_s), "%b %Y")
    times = [first] if last == first else [first + (last - first) * part / 4 for part in range(5)]
    anchors = ["middle"] if len(times) == 1 else ["start", "middle", "middle", "middle", "end"]
    drawn, before = [], ""
    for at_s, anchor in zip(times, anchors, strict=True):
        text = datetime.fromtimestamp(at_s, UTC).strftime(form)
        if text != before:  # the same day twice would look like a mistake
            drawn.append(
                f'<text x="{place.x(at_s):.1f}" y="{_HEIGHT - 8}" text-anchor="{anchor}" style="{_FONT}">{text}</text>'
            )
        before = text
    return drawn


def _joined(spots: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
