"""The order in which people are asked: the strategy's choice, with a random share woven in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sampling import strategies
from sampling.errors import PlanError, StrategyError
from sampling.plan import Plan
from sampling.pool import Floats, Ints, Pool

STRATEGY, RANDOM, UNREADABLE = "strategy", "random", "unreadable"

_SAME = 1e-12  # scores closer than this come from the same probabilities, added up in another order


@dataclass(frozen=True, slots=True, eq=False)
class Ordering:
    """Tasks in the order to ask them; the three fields run side by side, place 0 is asked next."""

    ids: tuple[int, ...]
    reasons: tuple[str, ...]  # "strategy", "random" or "unreadable"
    scores: Floats  # the strategy's own, whatever put the task here; NaN where unreadable

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows in the order that one reason would ask them, and the share of places it gets."""

    reason: str
    rows: Sequence[int]
    share: float


def order(
    pool: Pool,
    *,
    strategy: str | strategies.Strategy = "margin",
    random_share: float = 0.1,
    seed: int,
    size: int | None = None,
    batch: int = 25,
) -> Ordering:
    """Say which task to ask next, and why it stands where it stands.

    Every prefix holds `random_share` of random tasks, to within one. Near-duplicates wait until each cluster has
    been asked once. Tasks that the model could not read go last. Where the scores say nothing (no model yet, one
    class) the order is random. The same pool, in any row order, and the same seed give the same answer.
    A "random" place is drawn among what the strategy left: unbiased figures need the audit stream, not these.

    >>> unsure, sure = [0.5, 0.5], [0.9, 0.1]
    >>> order(Pool((7, 8), np.array([sure, unsure]), np.zeros(2)), seed=1).ids
    (8, 7)
    """
    if not 0.0 <= random_share <= 1.0:
        raise PlanError(f"random_share is {random_share}, wanted a share in [0, 1].")
    plan = Plan(len(pool) if size is None else size, batch=batch, seed=seed)
    pool = pool.take(np.argsort(np.asarray(pool.ids, dtype=np.int64), kind="stable"))  # so that ties fall by id
    readable = np.flatnonzero(pool.readable)
    scores = np.full(len(pool), np.nan)
    if readable.size:
        scores[readable] = _scores(strategy, pool.take(readable), plan)
    told_apart = readable.size > 0 and float(np.ptp(scores[readable])) > _SAME
    rounds = _rounds(pool, readable, scores)
    chosen = readable[np.lexsort((-scores[readable], rounds))]
    drawn = readable[np.lexsort((plan.draws(pool.ids)[readable], rounds))]
    share = random_share if told_apart else 1.0
    places = weave(
        [Stream(STRATEGY, chosen.tolist(), 1.0 - share), Stream(RANDOM, drawn.tolist(), share)], size=plan.size
    )
    unread = np.flatnonzero(~pool.readable)[: plan.size - len(places)]
    places += [(int(row), UNREADABLE) for row in unread]
    rows = [row for row, _ in places]
    return Ordering(
        tuple(pool.ids[row] for row in rows), tuple(reason for _, reason in places), scores[np.array(rows, dtype=int)]
    )


def weave(streams: Sequence[Stream], *, size: int) -> list[tuple[int, str]]:
    """Give each place to the stream that is furthest behind its share; a row is used once, by whoever asks first.

    A stream that has run dry leaves its places to the others. Earlier streams win ties.

    >>> weave([Stream("strategy", [1, 2, 3, 4], 0.75), Stream("random", [4, 1], 0.25)], size=4)
    [(1, 'strategy'), (2, 'strategy'), (4, 'random'), (3, 'strategy')]
    """
    live = [stream for stream in streams if stream.share > 0.0]
    queues = [iter(stream.rows) for stream in live]
    served = [0.0] * len(live)
    used: set[int] = set()
    places: list[tuple[int, str]] = []
    while len(places) < size and live:
        place = len(places) + 1
        ahead = max(range(len(live)), key=lambda i: live[i].share * place - served[i])
        row = next((row for row in queues[ahead] if row not in used), None)
        if row is None:
            del live[ahead], queues[ahead], served[ahead]
            continue
        used.add(row)
        served[ahead] += 1.0
        places.append((row, live[ahead].reason))
    return places


def _scores(strategy: str | strategies.Strategy, pool: Pool, plan: Plan) -> Floats:
    ask = strategies.load(strategy) if isinstance(strategy, str) else strategy
    scores = np.asarray(ask(pool, plan), dtype=np.float64)
    if scores.shape != (len(pool),) or not np.isfinite(scores).all():
        name = strategy if isinstance(strategy, str) else getattr(strategy, "__name__", repr(strategy))
        raise StrategyError(f"{name} gave shape {scores.shape}, wanted ({len(pool)},) finite scores: one per row.")
    return scores


def _rounds(pool: Pool, readable: Ints, scores: Floats) -> Ints:
    """(readable,) the place of each row within its cluster, best first: twins wait for the next round."""
    rounds = np.zeros(readable.size, dtype=np.int64)
    if pool.groups is None or not readable.size:
        return rounds
    groups = pool.groups[readable]
    ranked = np.lexsort((-scores[readable], groups))
    sorted_groups = groups[ranked]
    new = np.r_[True, sorted_groups[1:] != sorted_groups[:-1]]
    first = np.maximum.accumulate(np.where(new, np.arange(ranked.size), 0))
    rounds[ranked] = np.arange(ranked.size) - first
    rounds[groups < 0] = 0  # a task without a cluster has no twin
    return rounds
