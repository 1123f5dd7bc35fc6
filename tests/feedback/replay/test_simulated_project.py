from __future__ import annotations

import numpy as np
import pytest

from feedback.errors import EvaluationError
from feedback.replay.simulated_project import LearningCurve, simulate
from feedback.stats.intervals import mean
from ml_backend.features.cache import FeatureCache
from ml_backend.label_config import read_label_config
from ml_backend.models import recipe_for
from tests.support.recipe_tasks import inline_tasks


def test_the_area_is_the_mean_height_of_the_curve():
    assert LearningCurve("margin", 0, (10, 20, 40), (0.5, 0.7, 0.9)).area == pytest.approx((6 + 16) / 30)


def test_too_few_tasks_are_refused():
    made = inline_tasks("digits", limit=60)
    control = read_label_config(made.label_config).control()

    with pytest.raises(EvaluationError, match="too few"):
        simulate(recipe_for(control), control, made.tasks, made.truth, strategy="margin", seed=0, budget=200)


@pytest.mark.slow
def test_our_order_beats_random_order_on_digits():
    """Five seeds, paired: the area under audit accuracy, with an interval that excludes 0."""
    made = inline_tasks("digits", limit=10_000)
    control = read_label_config(made.label_config).control()
    recipe = recipe_for(control, cache=FeatureCache())  # as the loop's workshop has one: no image is opened twice

    def area(strategy: str, seed: int) -> float:
        return simulate(
            recipe, control, made.tasks, made.truth, strategy=strategy, seed=seed, batch=30, budget=200
        ).area

    gains = [area("margin", seed) - area("random", seed) for seed in range(5)]
    interval = mean(gains)

    assert interval.low > 0.0, f"gain {interval} of {np.round(gains, 4)}"
