"""Figures as JSON and as people read them: a value with its interval, its sample in words, and its time.

Each figure has one function that makes it; the command line, the pages and the JSON show what that function returns, by
the functions here. So nobody meets the same question with two answers, or two questions under one name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from feedback.reports.formatting import when
from feedback.stats.intervals import Interval
from ml_backend.number_format import (
    UNKNOWN,
    format_bounds,
    format_count,
    format_number,
    format_percent,
    format_percent_range,
    format_points,
    format_range,
    format_share,
)

Figure = Mapping[str, Any]  # value, low and high; of a sample also n, sample and at_s


def make_figure(interval: Interval, n: int, sample: str, *, at_s: float | None = None) -> dict[str, Any]:
    """Return an estimate from `n` rows as JSON; `sample` says in words, in the plural, which rows these are.

    >>> make_figure(Interval(0.7, 0.9, 0.8), 41, "audit tasks")
    {'value': 0.8, 'low': 0.7, 'high': 0.9, 'n': 41, 'sample': 'audit tasks', 'at_s': None}
    """
    return {**interval.to_json(digits=4), "n": n, "sample": sample, "at_s": at_s}


def share_text(figure: Figure | None) -> str:
    """Return a share with its interval."""
    return format_share(*_three(figure)) if figure else UNKNOWN


def range_text(figure: Figure | None) -> str:
    """Return the interval of a share alone."""
    return format_percent_range(figure["low"], figure["high"]) if figure else ""


def points_text(figure: Figure | None) -> str:
    """Return a difference of shares with its interval, and whether it is proven."""
    return f"{format_points(*_three(figure))}{', proven' if figure.get('proven') else ''}" if figure else UNKNOWN


def bounds_text(figure: Figure) -> str:
    """Return the interval of a coefficient alone."""
    return format_bounds(figure["low"], figure["high"])


def measure_text(figure: Figure | None) -> str:
    """Return a measured number with its interval.

    >>> measure_text({"value": 62.0, "low": 55.2, "high": None})
    '62 (55 to …)'
    """
    return f"{format_number(figure['value'])} ({format_range(figure['low'], figure['high'])})" if figure else UNKNOWN


def sample_text(figure: Figure) -> str:
    """Return from how many rows of which kind a figure comes, and of which time it is.

    >>> sample_text({"n": 1, "sample": "audit tasks", "at_s": 0.0})
    '1 audit task, as of 1970-01-01 00:00 UTC'
    """
    sample = str(figure["sample"])
    if figure["n"] == 1:
        sample = sample.replace("tasks", "task", 1).replace("answers", "answer", 1)
    at = "" if figure.get("at_s") is None else f", as of {when(figure['at_s'])}"
    return f"{format_count(figure['n'])} {sample}{at}"


def figure_text(figure: Figure) -> str:
    """Return a share with its interval, its sample and its time.

    >>> figure_text({"value": 0.8, "low": 0.7, "high": 0.9, "n": 41, "sample": "audit tasks"})
    '80 % (70 to 90 %) of 41 audit tasks'
    """
    return f"{share_text(figure)} of {sample_text(figure)}"


def pairs_text(figure: Figure) -> str:
    """Return the percent agreement behind an agreement coefficient, with its sample and its time, as a sentence."""
    return f"Two people agree on {format_percent(figure['percent'])} of the {sample_text(figure)}."


def _three(figure: Figure) -> tuple[float | None, float | None, float | None]:
    return figure["value"], figure["low"], figure["high"]
