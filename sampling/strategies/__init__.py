"""The sampling strategies by name: built-ins, plug-ins of the entry-point group `hitl.strategies`, and the baselines.

A strategy is any callable `(pool, plan) -> scores` with shape (n,) of finite floats; the highest score comes first. It
gets at least one row, and only tasks that the model could read. `sampling.testing.check_strategy` checks the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol, cast

from sampling.errors import UnknownStrategy
from sampling.pool import Floats, Plan, Pool

BUILTINS: Mapping[str, str] = {
    "margin": "sampling.strategies.uncertainty:margin",
    "uncertainty": "sampling.strategies.uncertainty:uncertainty",
    "entropy": "sampling.strategies.uncertainty:entropy",
    "consensus_entropy": "sampling.strategies.uncertainty:consensus_entropy",
    "max_disagreement": "sampling.strategies.uncertainty:max_disagreement",
    "random": "sampling.strategies:random_order",
    "oldest": "sampling.strategies:oldest_first",
    "ranked": "sampling.strategies.ranked_batch:ranked_batch",
    "mkm": "sampling.strategies.weighted_kmeans:weighted_kmeans",
    "typical": "sampling.strategies.typiclust:typiclust",
}


class Strategy(Protocol):
    """Scores tasks by how much the model would learn from their labels."""

    def __call__(self, pool: Pool, plan: Plan, /) -> Floats:
        """Return finite scores, shape (n,), the highest first; equal scores are ordered by id."""


def load(name: str) -> Strategy:
    """Return the strategy of this name: a built-in, or an entry point of `hitl.strategies`.

    Built-ins come first, so that no installed package can replace them. UnknownStrategy suggests the nearest name.
    As `ml_backend.plugins.load`, because sampling must work without our other packages.
    """
    if name in BUILTINS:
        module, _, attribute = BUILTINS[name].partition(":")
        return cast(Strategy, getattr(import_module(module), attribute))
    plugins = {point.name: point for point in entry_points(group="hitl.strategies")}
    if name in plugins:
        return cast(Strategy, plugins[name].load())
    names = sorted({*BUILTINS, *plugins})
    similar = get_close_matches(name, names, n=1)
    suggestion = f"; did you mean {similar[0]!r}?" if similar else ""
    raise UnknownStrategy(f"no strategy called {name!r}{suggestion}", hint=f"Known names: {', '.join(names)}.")


def random_order(pool: Pool, plan: Plan) -> Floats:
    """Score each task by a random number in [0, 1), shape (n,): what every other strategy must beat."""
    return plan.random_numbers(pool.ids)


def oldest_first(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001 - the signature of a strategy
    """Score each task by its age in seconds, shape (n,)."""
    return pool.age_s.copy()
