"""Thresholds: what each would have saved and cost; the best is named only where the interval supports it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from feedback.automation.thresholds import threshold_table_to_json
from feedback.policy import Policy, read_policy
from feedback.policy.simulate import TaskHistory
from feedback.policy.threshold_costs import GRID, evaluate_thresholds

PRICES = """
[[routing]]
id = "big"
to = "L2"
when = {{ data.amount.gte = 1000 }}
[[routing]]
id = "rest"
to = "L1"
[tiers.L1]
handling = "1m"
[tiers.L2]
handling = "10m"
[people."a@x.org"]
wage = 60.0
[people."b@x.org"]
tiers = ["L2"]
wage = 120.0
[costs]
{error}
"""


def policy(error: str = "error = 5.0") -> Policy:
    return read_policy(PRICES.format(error=error))


def past(
    confidence: Sequence[float | None], *, days: float = 10.0, amounts: Sequence[int] | None = None
) -> TaskHistory:
    n = len(confidence)
    columns: dict[str, Sequence[Any]] = {
        "model.confidence": confidence,
        "model.label": [None if row is None else "ok" for row in confidence],
        "data.amount": amounts or [1] * n,
    }
    times = np.linspace(0.0, days * 86_400, n).tolist()
    return TaskHistory(list(range(n)), times, lambda field: columns.get(field, [None] * n))


def checks(n: int, wrong: int) -> dict[int, str]:
    """The first n tasks were audited, and people say otherwise of some."""
    return {task: "fraud" if task < wrong else "ok" for task in range(n)}


def test_a_threshold_automates_tasks_with_at_least_its_confidence():
    found = evaluate_thresholds(policy(), past([0.95] * 50 + [0.55] * 30 + [None] * 20), {})
    by = {step.threshold: step for step in found.steps}

    assert (by[0.5].automated, by[0.6].automated, by[0.95].automated, by[0.97].automated) == (0.8, 0.5, 0.5, 0.0)
    assert by[0.6].answers == {"L1": 5.0}  # 50 tasks in 10 days
    assert found.answers == {"L1": 10.0}
    assert found.cost == pytest.approx(10.0)  # a minute of 60 an hour each


def test_each_tier_has_its_own_load_and_wages():
    found = evaluate_thresholds(policy(), past([0.9] * 50 + [0.1] * 50, amounts=[5000, 1] * 50), {})
    sure = next(step for step in found.steps if step.threshold == 0.9)

    assert found.answers == {"L2": 5.0, "L1": 5.0}
    assert found.cost == pytest.approx(5 * 1.0 + 5 * 20.0)
    assert sure.answers == {"L2": 2.5, "L1": 2.5}


def test_the_error_comes_from_audited_tasks_only_and_its_interval_holds_for_the_whole_grid():
    found = evaluate_thresholds(policy(), past([0.9] * 1000), checks(200, wrong=10))
    step = found.steps[0]

    assert (step.checked, step.error.value) == (200, 0.05)
    assert step.error.confidence == pytest.approx(1 - 0.05 / len(GRID))
    assert step.error.low < 0.02 < 0.09 < step.error.high  # wider than the interval of one threshold, 0.024 to 0.09


def test_the_best_threshold_is_named_where_the_upper_end_of_its_cost_is_lower():
    found = evaluate_thresholds(policy("error = 2.0"), past([0.99] * 600 + [0.6] * 400), checks(300, wrong=1))

    assert found.best is not None
    step = next(row for row in found.steps if row.threshold == found.best)
    assert step.cost is not None
    assert found.cost is not None
    assert step.cost.high < found.cost
    assert any(line.startswith("Best: ") for line in found.sentences)


def test_no_threshold_is_best_with_too_few_audited_answers():
    found = evaluate_thresholds(policy("error = 2.0"), past([0.99] * 600 + [0.6] * 400), checks(5, wrong=0))

    assert found.best is None
    assert "5 audited answers are too few" in found.reason


def test_no_threshold_is_best_where_errors_cost_more_than_people():
    found = evaluate_thresholds(policy("error = 500.0"), past([0.99] * 600), checks(300, wrong=5))

    assert found.best is None
    assert "No threshold is named best" in " ".join(found.sentences)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PRICES.format(error=""), "costs.error is not set"),
        (PRICES.format(error="error = 1.0").replace("wage = 60.0", ""), "nobody in L1 has a wage"),
        (PRICES.format(error="error = 1.0").replace('handling = "1m"', ""), "no answer was timed"),
    ],
)
def test_without_a_price_the_table_has_no_costs_and_the_reason(text: str, message: str):
    found = evaluate_thresholds(read_policy(text), past([0.99] * 100), checks(100, wrong=0))

    assert found.best is None
    assert message in found.reason
    assert all(step.cost is None for step in found.steps)
    assert found.steps[0].automated == 1.0


def test_a_history_without_a_model_has_no_thresholds():
    found = evaluate_thresholds(policy(), past([None] * 10), checks(10, wrong=0))

    assert (found.steps, found.best) == ((), None)
    assert found.sentences == ["No threshold can be compared: no model has predicted any of them yet."]
    assert evaluate_thresholds(policy(), past([]), {}).sentences == [
        "No threshold can be compared: there is no task yet, or the model has learned from each of them."
    ]


def test_a_model_that_is_never_sure_automates_nothing():
    found = evaluate_thresholds(policy(), past([0.3] * 10), checks(10, wrong=0))

    assert {step.automated for step in found.steps} == {0.0}
    assert found.reason == "the model is sure enough of no task."


def test_less_than_a_day_gives_totals_and_no_daily_rate():
    found = evaluate_thresholds(policy(), past([0.99] * 100, days=0.1), checks(100, wrong=0))

    assert (found.unit, found.answers) == ("in all", {"L1": 100})
    assert not any("per day" in line for line in found.sentences)
    assert evaluate_thresholds(policy(), past([0.99] * 100, days=1.0), {}).unit == "per day"


def test_the_table_is_valid_json_with_unknown_values():
    text = json.dumps(
        threshold_table_to_json(evaluate_thresholds(policy(), past([0.9] * 10 + [None]), {})), allow_nan=False
    )

    assert json.loads(text)["steps"][0]["error"] == {"low": 0.0, "high": 1.0, "value": None}


def test_the_best_threshold_is_rarely_more_expensive_than_people():
    """Simulated: where automation never pays, at most one table in twenty says that it does."""
    random, n_chosen, runs = np.random.default_rng(7), 0, 200
    for _ in range(runs):
        confidence = random.choice(GRID, size=400)
        # an error costs 10 looks and one answer in ten is wrong: every threshold costs exactly what people do
        wrong = {task: "fraud" if random.random() < 0.1 else "ok" for task in range(200)}
        n_chosen += evaluate_thresholds(policy("error = 10.0"), past(confidence.tolist()), wrong).best is not None

    assert n_chosen / runs <= 0.05
