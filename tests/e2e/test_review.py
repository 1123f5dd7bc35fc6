"""A moderation project with three tiers on a real Label Studio: votes, review projects, a clock, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from feedback.activating import activate, policy_of
from feedback.collecting import collect
from feedback.learning.workshop import Workshop
from feedback.loop import Loop
from feedback.platform import LabelStudio
from feedback.policy import read_policy
from feedback.review.rooms import known_rooms
from feedback.review.tiers import COMMENT, FACTS, HISTORY, KEY, REASON, VERDICT
from feedback.rooms import LabelStudioRooms
from feedback.store import ProjectRow, Store, open_store
from feedback.turning import Turn
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.projects import UNCERTAINTY
from ml_backend.registry import FolderRegistry
from tests.support.label_studio import SENTIMENT, Project, Site, says

pytestmark = pytest.mark.e2e

POLICY = """
[[routing]]
id = "large"
when = { data.text.contains = "text 3" }
to = "L2"
reason = "a large amount"
priority = "urgent"

[[routing]]
id = "default"
to = "L1"

[tiers.L1]
resolve = "1h"
on_breach = "escalate"
[tiers.L2]
resolve = "1h"
on_breach = "escalate"
[tiers.L3]
protocol = "panel"
panel = 2
own_cases = true

[people."ada@example.com"]
tiers = ["L1", "L2", "L3"]
[people."ben@example.com"]
tiers = ["L1"]
[people."cleo@example.com"]
tiers = ["L1", "L2", "L3"]

