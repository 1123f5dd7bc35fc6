"""Two strategies that ask nothing of the model: chance, and first come first served."""

from __future__ import annotations

from sampling.plan import Plan
from sampling.pool import Floats, Pool


def at_random(pool: Pool, plan: Plan) -> Floats:
    """Score each task by its own draw: (n,) in [0, 1), the yardstick for every other strategy."""
    return plan.draws(pool.ids)


def oldest(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001 the contract of a strategy
    """Score each task by its age in seconds: (n,), the longest waiting first."""
    return pool.age_s.copy()
