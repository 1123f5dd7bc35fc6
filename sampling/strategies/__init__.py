"""What makes a task worth asking: one strategy a name, built in or plugged in.

A strategy is any callable `(pool, plan) -> scores`: (n,) finite floats, the highest is asked first. It is given
readable rows only, at least one. `sampling.testing.check_strategy` checks the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol

from sampling.errors import UnknownStrategy
from sampling.plan import Plan
from sampling.pool import Floats, Pool

GROUP = "hitl.strategies"

BUILTINS: Mapping[str, str] = {
    "margin": "sampling.strategies.uncertainty:margin",
    "uncertainty": "sampling.strategies.uncertainty:uncertainty",
    "entropy": "sampling.strategies.uncertainty:entropy",
    "consensus_entropy": "sampling.strategies.uncertainty:consensus_entropy",
    "max_disagreement": "sampling.strategies.uncertainty:max_disagreement",
    "random": "sampling.strategies.baselines:at_random",
    "oldest": "sampling.strategies.baselines:oldest",
    "ranked": "sampling.strategies.ranked_batch:ranked",
    "mkm": "sampling.strategies.weighted_kmeans:mkm",
    "typical": "sampling.strategies.weighted_kmeans:typical",
}


class Strategy(Protocol):
    """Scores tasks by how much their answers would teach."""

    def __call__(self, pool: Pool, plan: Plan, /) -> Floats:
        """(n,) finite scores, the highest is asked first; equal scores are told apart by id."""
        ...


def load(name: str) -> Strategy:
    """Give the strategy of this name: a built-in, or an entry point of `hitl.strategies`.

    Built-ins win, so that a stray package cannot replace them. Raises UnknownStrategy with the nearest name.

    >>> load("random").__name__
    'at_random'
    """
    if name in BUILTINS:
        module, _, attribute = BUILTINS[name].partition(":")
        found: Strategy = getattr(import_module(module), attribute)
        return found
    plugged = {point.name: point for point in entry_points(group=GROUP)}
    if name in plugged:
        from_elsewhere: Strategy = plugged[name].load()
        return from_elsewhere
    known = sorted({*BUILTINS, *plugged})
    near = get_close_matches(name, known, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    raise UnknownStrategy(f"no strategy called {name!r}{guess}", hint=f"Known names: {', '.join(known)}.")
