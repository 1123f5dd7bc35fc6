"""The bootstrap over items: resampled weights of distinct patterns, never copies of rows.

Items are what people drew at random, votes within an item hang together; so whole items are resampled. Items with
equal votes are interchangeable: it is enough to draw how often each distinct pattern occurs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from feedback.stats.results import EvidenceError, Floats, Interval, check_share

Kind: TypeAlias = Literal["multinomial", "poisson"]

_CELLS = 4_000_000  # weights held at once: 32 MB


def bootstrap(
    statistic: Callable[[Floats], Floats],
    counts: ArrayLike,
    *,
    seed: int,
    draws: int = 1000,
    confidence: float = 0.95,
    kind: Kind = "multinomial",
) -> Interval:
    """The percentile interval of a statistic of items.

    `counts` (p,) says how many items have each pattern; `statistic` takes weights (b, p) and gives (b,) values, NaN
    where a draw cannot define it (such draws are left out). The value is the statistic at `counts` itself. `poisson`
    draws each pattern on its own: faster for many patterns, the number of items then varies a little.

    >>> share_of_first = lambda weights: weights[:, 0] / weights.sum(axis=1)
    >>> print(bootstrap(share_of_first, [300, 700], seed=0))
    0.30 [0.27, 0.33]
    """
    check_share(confidence, "confidence")
    given = _checked(counts)
    value = float(statistic(given[None, :])[0])
    drawn = [statistic(weights) for weights in resample(given, draws=draws, seed=seed, kind=kind)]
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    if not values.size:
        return Interval(-np.inf, np.inf, value, confidence)
    low, high = np.quantile(values, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return Interval(float(low), float(high), value, confidence)


def resample(counts: ArrayLike, *, draws: int, seed: int, kind: Kind = "multinomial") -> Iterator[Floats]:
    """Weights (b, p) in blocks that together make `draws` rows; memory stays bounded however many patterns.

    >>> [block.sum(axis=1).tolist() for block in resample([2, 3], draws=2, seed=0)]
    [[5.0, 5.0]]
    """
    given = _checked(counts)
    if draws < 1 or kind not in ("multinomial", "poisson"):
        raise EvidenceError(f"{draws} draws of kind {kind!r}: wanted at least one, multinomial or poisson.")
    rng = np.random.default_rng(seed)
    n, left = int(given.sum()), draws
    while left:
        block = min(left, max(1, _CELLS // given.size))
        left -= block
        if kind == "poisson":
            yield rng.poisson(given, size=(block, given.size)).astype(np.float64)
        else:
            yield rng.multinomial(n, given / n, size=block).astype(np.float64)


def _checked(counts: ArrayLike) -> Floats:
    given = np.asarray(counts, dtype=np.float64)
    if given.ndim != 1 or not given.size or (given < 0).any() or (given % 1 != 0).any() or given.sum() == 0:
        raise EvidenceError("counts must be whole numbers of items, at least one item.")
    return given
