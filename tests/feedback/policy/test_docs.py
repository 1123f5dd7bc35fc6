from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from feedback.policy import Policy, read_policy
from feedback.policy.field_types import Section
from feedback.policy.reviewer_questions import SIGNALS
from feedback.policy.rules import FIELDS, UNAVAILABLE_FIELDS
from feedback.review.notifications import SIGNATURE, notification_secret
from tests.support.review_world import World, policy_text

TEXT = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_is_a_policy(block: str):
    assert read_policy(block, source="docs/policy.md") is not None


def test_the_defaults_that_are_shown_are_the_defaults():
    assert read_policy(BLOCKS[0]) == Policy()


def test_every_section_field_and_signal_is_documented():
    sections = set(Policy.model_fields) - {"version"}
    found = re.findall(r"^\[+([a-z_]+)", TEXT, re.MULTILINE)

    assert sections == set(found)
    for name in [*FIELDS, *SIGNALS, "model.set_size", "model.ood_p"]:
        assert f"`{name}`" in TEXT
    assert set(UNAVAILABLE_FIELDS) >= {"model.set_size", "model.ood_p"}


@pytest.mark.parametrize("section", ["tiers", "calendars", "people", "notify", "feedback"])
def test_every_key_of_a_section_is_documented(section: str):
    (block,) = [row for row in BLOCKS if re.search(rf"^\[{section}\..*\][^\[]*=", row, re.MULTILINE)]
    (kind,) = {type(row) for row in getattr(read_policy(block), section).values()}
    keys = set(kind.model_fields) - {"place", "panel"}

    assert [key for key in sorted(keys) if not re.search(rf"^{key} = ", TEXT, re.MULTILINE)] == []


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (name, key)
        for name, field in Policy.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        for key in field.annotation.model_fields
    ],
)
def test_every_key_of_a_plain_section_is_documented(section: str, key: str):
    header, documented = "", set[tuple[str, str]]()
    for line in "\n".join(BLOCKS).splitlines():
        if found := re.match(r"\[+([^\]]+)\]", line):
            header = found[1]
        elif found := re.match(r"(?:# )?(\w+) = ", line):
            documented.add((header, found[1]))

    assert (section, key) in documented


def test_the_documented_receiver_accepts_what_is_signed_and_nothing_else(world: World):
    found: dict[str, Any] = {}
    exec(next(block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)), found)  # noqa: S102
    is_from_hitl = found["is_from_hitl"]
    sent: list[tuple[bytes, str]] = []

    def post(_url: str, body: bytes, headers: Mapping[str, str]) -> str:
        sent.append((body, headers[SIGNATURE]))
        return ""

    world.post = post
    world.__post_init__()
    world.use(
        policy_text(
            l2='resolve = "10m"\nnotify = ["crm"]', more='[notify.crm]\nurl = "https://crm.x/"\nsecret = "crm"\n'
        ),
        overlap=2,
    )
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.disagree(task)
    world.site.pass_time(11 * 60)
    world.turn()

    ((body, signature),) = sent
    secret = notification_secret(world.store, "crm")
    assert is_from_hitl(secret, body, signature)
    assert not is_from_hitl(secret, body + b" ", signature)
    assert not is_from_hitl(notification_secret(world.store, "crm", new=True), body, signature)
