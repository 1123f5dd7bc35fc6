"""Certificates: with a given confidence, at most max_error of what a confidence threshold accepts is wrong.

Both constructions certify thresholds of a fixed grid of coverages, taken from tune rows. `certify_monitored` may be
checked after every row; `certify_scheduled` pays for each planned look and for each threshold. An epoch is one model,
calibrator and policy; the promise holds per epoch. A skipped or overdue audit task counts as an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import ArrayLike

from feedback.stats.e_processes import rate_below
from feedback.stats.intervals import Bools, EvidenceError, Floats, check_share, upper_bound
from ml_backend.number_format import format_percent, format_set_percent

COVERAGES = tuple(np.linspace(0.3, 1.0, 10).round(4).tolist())  # a smaller coverage hardly saves work
_GROWTH = 1.25  # a scheduled look needs a quarter more rows than the last look
_MAX_ROWS = 10_000_000  # more rows than anybody labels


@dataclass(frozen=True, slots=True, eq=False)
class CertifyRows:
    """The certify rows of one epoch: the confidence of the model, and whether people found it wrong.

    EvidenceError where the shapes differ, a confidence is outside [0, 1], or `wrong` is not boolean.
    """

    confidence: Floats  # (n,) calibrated, [0, 1]
    wrong: Bools  # (n,)

    def __post_init__(self) -> None:
        confidence, wrong = np.asarray(self.confidence, dtype=np.float64), np.asarray(self.wrong)
        if confidence.ndim != 1 or confidence.shape != wrong.shape:
            raise EvidenceError(f"confidence has shape {confidence.shape}, wrong {wrong.shape}: one of each per row.")
        if wrong.size and not np.isin(wrong, (0, 1)).all():
            raise EvidenceError("wrong holds something else than true and false.")
        if not ((confidence >= 0.0) & (confidence <= 1.0)).all():
            raise EvidenceError("a confidence lies outside [0, 1].")
        object.__setattr__(self, "confidence", confidence)
        object.__setattr__(self, "wrong", wrong.astype(np.bool_))

    def accepted(self, threshold: float) -> tuple[int, int]:
        """Return how many rows the threshold accepts, and how many of them are wrong."""
        mask = self.confidence >= threshold
        return int(mask.sum()), int(self.wrong[mask].sum())


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certified threshold, or the reason why none is certified."""

    threshold: float | None  # accept where confidence >= threshold; None: nothing is certified
    coverage: float  # share of the certify rows that it accepts; 0 without a threshold
    accepted: int  # rows accepted by it, or by the strictest threshold where none is certified
    errors: int  # of these
    max_error: float
    confidence: float
    rows: int  # all certify rows, accepted or not
    missing: int  # error-free accepted rows until a threshold is certified; 0 with a certificate
    looked: bool  # False: too few new rows for a scheduled look, which then does not count
    reason: str


def threshold_grid(confidence: ArrayLike, coverages: Sequence[float] = COVERAGES) -> tuple[float, ...]:
    """Return the thresholds to certify, strictest first: one per coverage of the tune rows, equal ones once.

    `confidence` (n,) are the confidences of tune rows. EvidenceError where there are none, or the coverages do not rise
    within (0, 1].

    >>> threshold_grid([0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0], coverages=(0.25, 0.5, 1.0))
    (0.99, 0.9, 0.0)
    """
    rows = np.sort(np.asarray(confidence, dtype=np.float64))[::-1]
    if not rows.size or list(coverages) != sorted(set(coverages)) or not 0.0 < coverages[0] <= coverages[-1] <= 1.0:
        raise EvidenceError("thresholds need tune rows, and coverages that rise within (0, 1].")
    # everything is accepted at coverage 1, tasks below the worst tune row as well
    grid = [0.0 if c == 1.0 else float(rows[max(0, math.ceil(c * rows.size - 1e-9) - 1)]) for c in coverages]
    return tuple(dict.fromkeys(grid))


def certify_monitored(
    rows: CertifyRows,
    grid: Sequence[float],
    *,
    max_error: float,
    confidence: float = 0.95,
    people_error: float | None = None,
) -> Certificate:
    """Certify a threshold in a way that may be checked after every row.

    Thresholds are accepted from the strictest on, while the e-value against "the error is at least max_error" is 1 / (1
    - confidence) or more; the first failure stops. The probability that a certificate of an epoch is false at any time
    is at most 1 - confidence.

    Mixtures that stay valid at every row: Howard et al. (2021), doi:10.1214/20-AOS1991.

    Parameters
    ----------
    rows
        All certify rows of the epoch so far.
    grid
        The thresholds of `threshold_grid`, strictest first; EvidenceError where they do not fall.
    max_error
        Largest share of wrong rows among the accepted ones, in (0, 1).
    people_error
        Share of tasks on which people disagree with each other; no smaller max_error is certified.

    Examples
    --------
    >>> clean = CertifyRows(np.full(224, 0.99), np.zeros(224, dtype=bool))
    >>> certify_monitored(clean, (0.9,), max_error=0.02).threshold
    0.9
    """
    _check_levels(max_error, confidence, grid)
    wanted = 1.0 / (1.0 - confidence)

    def passes(n: int, k: int) -> bool:
        return bool(rate_below(k, n, max_error) >= wanted)

    passing = list(takewhile(lambda threshold: passes(*rows.accepted(threshold)), grid))
    strict_n, strict_k = rows.accepted(grid[0])
    missing = 0 if passing else _fewest_rows(lambda more: passes(strict_n + more, strict_k))
    return _certificate(rows, grid, passing, missing, max_error, confidence, people_error)