[queue]
window = 20
head = 3
[overlap]
share = 0.0
max_votes = 2
[audit]
share = 0.0
[train]
min_rows = 500
[second_look]
share = 0.0
"""


@dataclass
class World:
    site: Site
    project: Project
    store: Store
    folder: Path
    late_s: float = 0.0  # how far our clock runs before Label Studio's
    rooms: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        import time

        platform = LabelStudio(self.site.admin, self.store)
        self.loop = Loop(
            self.store,
            platform=platform,
            rooms=LabelStudioRooms(self.site.admin),
            workshop=Workshop(lambda: ()),
            folder=FolderRegistry(self.folder),
            policies=policy_of,
            clock=lambda: time.time() + self.late_s,
        )
        row = ProjectRow(self.project.id, "moderation", SENTIMENT, connected=True, overlap=2)
        self.store.save_project(row)
        activate(self.store, row, read_policy(POLICY), who="test", now_s=time.time())
        self.site.admin.patch_project(self.project.id, sampling=UNCERTAINTY)
        collect(self.store, platform, self.project.id, now_s=time.time())

    def turn(self) -> Turn:
        turn = self.loop.turn(self.project.id)
        assert turn.notes == ()
        return turn

    def room(self, tier: str) -> str:
        return str(known_rooms(self.store, self.project.id)[tier]["room"])

    def case(self, task: int) -> Any:
        (found,) = self.store.cases(self.project.id, tasks=[task])
        return found

    def trail(self, task: int) -> list[str]:
        return [step.event for step in self.store.steps(self.case(task).id)]

    def stars(self, task: int) -> list[str]:
        rows = self.site.admin.annotations(task)
        return [row["result"][0]["value"]["choices"][0] for row in rows if row["ground_truth"]]


def verdict(name: str, reason: str = "", comment: str = "") -> list[dict[str, Any]]:
    said = [{"from_name": VERDICT, "to_name": FACTS, "type": "choices", "value": {"choices": [name]}}]
    if reason:
        said.append({"from_name": REASON, "to_name": FACTS, "type": "choices", "value": {"choices": [reason]}})
    if comment:
        said.append({"from_name": COMMENT, "to_name": FACTS, "type": "textarea", "value": {"text": [comment]}})
    return said


def handed(person: Client, room: str) -> dict[str, Any]:
    task = person.next_task(room)
    assert task is not None
    return task


@pytest.fixture
def world(site: Site, project: Project, tmp_path: Path) -> Iterator[World]:
    store = open_store(f"sqlite:///{tmp_path / 'hitl.sqlite3'}")
    made = World(site, project, store, tmp_path / "models")
    yield made
    for body in known_rooms(store, project.id).values():
        site.admin.delete_project(str(body["room"]))
    store.close()


def test_a_moderation_project_runs_through_its_tiers_and_back(site: Site, world: World) -> None:
    ada, ben, cleo = site.people
    disputed, late, urgent, calm = (world.project.tasks[place] for place in (0, 1, 3, 4))
    world.turn()

    # two people differ in L1; one task they agree on; one is never looked at; one went straight to L2
    for person, label in ((ada, "good"), (ben, "bad")):
        person.submit(disputed, says(label))
        person.submit(calm, says("good"))
        world.turn()
    world.turn()
    assert world.trail(calm) == ["open", "start", "settle"]
    assert (world.case(disputed).tier, world.case(urgent).tier) == ("L2", "L2")
    assert site.admin.task(urgent)["is_labeled"]  # nobody in L1 is handed it

    # the most urgent case comes first, with what was said and why it is here
    first = handed(cleo, world.room("L2"))
    assert first["data"][KEY] == f"case-{world.case(urgent).id}-1-L2-1"
    assert first["data"][FACTS]["Why here"] == "a large amount"
    cleo.submit(first["id"], [*says("bad"), *verdict("fix", "wrong_label", "see page 3")], lead_time=12.0)

    # ada answered the disputed task in L1: her verdict does not count, and it is open again at once
    second = handed(ada, world.room("L2"))
    assert [line["said"] for line in second["data"][HISTORY]] == ["good", "bad"]
    ada.submit(second["id"], [*says("good"), *verdict("fix", "wrong_label")])
    world.turn()
    assert world.case(urgent).state == "resolved"
    assert world.stars(urgent) == ["bad"]
    assert world.trail(disputed)[-1] == "refuse"

    # cleo sends it on; L3 is a panel of two
    again = handed(cleo, world.room("L2"))
    assert again["id"] == second["id"]
    cleo.submit(again["id"], [*says("bad"), *verdict("escalate", "guideline_gap", "is irony bad?")])
    world.turn()
    for person in (cleo, ada):
        task = handed(person, world.room("L3"))
        assert task["predictions"][0]["result"][0]["value"] == {"choices": ["bad"]}
        person.submit(task["id"], [*says("bad"), *verdict("accept")])
        world.turn()
    assert world.case(disputed).state == "resolved"
    assert world.stars(disputed) == ["bad"]
    assert world.trail(disputed) == [
        "open", "start", "escalate", "place", "refuse", "escalate", "place", "look", "decide", "write",
    ]  # fmt: skip

    # nobody looks at the rest for an hour
    world.late_s = 2 * 3600
    world.turn()
    assert (world.case(late).tier, world.case(late).breaches) == ("L2", 1)
    assert world.trail(late) == ["open", "escalate", "place"]

    # what came back is what models learn from, and it is nobody's vote
    turn = world.turn()
    assert turn.settled == 3
    assert {vote.task for vote in world.store.votes(world.project.id)} == {disputed, calm}
    before = len(site.admin.annotations(disputed))
    world.turn()
    assert len(site.admin.annotations(disputed)) == before


def test_a_draft_in_a_review_project_counts_as_a_beginning(site: Site, world: World) -> None:
    urgent = world.project.tasks[3]
    text = POLICY.replace('[tiers.L2]\nresolve = "1h"', '[tiers.L2]\nfirst_action = "1h"')
    row = world.store.project(world.project.id)
    assert row is not None
    activate(world.store, row, read_policy(text), who="test", now_s=0.0)
    world.turn()
    copy = handed(site.people[2], world.room("L2"))
    site.people[2]._send("POST", f"api/tasks/{copy['id']}/drafts", body={"result": says("bad"), "lead_time": 3})

    world.turn()
    world.late_s = 2 * 3600
    world.turn()

    assert (world.case(urgent).state, world.case(urgent).breaches) == ("started", 0)
    steps = world.store.steps(world.case(urgent).id)
    assert steps[-1].person == site.accounts[2].id
