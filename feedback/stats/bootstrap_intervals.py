"""The bootstrap over items, by drawing how often each distinct pattern of votes occurs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from feedback.stats.estimates import EvidenceError, Floats, Interval, check_share

Kind: TypeAlias = Literal["multinomial", "poisson"]

_MAX_CELLS = 4_000_000  # weights in memory at once: 32 MB


def bootstrap(
    statistic: Callable[[Floats], Floats],
    counts: ArrayLike,
    *,
    seed: int,
    draws: int = 1000,
    confidence: float = 0.95,
    kind: Kind = "multinomial",
) -> Interval:
    """Compute the percentile interval of a statistic of items; the value is the statistic at `counts`.

    Whole items are resampled, because votes within an item are dependent. Items with equal votes are exchangeable, so
    it is enough to draw how often each distinct pattern of votes occurs.

    Parameters
    ----------
    statistic
        Takes weights (b, p) and returns values (b,); draws with NaN are left out.
    counts
        Number of items with each pattern, shape (p,). EvidenceError unless they are whole numbers with a sum above 0.
    draws
        Number of resamples.
    kind
        "poisson" draws each pattern independently: faster for many patterns, with a varying number of items.

    Examples
    --------
    >>> share_of_first = lambda weights: weights[:, 0] / weights.sum(axis=1)
    >>> print(bootstrap(share_of_first, [300, 700], seed=0))
    0.30 [0.27, 0.33]
    """
    check_share(confidence, "confidence")
    items = _check_counts(counts)
    value = float(statistic(items[None, :])[0])
    blocks = [statistic(weights) for weights in resample(items, draws=draws, seed=seed, kind=kind)]
    values = np.concatenate(blocks)
    values = values[np.isfinite(values)]
    if not values.size:
        return Interval(-np.inf, np.inf, value, confidence)
    low, high = np.quantile(values, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return Interval(float(low), float(high), value, confidence)


def resample(counts: ArrayLike, *, draws: int, seed: int, kind: Kind = "multinomial") -> Iterator[Floats]:
    """Yield weights (b, p) in blocks of bounded size, `draws` rows in total.

    >>> [block.sum(axis=1).tolist() for block in resample([2, 3], draws=2, seed=0)]
    [[5.0, 5.0]]
    """
    items = _check_counts(counts)
    if draws < 1 or kind not in ("multinomial", "poisson"):
        raise EvidenceError(f"{draws} draws of kind {kind!r}: wanted at least one, multinomial or poisson.")
    rng = np.random.default_rng(seed)
    n, remaining = int(items.sum()), draws
    while remaining:
        block = min(remaining, max(1, _MAX_CELLS // items.size))
        remaining -= block
        if kind == "poisson":
            yield rng.poisson(items, size=(block, items.size)).astype(np.float64)
        else:
            yield rng.multinomial(n, items / n, size=block).astype(np.float64)


def _check_counts(counts: ArrayLike) -> Floats:
    items = np.asarray(counts, dtype=np.float64)
    if items.ndim != 1 or not items.size or (items < 0).any() or (items % 1 != 0).any() or items.sum() == 0:
        raise EvidenceError("counts must be whole numbers of items, at least one item.")
    return items
