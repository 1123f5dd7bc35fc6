"""Numbers as people read them, one form for each kind, on pages, in the terminal, in logs and in errors.

A number that is not known is "–": None, NaN and, except for a duration, infinity. No zero has a sign.
"""

from __future__ import annotations

import math
from typing import TypeGuard

UNKNOWN = "–"
_MAX_DECIMALS = 4
_LEAST_POINTS = 0.0001  # a share nearer to 0 is shown as below it
_LARGE, _SMALL = 1e9, 1e-4  # beyond them a number has a power of ten
# seconds of each unit, and from how many on a duration is rounded to one: 59.7 seconds are a minute
_UNITS = (("day", 86_400, 84_600), ("hour", 3600, 3570), ("minute", 60, 59.5), ("second", 1, 0))


def format_count(value: float | None) -> str:
    """Return a whole number with commas between the thousands.

    >>> format_count(1234567), format_count(0), format_count(None)
    ('1,234,567', '0', '–')
    """
    return f"{round(value):,}" if _is_known(value) else UNKNOWN


def format_counted(value: int, singular: str, plural: str) -> str:
    """Return a count with its noun.

    >>> format_counted(1, "answer", "answers"), format_counted(1200, "answer", "answers")
    ('1 answer', '1,200 answers')
    """
    return f"{format_count(value)} {singular if value == 1 else plural}"


def format_percent(share: float | None, *, signed: bool = False) -> str:
    """Return a share as a percentage with two significant digits, or with more where it would read as 100 %.

    >>> [format_percent(value) for value in (0.748, 0.0123, 0.998, 1.0, 0.0, float("nan"))]
    ['75 %', '1.2 %', '99.8 %', '100 %', '0 %', '–']
    >>> format_percent(0.25, signed=True), format_percent(-0.025, signed=True), format_percent(12.345)
    ('+25 %', '-2.5 %', '1,234 %')
    """
    return f"{_points(share, '+' if signed else '')} %" if _is_known(share) else UNKNOWN


def format_set_number(value: float) -> str:
    """Return a number that somebody has set, such as a limit, with all its digits.

    >>> format_set_number(2500), format_set_number(0.125)
    ('2,500', '0.125')
    """
    return f"{value:,.10g}"


def format_set_percent(share: float) -> str:
    """Return a share that somebody has set, such as a threshold, with all its digits as a percentage.

    >>> format_set_percent(0.975), format_set_percent(0.05)
    ('97.5 %', '5 %')
    """
    return f"{format_set_number(100.0 * share)} %"


def format_percent_range(low: float | None, high: float | None) -> str:
    """Return the interval of a share; "…" for a bound that is not known.

    >>> format_percent_range(0.81, 0.954), format_percent_range(0.3, None)
    ('81 to 95 %', '30 to … %')
    """
    ends = [_points(end) if _is_known(end) else "…" for end in (low, high)]
    return f"{ends[0]} to {ends[1]} %"


def format_share(value: float | None, low: float | None, high: float | None) -> str:
    """Return a share with its interval, or the interval alone where the value is not known.

    >>> format_share(0.748, 0.7, 0.803), format_share(None, 0.4, 0.953), format_share(float("nan"), 0.0, 1.0)
    ('75 % (70 to 80 %)', '40 to 95 %', '–')
    """
    if _is_known(value):
        return f"{format_percent(value)} ({format_percent_range(low, high)})"
    return UNKNOWN if (low, high) in ((0.0, 1.0), (None, None)) else format_percent_range(low, high)


def format_points(value: float | None, low: float | None, high: float | None) -> str:
    """Return the difference of two shares with its interval, in points.

    >>> format_points(-0.12, -0.2, -0.041), format_points(None, None, None)
    ('-12 points (-20 to -4.1)', '–')
    >>> format_points(-1e-9, -0.9999999, 0.9999999)
    '>-0.0001 points (<-99.9999 to >99.9999)'
    """
    if not _is_known(value):
        return UNKNOWN
    ends = [_points(end, "+") if _is_known(end) else "…" for end in (low, high)]
    return f"{_points(value, '+')} points ({ends[0]} to {ends[1]})"


def format_coefficient(value: float | None) -> str:
    """Return a coefficient with two decimals, or with more where it would read as 1.

    >>> [format_coefficient(value) for value in (0.674, 0.999, -0.001, 0.99999, float("nan"))]
    ['0.67', '0.999', '0.00', '>0.9999', '–']
    """
    return _below_limit(value, 2, 1.0) if _is_known(value) else UNKNOWN


