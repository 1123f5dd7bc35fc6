from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

import pytest

from feedback.policy import Policy, read_policy
from feedback.policy.simulate import DAY_S, TaskHistory, simulate

TIERS = """
[tiers.L1]
handling = "1m"
[tiers.L2]
handling = "6m"
protocol = "two-reader"
[people."a@example.com"]
tiers = ["L1"]
wage = 30
[people."b@example.com"]
tiers = ["L2"]
wage = 60
"""


def policy(amount: int, confidence: float, tiers: str = TIERS) -> Policy:
    return read_policy(
        f"""
[[routing]]
id = "big"
when = {{ data.amount.gte = {amount} }}
to = "L2"
[[routing]]
id = "sure"
when = {{ model.confidence.gte = {confidence} }}
to = "auto"
[[routing]]
id = "default"
to = "L1"
{tiers}"""
    )


def past(columns: dict[str, Sequence[Any]], n: int, days: float = 10.0) -> TaskHistory:
    at_s = [days * DAY_S * place / (n - 1) for place in range(n)]
    return TaskHistory(list(range(n)), at_s, lambda field: columns.get(field, [None] * n))


def test_automation_load_and_cost_are_compared_with_the_active_policy():
    columns = {"data.amount": [100] * 60 + [6000] * 40, "model.confidence": [0.95] * 31 + [0.5] * 69}
    found = simulate(policy(9000, 0.99), policy(5000, 0.9), past(columns, 100))

    assert (found.before.auto, found.after.auto) == (0, 31)
    assert (found.before.answers, found.after.answers) == ({"L1": 100}, {"L1": 60, "L2": 80})
    # 100 minutes at 30 against 60 minutes at 30 and 80 looks of 6 minutes at 60
    assert (found.before.cost, found.after.cost) == (pytest.approx(50), pytest.approx(30 + 480))
    assert (found.moved, found.changed) == (40, 0)
    given = "\n".join(found.sentences)
    assert found.headline == (
        "automation 0 % -> 31 % asked for, certified error: none yet (no certificate allows it yet, so people "
        "decide), L1 load -4.0 answers/day, L2 load +8.0 answers/day, cost +920 %"
    )
    assert found.headline in given
    assert "L1 load: -4.0 answers/day (10 -> 6.0)" in given
    assert "L2 load: +8.0 answers/day (0 -> 8.0)" in given
    assert "cost: +920 % (5.00 -> 51.00 per day)" in given


def test_the_same_policy_changes_nothing():
    columns = {"data.amount": [100, 9000], "model.confidence": [0.5, 0.5]}
    found = simulate(policy(5000, 0.9), policy(5000, 0.9), past(columns, 2))

    assert (found.moved, found.examples) == (0, ())
    assert found.before == found.after


def test_an_unknown_cost_is_reported_as_unknown():
    columns = {"data.amount": [1, 2], "model.confidence": [0.5, 0.5]}
    found = simulate(policy(5, 0.9), policy(5, 0.9, tiers="[tiers.L1]\n[tiers.L2]"), past(columns, 2))

    assert found.after.cost is None
    assert "cost: unknown; nobody in L1 has a wage in [people]" in found.sentences


def test_a_field_that_was_never_recorded_is_named():
    columns = {"data.amount": [1, 2], "model.confidence": [0.5, None]}
    found = simulate(policy(5, 0.9), policy(5, 0.8), past(columns, 2))

    assert found.missing == {"model.confidence": 1}
    assert any("model.confidence is unknown for 1 tasks" in line for line in found.sentences)


def test_an_empty_history_gives_a_sentence_and_no_figures():
    found = simulate(policy(5, 0.9), policy(5, 0.8), TaskHistory([], [], lambda _: []))

    assert found.n == 0
    assert found.sentences == ["There is no task yet, so nothing can be simulated."]


@pytest.mark.parametrize(("days", "unit"), [(0.0, "in all"), (0.5, "in all"), (1.0, "per day"), (10.0, "per day")])
def test_less_than_a_day_gives_totals_and_no_daily_rate(days: float, unit: str):
    columns = {"data.amount": [100] * 60 + [6000] * 40, "model.confidence": [0.5] * 100}
    found = simulate(policy(9000, 0.99), policy(5000, 0.9), past(columns, 100, days=days))
    given = "\n".join(found.sentences)

    assert found.days == pytest.approx(days)
    assert ("/day" in given) == ("over" in given) == (unit == "per day")
    if unit == "in all":
        assert "too short a time for a daily rate; 40 would go elsewhere." in given
        assert "L2 load: +80 answers (0 -> 80)" in given
        assert "L1 load -40 answers, L2 load +80 answers" in given
        assert "cost: +920 % (50.00 -> 510.00 in all)" in given


def test_tasks_are_counted_that_nobody_answered_and_the_first_tier_will_not_see():
    columns = {
        "data.amount": [6000, 6000, 100, 6000],
        "history.votes": [0, 1, 0, 0],
        "sample": [None, None, None, "audit"],
    }
    found = simulate(policy(9000, 0.9), policy(5000, 0.9), past(columns, 4))

    assert (found.before.kept_back, found.after.kept_back) == (0, 1)


@pytest.mark.timed
def test_100_000_decisions_are_simulated_in_seconds():
    rng = random.Random(2)
    n = 100_000
    columns = {
        "data.amount": [rng.randrange(10_000) for _ in range(n)],
        "model.confidence": [rng.random() for _ in range(n)],
    }
    started_s = time.process_time()
    found = simulate(policy(9000, 0.9), policy(5000, 0.8), past(columns, n))

    assert time.process_time() - started_s < 5.0
    assert found.n == n
