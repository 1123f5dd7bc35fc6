"""Two policies are compared key by key, and a policy is written as a file with the same hash."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from feedback.policy import Policy, read_policy
from feedback.policy.explain import explain_policy
from feedback.policy.policy_changes import list_changes, policy_to_toml
from feedback.policy.simulate import TASKS_NOW, TaskHistory, simulate
from tests.support.hostile import TEXTS

DOCS = Path(__file__).parents[3] / "docs"
ODD_TEXTS = r"""
[reasons]
z = "Z: \u2028 \u007f"
a = ""
[people.'o"x@example.com']
wage = 1e22
[model]
control = 'a\'
"""
DATES = """
[[routing]]
id = "1"
to = "L1"
when = { time.date.gte = 2026-01-01, any = [{ data.'a b'.in = [1.0, true] }] }
[[routing]]
id = "2"
to = "L1"
"""
BASE = """
[[routing]]
id = "big"
when = { data.amount.gte = 5 }
to = "L2"
[[routing]]
id = "rest"
to = "L1"
[tiers.L1]
[tiers.L2]
protocol = "panel"
panel = 3
"""


@pytest.mark.parametrize(
    "text",
    [
        "",
        BASE,
        "[tiers.Z]\nplace = 4\n[tiers.A]\nplace = 7",
        "[tiers.A]\nplace = 1\n[tiers.B]\nplace = 0",
        ODD_TEXTS,
        DATES,
        *re.findall(r"```toml\n(.*?)```", (DOCS / "policy.md").read_text(encoding="utf-8"), re.DOTALL),
    ],
)
def test_a_policy_written_as_a_file_is_read_as_the_same_policy(text: str):
    policy = read_policy(text)
    written = read_policy(policy_to_toml(policy))

    assert (written.hash, written) == (policy.hash, policy)
    for name in ("tiers", "reasons", "feedback"):  # whose order people see
        assert list(getattr(written, name)) == list(getattr(policy, name))


def test_any_text_is_written_so_that_it_is_read_again():
    for text in TEXTS:
        policy = Policy.model_validate({"reasons": {"x": text.encode("utf-8", "replace").decode()[:500]}})

        assert read_policy(policy_to_toml(policy)) == policy


def test_changes_are_named_key_by_key():
    new = """
    [[routing]]
    id = "rest-of-big"
    when = { data.amount.gte = 9 }
    to = "L2"
    priority = "high"
    [[routing]]
    id = "rest"
    to = "L1"
    queue = "usual"
    [tiers.L2]
    protocol = "panel"
    panel = 5
    [tiers.L1]
    [audit]
    share = 0.2
    """
    found = [change.sentence for change in list_changes(read_policy(BASE), read_policy(new))]

    assert found == [
        "audit.share: not set -> 0.2",
        "routing.big is removed",
        'routing.rest.queue: "default" -> "usual"',
        'routing.rest-of-big is new: when = { data.amount.gte = 9 }, to = "L2", priority = "high"',
        "tiers.L2.panel: 3 -> 5",
        "tiers: the order is now L2, L1",
    ]
    assert list_changes(read_policy(BASE), read_policy(BASE + "[audit]\nquota = 0.2")) == []


def test_a_simulation_and_an_explanation_name_the_keys_that_they_cannot_judge():
    changed = BASE.replace("panel = 3", 'panel = 5\nresolve = "2d"') + "[gold]\ntolerance = 0.1\n[audit]\nshare = 0.2"
    history = TaskHistory([1], [0.0], lambda _field: [None])
    found = simulate(read_policy(BASE), read_policy(changed), history)
    words = explain_policy(read_policy(changed))

    wanted = "Not judged here, because no routing depends on it: audit.share, gold.tolerance, tiers.L2.resolve."
    assert found.sentences[-1] == wanted
    assert words[-1] == "Also set, and not put into words here: audit.share, gold.tolerance."
    assert simulate(read_policy(BASE), read_policy(BASE), history).not_judged == ""
    assert not any("not put into words" in line for line in explain_policy(read_policy(BASE)))


def test_changed_hours_are_judged_on_tasks_as_they_are_and_not_on_recorded_decisions():
    hours = "[calendars.office]\nhours = ['{}:00-17:00']"
    old, new = (read_policy(BASE + hours.format(hour)) for hour in ("09", "10"))
    found = [
        simulate(old, new, TaskHistory([1], [0.0], lambda _field: [None], source=source)).not_judged
        for source in ("decisions", TASKS_NOW)
    ]

    assert found == ["calendars.office.hours", ""]
