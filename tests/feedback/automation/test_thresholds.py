"""The threshold table of a project: by the command and by the daily report."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from feedback.automation.thresholds import KIND
from feedback.cli import app
from tests.feedback.review.test_explanations import promote
from tests.support.review_world import DAN, PROJECT, World

POLICY = """
[[routing]]
id = "all"
to = "L1"
[tiers.L1]
handling = "1m"
[people."dan@x.org"]
wage = 60.0
[costs]
error = 3.0
[queue]
window = 50
[overlap]
share = 0.0
[audit]
share = 0.5
[train]
min_rows = 500
"""


pytestmark = pytest.mark.usefixtures("data_dir")


def decided(world: World, *, rules: bool = True) -> list[int]:
    """Forty tasks that a model predicts, half of them audit tasks; people answer all of them, two differently."""
    world.use(POLICY if rules else POLICY[POLICY.index("[tiers.L1]") :])
    promote(world)
    tasks = world.site.add(*(f"{'apple juice' if place % 2 else 'hammer box'} {place}" for place in range(40)))
    world.turn()
    for place, task in enumerate(tasks):
        right = "fruit" if place % 2 else "tool"
        world.site.answer(task, right if place not in (3, 4) else {"fruit": "tool", "tool": "fruit"}[right], person=DAN)
    world.turn()
    return tasks


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_recorded_decisions_are_compared_with_the_consensus_on_audited_tasks(world: World):
    decided(world)
    table = json.loads(run("policy", "thresholds", PROJECT, "--json"))
    text = run("policy", "thresholds", PROJECT)

    assert (table["n"], table["source"]) == (40, "decisions")
    lowest = table["steps"][0]
    assert lowest["automated"] == 1.0
    assert 5 <= lowest["checked"] < 20  # of the audit half, without what certificates need
    assert "from 50 %: automates 100 %" in text
    assert "No threshold is named best" in text  # so few audited answers prove nothing


def test_without_rules_the_table_uses_current_tasks_except_training_tasks(world: World):
    decided(world, rules=False)
    table = json.loads(run("policy", "thresholds", PROJECT, "--json"))

    assert table["source"] == "tasks as they are now, answered ones too, imported"
    assert 10 < table["n"] < 30


def test_the_report_evaluates_thresholds_once_a_day_where_something_was_decided(world: World):
    def report_and_count() -> int:
        world.turn()
        world.loop.report(PROJECT)
        return len(world.store.records.list_records(PROJECT, KIND))

    world.use(POLICY)
    assert report_and_count() == 0
    decided(world)
    assert report_and_count() == 1
    assert report_and_count() == 1
    world.site.pass_time(90_000)

    assert report_and_count() == 2
