"""A simulated project: our own models, queue order and audit sample, with known answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from feedback.errors import EvaluationError
from feedback.policy.schema import Sampling
from feedback.project.audit_splits import Splits
from ml_backend.label_config import Control
from ml_backend.models import Model, Recipe
from sampling.ordering import order_tasks
from sampling.pool import Pool


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Accuracy of a model by the number of answers that it learned from."""

    strategy: str
    seed: int
    answers: tuple[int, ...]  # (n,) training answers at each measurement, ascending
    accuracy: tuple[float, ...]  # (n,) on the audit sample, in [0, 1]

    @property
    def area(self) -> float:
        """Return the mean accuracy over the answers, by the trapezoid rule; 1 is perfect from the first answers on."""
        if len(self.answers) < 2:
            return self.accuracy[0]
        width = self.answers[-1] - self.answers[0]
        return float(np.trapezoid(self.accuracy, self.answers)) / width


def simulate(
    recipe: Recipe,
    control: Control,
    data: Sequence[Mapping[str, Any]],
    truth: Sequence[str],
    *,
    strategy: str,
    random_share: float = 0.1,
    seed: int,
    start: int = 20,
    batch: int = 20,
    budget: int = 200,
    share: float = 0.25,
) -> LearningCurve:
    """Label tasks in the order of `strategy` until `budget` answers, and measure the model on the audit sample.

    Strategies with the same seed start from the same random answers and are measured on the same audit rows, so that
    their difference comes from the order alone ("random" is a random order). Nothing is learned from audit rows, a
    `share` of the tasks. It measures after `start` answers and after every further `batch`, of which `random_share` is
    drawn at random. EvaluationError where there are too few tasks for the budget.
    """
    draws = Splits(f"replay-{seed}", "replay", share)
    roles = draws.roles([draws.dedup_key(row) for row in data])
    audit = [row for row, role in enumerate(roles) if role != "train"]
    pool = [row for row, role in enumerate(roles) if role == "train"]
    if not audit or len(pool) < budget or not 2 <= start <= budget:
        raise EvaluationError(f"{len(data)} tasks are too few for {budget} answers and an audit stream.")
    asked = [int(row) for row in np.random.default_rng(seed).permutation(pool)[:start]]
    answers, accuracy = [], []
    while True:
        model = recipe.fit(
            [data[row] for row in asked], [truth[row] for row in asked], field=control.field, weights=None, seed=seed
        )
        answers.append(len(asked))
        accuracy.append(_accuracy(model, [data[row] for row in audit], [truth[row] for row in audit]))
        if len(asked) >= budget:
            return LearningCurve(strategy, seed, tuple(answers), tuple(accuracy))
        taken = set(asked)
        rest = [row for row in pool if row not in taken]
        proba = model.predict_proba([data[row] for row in rest])
        near = Sampling(strategy=strategy).looks_at_distances
        chosen = order_tasks(
            Pool(tuple(rest), proba, np.zeros(len(rest)), model.vectors([data[row] for row in rest]) if near else None),
            strategy="margin" if strategy == "random" else strategy,
            random_share=1.0 if strategy == "random" else random_share,
            seed=seed * 10_000 + len(asked),
            size=min(batch, budget - len(asked)),
        )
        asked += chosen.ids


def _accuracy(model: Model, data: Sequence[Mapping[str, Any]], truth: Sequence[str]) -> float:
    best = np.nan_to_num(model.predict_proba(data), nan=-1.0).argmax(axis=1)
    return float(np.mean([model.classes[place] == label for place, label in zip(best, truth, strict=True)]))
