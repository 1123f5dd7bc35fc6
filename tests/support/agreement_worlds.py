"""Crowds whose agreement is known exactly: people see the truth with one probability, else they guess as labels are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from feedback.agreement import (
    brennan_prediger,
    cohen_kappa,
    conger_kappa,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    percent_agreement,
)
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.krippendorff_alpha import alpha_by_distance
from feedback.votes import Floats, Votes
from ml_backend.records import Answer


@dataclass(frozen=True, slots=True)
class AgreementWorld:
    """`alpha` is the alpha, and each kappa, of a population of items in which the first label has the share `first`."""

    labels: int
    votes: int  # per item
    people: int
    first: float
    alpha: float
    items: int

    @property
    def shares(self) -> Floats:
        """Share of each label."""
        return np.array([self.first] + [(1 - self.first) / (self.labels - 1)] * (self.labels - 1))

    def draw(self, rng: np.random.Generator) -> Votes:
        """Votes on randomly drawn items, each by randomly drawn people."""
        n, shares = self.items, self.shares
        truth = rng.choice(self.labels, n, p=shares)
        shape = (n, self.votes)
        guessed = rng.choice(self.labels, shape, p=shares)
        labels = np.where(rng.random(shape) < np.sqrt(self.alpha), truth[:, None], guessed)
        who = np.argsort(rng.random((n, self.people)), axis=1)[:, : self.votes]
        return Votes(np.repeat(np.arange(n), self.votes), who.ravel(), labels.ravel(), n, self.people, self.labels)


def _observed(world: AgreementWorld) -> float:
    return world.alpha + (1 - world.alpha) * float(world.shares @ world.shares)


def _beyond(world: AgreementWorld, chance: float) -> float:
    return (_observed(world) - chance) / (1 - chance)


def _by_distance(votes: Votes) -> Coefficient:
    answers = [Answer("pairwise", str(label)) for label in votes.labels]
    return alpha_by_distance(votes.tasks.tolist(), answers, lambda a, b: float(a != b))


def _weighted_ac(world: AgreementWorld) -> float:
    """AC2 with quadratic weights."""
    k, shares = world.labels, world.shares
    steps = np.arange(k)
    agree = 1 - ((steps[:, None] - steps) / (k - 1)) ** 2
    observed = world.alpha + (1 - world.alpha) * float(shares @ agree @ shares)
    chance = agree.sum() / (k * (k - 1)) * float(shares @ (1 - shares))
    return (observed - chance) / (1 - chance)


# each measure with the value that it has in the whole population
MEASURES: dict[str, tuple[Callable[[Votes], Coefficient], Callable[[AgreementWorld], float]]] = {
    "alpha": (krippendorff_alpha, lambda world: world.alpha),
    "alpha by distance": (_by_distance, lambda world: world.alpha),
    "interval alpha": (lambda votes: krippendorff_alpha(votes, level="interval"), lambda world: world.alpha),
    "ordinal alpha": (lambda votes: krippendorff_alpha(votes, level="ordinal"), lambda world: world.alpha),
    "fleiss": (fleiss_kappa, lambda world: world.alpha),
    "weighted fleiss": (lambda votes: fleiss_kappa(votes, weighting="linear"), lambda world: world.alpha),
    "conger": (conger_kappa, lambda world: world.alpha),
    "cohen": (cohen_kappa, lambda world: world.alpha),
    "ac1": (
        gwet_ac1,
        lambda world: _beyond(world, float(world.shares @ (1 - world.shares)) / (world.labels - 1)),
    ),
    "ac2": (lambda votes: gwet_ac1(votes, weighting="quadratic"), _weighted_ac),
    "brennan_prediger": (brennan_prediger, lambda world: _beyond(world, 1 / world.labels)),
    "percent": (percent_agreement, _observed),
}


def coverage(name: str, world: AgreementWorld, draws: int, seed: int = 0) -> tuple[int, int, float]:
    """How often a measure gives a number, how often its interval misses the truth, and the mean width."""
    measure, truth_of = MEASURES[name]
    rng, truth = np.random.default_rng(seed), truth_of(world)
    found = [measure(world.draw(rng)) for _ in range(draws)]
    given = [one for one in found if np.isfinite(one.value)]
    missed = sum(not one.low - 1e-9 <= truth <= one.high + 1e-9 for one in given)
    return len(given), missed, float(np.mean([one.high - one.low for one in given])) if given else 0.0