def certify_scheduled(
    rows: CertifyRows,
    grid: Sequence[float],
    *,
    looks: Sequence[int],
    max_error: float,
    confidence: float = 0.95,
    people_error: float | None = None,
) -> Certificate:
    """Certify a threshold at one more planned look; other options and errors as for `certify_monitored`.

    The Clopper-Pearson bound of each threshold is taken at level (1 - confidence) / (grid size * l (l + 1)) for look l,
    and the passing threshold with the largest coverage is certified. A look needs a quarter more rows than the last
    look, and enough rows to pass if none were wrong. `looks` are the numbers of certify rows at earlier looks of this
    epoch: record `Certificate.rows` where `looked` is true.

    >>> clean = CertifyRows(np.full(297, 0.99), np.zeros(297, dtype=bool))
    >>> grid = tuple(np.linspace(0.9, 0.0, 10).tolist())
    >>> certify_scheduled(clean, grid, looks=(), max_error=0.02).threshold
    0.0
    """
    _check_levels(max_error, confidence, grid)
    n_rows = rows.confidence.size
    counts = [rows.accepted(threshold) for threshold in grid]

    def passes(look: int, n: int, k: int) -> bool:
        alpha = (1.0 - confidence) / len(grid) / (look * (look + 1))
        return n > 0 and upper_bound(k, n, alpha=alpha) <= max_error

    def missing(look: int, due: int) -> int:
        """Return how many error-free rows, accepted by every threshold, the next look needs."""
        return _fewest_rows(lambda more: n_rows + more >= due and any(passes(look, n + more, k) for n, k in counts))

    look, due = len(looks) + 1, math.ceil(_GROWTH * looks[-1]) if looks else 0
    # a look that fails whatever people found is not taken; the errors have no part in this test
    if n_rows < due or not any(passes(look, n, 0) for n, _ in counts):
        return _certificate(rows, grid, (), missing(look, due), max_error, confidence, people_error, looked=False)
    passing = [threshold for threshold, (n, k) in zip(grid, counts, strict=True) if passes(look, n, k)]
    still_missing = 0 if passing else missing(look + 1, math.ceil(_GROWTH * n_rows))
    return _certificate(rows, grid, passing, still_missing, max_error, confidence, people_error)


def error_free_rows(max_error: float, *, alpha: float) -> int:
    """Return how many accepted rows without an error one look at one threshold needs at level alpha.

    >>> error_free_rows(0.02, alpha=0.05), error_free_rows(0.02, alpha=0.05 / 10)
    (149, 263)
    """
    return math.ceil(math.log(check_share(alpha, "alpha")) / math.log1p(-check_share(max_error, "max_error")) - 1e-9)


def _fewest_rows(passes: Callable[[int], bool]) -> int:
    """Return the smallest number of rows that passes, by doubling and then bisection."""
    high = 1
    while not passes(high):
        high *= 2
        if high > _MAX_ROWS:
            return _MAX_ROWS
    low = high // 2  # fails, or is zero
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def _certificate(
    rows: CertifyRows,
    grid: Sequence[float],
    passing: Sequence[float],
    missing: int,
    max_error: float,
    confidence: float,
    people_error: float | None,
    *,
    looked: bool = True,
) -> Certificate:
    """Return the certificate of the last passing threshold, the one with the largest coverage."""
    best, n_rows = passing[-1] if passing else None, rows.confidence.size
    n, k = rows.accepted(grid[0] if best is None else best)
    promise = f"{format_set_percent(max_error)} wrong at {format_set_percent(confidence)} confidence"
    if people_error is not None and max_error < people_error:
        best, missing = None, 0
        reason = f"cannot certify below people's own disagreement of {format_percent(people_error)}"
    elif best is not None:
        reason = f"at most {promise}: {k} wrong of {n} accepted rows"
    elif missing >= _MAX_ROWS:
        reason = f"cannot certify at most {promise}: {k} of {n} of the surest rows are wrong"
    else:
        audits = math.ceil(missing / (n / n_rows)) if n else missing
        reason = (
            f"cannot certify at most {promise}: {missing} more error-free accepted rows (about {audits} audit tasks); "
            f"now {k} wrong of {n}"
        )
    coverage = n / n_rows if best is not None and n_rows else 0.0
    return Certificate(best, coverage, n, k, max_error, confidence, n_rows, missing, looked, reason)


def _check_levels(max_error: float, confidence: float, grid: Sequence[float]) -> None:
    check_share(max_error, "max_error")
    check_share(confidence, "confidence")
    if not grid or list(grid) != sorted(set(grid), reverse=True):
        raise EvidenceError("the grid of thresholds must fall, strictest first.")