def format_bounds(low: float | None, high: float | None) -> str:
    """Return the interval of a coefficient; "…" for a bound that is not known, "–" where none is.

    >>> format_bounds(0.44, 0.6), format_bounds(1.0, float("inf")), format_bounds(None, None)
    ('[0.44, 0.60]', '[1.00, …]', '–')
    """
    if not (_is_known(low) or _is_known(high)):
        return UNKNOWN
    ends = [format_coefficient(end) if _is_known(end) else "…" for end in (low, high)]
    return f"[{ends[0]}, {ends[1]}]"


def format_estimate(value: float | None, low: float | None, high: float | None) -> str:
    """Return a coefficient with its interval.

    >>> format_estimate(0.52, 0.44, 0.6), format_estimate(None, -1.0, 1.0)
    ('0.52 [0.44, 0.60]', '–')
    """
    return f"{format_coefficient(value)} {format_bounds(low, high)}" if _is_known(value) else UNKNOWN


def format_number(value: float | None, *, digits: int = 2, signed: bool = False) -> str:
    """Return a measured number with two significant digits, or with `digits`; whole numbers have all, with commas.

    >>> [format_number(value) for value in (1234.5, 12.6, 1.26, 0.0123, -0.0, 1e12, None)]
    ['1,234', '13', '1.3', '0.012', '0', '1e+12', '–']
    """
    if not _is_known(value):
        return UNKNOWN
    if isinstance(value, float) and value and not _SMALL <= abs(value) < _LARGE:
        return f"{value:{'+' if signed else ''}.{digits}g}"
    return f"{value + 0:{'+' if signed else ''},.{_decimals(value, digits)}f}"


def format_range(low: float | None, high: float | None) -> str:
    """Return the interval of a measured number; "…" for a bound that is not known, "–" where none is.

    >>> format_range(3.04, 12.6), format_range(0.0, float("inf")), format_range(None, None)
    ('3.0 to 13', '0 to …', '–')
    """
    if not (_is_known(low) or _is_known(high)):
        return UNKNOWN
    return " to ".join(format_number(end) if _is_known(end) else "…" for end in (low, high))


def format_money(value: float | None) -> str:
    """Return an amount with two decimals.

    >>> format_money(1234.5), format_money(-0.001), format_money(None)
    ('1,234.50', '0.00', '–')
    """
    return f"{round(value, 2) + 0.0:,.2f}" if _is_known(value) else UNKNOWN


def format_seconds(seconds: float | None) -> str:
    """Return a duration in its largest unit.

    >>> [format_seconds(value) for value in (42.0, 5400, 3590, 0.26, None, float("inf"))]
    ['42 seconds', '1.5 hours', '1 hour', '0.3 seconds', '–', 'without end']
    """
    if seconds == math.inf:
        return "without end"
    if not _is_known(seconds):
        return UNKNOWN
    name, size, _ = next(unit for unit in _UNITS if abs(seconds) >= unit[2])
    amount = round(seconds / size, 1 if abs(seconds) < 10 * size else None) + 0
    return f"{amount:,g} {name}{'' if amount == 1 else 's'}"


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _decimals(value: float, digits: int = 2) -> int:
    """Return the decimals that show so many significant digits; 0 for whole numbers of type int."""
    if isinstance(value, int) or not value:
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}")))))


def _points(share: float, sign: str = "") -> str:
    value = 100.0 * share
    if 0.0 < abs(value) < _LEAST_POINTS:
        return f"{'<' if value > 0.0 else '>-'}{_LEAST_POINTS}"
    return _below_limit(value, _decimals(value), 100.0, sign)


def _below_limit(value: float, decimals: int, limit: float, sign: str = "") -> str:
    """Return a number with so many decimals, or with more where it is below the limit and would read as the limit."""
    while abs(value) < limit <= abs(round(value, decimals)):
        decimals += 1
        if decimals > _MAX_DECIMALS:
            return f"{'>' if value > 0.0 else '<-'}{limit - 10.0**-_MAX_DECIMALS:.{_MAX_DECIMALS}f}"
    return f"{round(value, decimals) + 0.0:{sign},.{decimals}f}"
