"""The contract of sampling strategies, as a check that plug-in authors can run on theirs."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator

import numpy as np
from scipy import sparse

from sampling.errors import StrategyError
from sampling.pool import Plan, Pool, pool_without_model
from sampling.strategies import Strategy, load

_SLOW_S = 20.0  # for 2,000 rows on a busy machine: only quadratic methods come near


def check_strategy(strategy: str | Strategy) -> None:
    """Run a strategy on pools of many shapes; StrategyError names the first broken promise.

    A strategy returns one finite score per row, the same for the same pool and plan. It does not change the pool. It
    handles one row, one class, identical rows, ties, and a plan that is larger than the pool.

    >>> check_strategy("margin")
    """
    score = load(strategy) if isinstance(strategy, str) else strategy
    for name, pool in pools():
        for plan in (Plan(1, seed=3), Plan(len(pool), batch=4, seed=3), Plan(10 * len(pool), seed=-1)):
            _check(score, f"{name}, {plan}", pool, plan)


def pools() -> Iterator[tuple[str, Pool]]:
    """Yield small pools of every shape that a strategy may meet, with vectors, labelled vectors and a committee."""
    rng = np.random.default_rng(0)
    yield "40 tasks, 2 classes", _pool(rng, 40, 2)
    yield "40 tasks, 77 classes, sparse vectors", _pool(rng, 40, 77, dense=False)
    yield "2,000 tasks, 5 classes", _pool(rng, 2000, 5)
    yield "one task", _pool(rng, 1, 3)
    yield "two tasks", _pool(rng, 2, 3)
    yield "one class", _pool(rng, 30, 1)
    same = np.tile([0.25, 0.75], (30, 1))
    yield (
        "30 identical tasks",
        Pool(tuple(range(30)), same, np.zeros(30), vectors=np.ones((30, 4)), committee=np.stack([same, same[:, ::-1]])),
    )
    vectors = rng.normal(size=(30, 4)).astype(np.float32)
    yield "no model yet", pool_without_model(range(30), np.zeros(30), vectors=vectors, committee=np.ones((2, 30, 1)))


def _pool(rng: np.random.Generator, n: int, k: int, *, dense: bool = True) -> Pool:
    vectors = rng.normal(size=(n, 8)).astype(np.float32)
    labelled = rng.normal(size=(5, 8)).astype(np.float32)
    return Pool(
        ids=tuple((rng.permutation(n) * 3 + 11).tolist()),
        proba=rng.dirichlet(np.ones(k), size=n),
        age_s=rng.integers(0, 9, size=n).astype(np.float64),
        vectors=vectors if dense else sparse.csr_array(np.maximum(vectors, 0.0)),
        labelled_vectors=labelled if dense else sparse.csr_array(np.maximum(labelled, 0.0)),
        committee=rng.dirichlet(np.ones(k), size=(3, n)),
    )


def _check(score: Strategy, name: str, pool: Pool, plan: Plan) -> None:
    before = copy.deepcopy(pool.vectors)
    start = time.monotonic()
    scores = np.asarray(score(pool, plan))
    if time.monotonic() - start > _SLOW_S:
        raise StrategyError(f"{name}: took over {_SLOW_S:.0f} s for {len(pool)} rows.")
    if scores.shape != (len(pool),) or scores.dtype.kind != "f":
        raise StrategyError(f"{name}: returned {scores.dtype} of shape {scores.shape}, wanted ({len(pool)},) floats.")
    if not np.isfinite(scores).all():
        raise StrategyError(f"{name}: {int((~np.isfinite(scores)).sum())} scores are not finite.")
    if not np.array_equal(scores, np.asarray(score(pool, plan))):
        raise StrategyError(
            f"{name}: returned other scores for the same pool and plan; use plan.random_numbers or plan.seed."
        )
    if pool.vectors is not None and abs(before - pool.vectors).max() > 0.0:
        raise StrategyError(f"{name}: changed the vectors of the pool.")
