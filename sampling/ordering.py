"""The order in which people get tasks: the strategy's order, mixed with a share of random tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sampling import strategies
from sampling.errors import PlanError, StrategyError
from sampling.pool import Floats, Ints, Plan, Pool

STRATEGY, RANDOM, UNREADABLE = "strategy", "random", "unreadable"

_SAME = 1e-12  # closer scores come from the same probabilities, summed in another order


@dataclass(frozen=True, slots=True, eq=False)
class Ordering:
    """Tasks in order, place 0 first; each field has one entry per task."""

    ids: tuple[int, ...]
    reasons: tuple[str, ...]  # "strategy", "random" or "unreadable"
    scores: Floats  # from the strategy, also where the reason is another; NaN where unreadable

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class TaskStream:
    """Rows in the order of one reason, and the share of places that they get."""

    reason: str
    rows: Sequence[int]
    share: float


def order_tasks(
    pool: Pool,
    *,
    strategy: str | strategies.Strategy = "margin",
    random_share: float = 0.1,
    seed: int,
    size: int | None = None,
    batch: int = 25,
) -> Ordering:
    """Order the tasks of a pool for labelling, and give the reason for each place.

    Of near-duplicates, the second comes after all clusters had their first, the third after the second, and so on.
    Tasks that the model could not read come last. Where all scores are equal (no model yet, one class) the order is
    random. A "random" place is drawn from what the strategy did not take, so these tasks are not an unbiased sample.

    The same seed and pool give the same order, whatever the order of the rows.

    Each prefix of the order has `random_share`, in [0, 1], of random tasks, to within one. `size` is how many tasks to
    return (by default all), `batch` how many are labelled before the model is fitted again.

    PlanError for a share or size out of range; UnknownStrategy, MissingInput or StrategyError where the strategy does
    not exist, needs an array that the pool lacks, or returns wrong scores.

    >>> unsure, sure = [0.5, 0.5], [0.9, 0.1]
    >>> order_tasks(Pool((7, 8), np.array([sure, unsure]), np.zeros(2)), seed=1).ids
    (8, 7)
    """
    if not 0.0 <= random_share <= 1.0:
        raise PlanError(f"random_share is {random_share}, wanted a share in [0, 1].")
    plan = Plan(len(pool) if size is None else size, batch=batch, seed=seed)
    pool = pool.take(np.argsort(np.asarray(pool.ids, dtype=np.int64), kind="stable"))  # so that ids break ties
    readable = np.flatnonzero(pool.readable)
    scores = np.full(len(pool), np.nan)
    if readable.size:
        scores[readable] = _checked_scores(strategy, pool.take(readable), plan)
    scores_differ = readable.size > 0 and float(np.ptp(scores[readable])) > _SAME
    ranks = _ranks_in_cluster(pool, readable, scores)
    by_score = readable[np.lexsort((-scores[readable], ranks))]
    at_random = readable[np.lexsort((plan.random_numbers(pool.ids)[readable], ranks))]
    share = random_share if scores_differ else 1.0
    streams = [TaskStream(STRATEGY, by_score.tolist(), 1.0 - share), TaskStream(RANDOM, at_random.tolist(), share)]
    places = interleave_streams(streams, size=plan.size)
    unreadable = np.flatnonzero(~pool.readable)[: plan.size - len(places)]
    places += [(int(row), UNREADABLE) for row in unreadable]
    rows, reasons = zip(*places, strict=True) if places else ((), ())
    return Ordering(tuple(pool.ids[row] for row in rows), reasons, scores[np.array(rows, dtype=int)])


def interleave_streams(streams: Sequence[TaskStream], *, size: int) -> list[tuple[int, str]]:
    """Merge streams by their shares: each place goes to the stream that is furthest behind its share.

    Shares may have any sum; streams with share 0 are ignored. A row is used once, by the first stream that takes it. A
    stream without rows leaves its places to the others. Earlier streams win ties. Returns `size` pairs (row, reason),
    fewer where the streams have fewer rows.

    >>> interleave_streams([TaskStream("strategy", [1, 2, 3, 4], 0.75), TaskStream("random", [4, 1], 0.25)], size=4)
    [(1, 'strategy'), (2, 'strategy'), (4, 'random'), (3, 'strategy')]
    """
    open_streams = [stream for stream in streams if stream.share > 0.0]
    queues = [iter(stream.rows) for stream in open_streams]
    n_taken = [0.0] * len(open_streams)
    used: set[int] = set()
    places: list[tuple[int, str]] = []
    while len(places) < size and open_streams:
        place = len(places) + 1
        behind = max(range(len(open_streams)), key=lambda i: open_streams[i].share * place - n_taken[i])
        row = next((row for row in queues[behind] if row not in used), None)
        if row is None:
            del open_streams[behind], queues[behind], n_taken[behind]
            continue
        used.add(row)
        n_taken[behind] += 1.0
        places.append((row, open_streams[behind].reason))
    return places


def _checked_scores(strategy: str | strategies.Strategy, pool: Pool, plan: Plan) -> Floats:
    score = strategies.load(strategy) if isinstance(strategy, str) else strategy
    scores = np.asarray(score(pool, plan), dtype=np.float64)
    if scores.shape != (len(pool),) or not np.isfinite(scores).all():
        name = strategy if isinstance(strategy, str) else getattr(strategy, "__name__", repr(strategy))
        raise StrategyError(f"{name} returned shape {scores.shape}, wanted ({len(pool)},) finite scores: one per row.")
    return scores


def _ranks_in_cluster(pool: Pool, readable: Ints, scores: Floats) -> Ints:
    """Return the rank of each readable row within its cluster of near-duplicates, shape (n_readable,), best first."""
    ranks = np.zeros(readable.size, dtype=np.int64)
    if pool.groups is None or not readable.size:
        return ranks
    groups = pool.groups[readable]
    by_group = np.lexsort((-scores[readable], groups))
    sorted_groups = groups[by_group]
    is_first = np.r_[True, sorted_groups[1:] != sorted_groups[:-1]]
    first = np.maximum.accumulate(np.where(is_first, np.arange(by_group.size), 0))
    ranks[by_group] = np.arange(by_group.size) - first
    ranks[groups < 0] = 0  # a task without a cluster has no duplicate
    return ranks
