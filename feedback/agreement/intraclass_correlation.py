"""Intraclass correlation of numbers, such as ratings."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtri

from feedback.agreement.coefficient import Coefficient, undefined
from feedback.errors import VotesError
from feedback.votes import Floats

Form = Literal["1,1", "2,1", "3,1", "1,k", "2,k", "3,k"]


def intraclass_correlation(ratings: ArrayLike, *, form: Form = "2,1", confidence: float = 0.95) -> Coefficient:
    """Compute an intraclass correlation: the share of the variance of ratings that lies between items; at most 1.

    NaN with a note where fewer than two items have all ratings, or all are equal. VotesError for a wrong shape or form.

    Parameters
    ----------
    ratings
        Shape (n_items, n_people), at least two people. Items with a missing (NaN) rating are left out.
    form
        "1": each item is rated by other people; "2": the people are a sample of many; "3": only these people matter.
        ",1" is for the rating of one person, ",k" for the mean rating of all k people.

    References
    ----------
    Shrout and Fleiss (1979), doi:10.1037/0033-2909.86.2.420. McGraw and Wong (1996), doi:10.1037/1082-989X.1.1.30.

    Examples
    --------
    >>> ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> round(intraclass_correlation(ratings).value, 2)
    0.29
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise VotesError(f"ratings have shape {table.shape}; wanted (items, people) with at least two people.")
    if form not in ("1,1", "2,1", "3,1", "1,k", "2,k", "3,k"):
        raise VotesError(f"no ICC form called {form!r}; wanted 1,1 2,1 3,1 1,k 2,k 3,k.")
    rows = table[np.isfinite(table).all(axis=1)]
    n, k = rows.shape
    pairs = n * k * (k - 1) // 2
    name = f"icc({form})"
    if n < 2:
        return undefined(name, n, pairs, "fewer than two items were rated by everybody")
    # scaled by the largest number: squares of huge numbers overflow, those of tiny ones underflow
    between, people, rest, within = _mean_squares(rows / (np.abs(rows).max() or 1.0))
    if between + within < 1e-300:
        return undefined(name, n, pairs, "everybody gave the same number to everything")
    value = _value(form, between, people, rest, within, n, k)
    low, high = _bounds(form, value, between, people, rest, within, n, k, (1.0 - confidence) / 2.0)
    return Coefficient(name, value, max(-1.0, low), min(1.0, high), math.nan, n, pairs)


def _mean_squares(rows: Floats) -> tuple[float, float, float, float]:
    """Return the mean squares between items, between people, residual, and within items."""
    n, k = rows.shape
    mean = rows.mean()
    items = k * float(((rows.mean(axis=1) - mean) ** 2).sum())
    people = n * float(((rows.mean(axis=0) - mean) ** 2).sum())
    total = float(((rows - mean) ** 2).sum())
    rest = max(total - items - people, 0.0)
    return items / (n - 1), people / (k - 1), rest / ((n - 1) * (k - 1)), (total - items) / (n * (k - 1))


def _value(form: Form, between: float, people: float, rest: float, within: float, n: int, k: int) -> float:
    top, bottom = {
        "1,1": (between - within, between + (k - 1) * within),
        "2,1": (between - rest, between + (k - 1) * rest + k * (people - rest) / n),
        "3,1": (between - rest, between + (k - 1) * rest),
        "1,k": (between - within, between),
        "2,k": (between - rest, between + (people - rest) / n),
        "3,k": (between - rest, between),
    }[form]
    return top / bottom if bottom else math.nan


def _bounds(
    form: Form, value: float, between: float, people: float, rest: float, within: float, n: int, k: int, tail: float
) -> tuple[float, float]:
    """Return the bounds; those for the mean of k ratings follow from those for one by Spearman-Brown."""
    if form[0] == "2":
        of_one = value / (k - (k - 1) * value) if form[2] == "k" else value
        low, high = _bounds_of_sampled_people(of_one, between, people, rest, n, k, tail)
    else:
        noise, freedom = (within, n * (k - 1)) if form[0] == "1" else (rest, (n - 1) * (k - 1))
        ratio = between / noise if noise else math.inf
        lower = ratio / float(fdtri(n - 1, freedom, 1 - tail))
        upper = ratio * float(fdtri(freedom, n - 1, 1 - tail))
        low, high = ((f - 1) / (f + k - 1) if math.isfinite(f) else 1.0 for f in (lower, upper))
    if form[2] == "k":
        low, high = (k * bound / (1 + (k - 1) * bound) if bound > -1 / (k - 1) else -1.0 for bound in (low, high))
    return low, high


def _bounds_of_sampled_people(
    value: float, between: float, people: float, rest: float, n: int, k: int, tail: float
) -> tuple[float, float]:
    """Return Shrout and Fleiss' approximate bounds of ICC(2,1), with Satterthwaite's degrees of freedom."""
    if not rest or value >= 1.0:
        return value, value
    f = people / rest
    weight = k * value * f + n * (1 + (k - 1) * value) - k * value
    freedom = (k - 1) * (n - 1) * weight**2 / ((n - 1) * (k * value * f) ** 2 + (weight - k * value * f) ** 2)
    f_low = float(fdtri(n - 1, freedom, 1 - tail))
    f_high = float(fdtri(freedom, n - 1, 1 - tail))
    spread = k * people + (k * n - k - n) * rest
    low = n * (between - f_low * rest) / (f_low * spread + n * between)
    high = n * (f_high * between - rest) / (spread + n * f_high * between)
    return low, high
