"""The baselines, which use no model: random order, and the oldest task first."""

from __future__ import annotations

from sampling.plan import Plan
from sampling.pool import Floats, Pool


def random_order(pool: Pool, plan: Plan) -> Floats:
    """Score each task by a random number in [0, 1), shape (n,): what every other strategy must beat."""
    return plan.random_numbers(pool.ids)


def oldest_first(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001 - the signature of a strategy
    """Score each task by its age in seconds, shape (n,)."""
    return pool.age_s.copy()
