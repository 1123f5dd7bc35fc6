"""Routing on a real Label Studio: what is held is handed to nobody, what is urgent is handed out first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feedback.ingest.signals import SignalHandler
from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
from feedback.loop.context import Turn
from feedback.policy import Policy, read_policy
from feedback.project.connect import connect, disconnect
from feedback.store import Store, open_store
from tests.support.connected import loop_of, settings_of
from tests.support.label_studio import Project, Site, StubBackend, choice_result

pytestmark = pytest.mark.e2e

SMALL = "\n[queue]\nwindow = 20\nhead = 3\n[overlap]\nshare = 0.0\n[audit]\nshare = 0.0\n[train]\nmin_rows = 500\n"
RULES = (
    """
[[routing]]
id = "reported"
when = { signal.user_report.exists = true }
to = "L1"
priority = "urgent"
reason = "a user reported it"
[[routing]]
id = "big"
when = { data.amount.gte = 5000 }
to = "L2"
[[routing]]
id = "legal"
when = { data.text.matches = "(?i)lawsuit" }
to = "hold"
[[routing]]
id = "default"
to = "L1"
[tiers.L1]
[tiers.L2]
"""
    + SMALL
)


class Run:
    """A connected project and the loop around it."""

    def __init__(self, site: Site, project: Project, backend: StubBackend, store: Store, folder: Path) -> None:
        self.site, self.project, self.store = site, project, store
        self.settings = settings_of(site, backend)
        self.platform = LabelStudioAdapter(site.admin, store)
        self.loop = loop_of(store, folder, platform=self.platform)

    def connect(self, policy: Policy) -> None:
        connect(self.settings, self.store, self.site.admin, self.project.id, policy=policy, now_s=time.time())

    def use(self, policy: Policy) -> None:
        row = self.store.projects.get_project(self.project.id)
        assert row is not None
        self.store.policies.activate_policy(row, policy, who="test", now_s=time.time())

    def turn(self) -> Turn:
        return self.loop.turn(self.project.id)

    def handed(self, person: int = 0) -> int | None:
        found = self.site.people[person].next_task(self.project.id)
        return None if found is None else int(found["id"])

    def drain(self) -> list[int]:
        """Answer everything that the label stream hands out, as one person."""
        order: list[int] = []
        while (task := self.handed()) is not None:
            order.append(task)
            self.site.people[0].submit(task, choice_result("good"))
        return order


@pytest.fixture
def made(site: Site) -> Iterator[Project]:
    with site.project(0) as project:
        rows: list[dict[str, Any]] = [{"text": f"text {number}", "amount": number} for number in range(6)]
        rows[2]["amount"] = 9000
        rows[4]["text"] = "I prepare a LAWSUIT"
        tasks = tuple(site.admin.import_tasks(project.id, [{"data": row} for row in rows]))
        yield Project(site.admin, project.id, tasks)


@pytest.fixture
def run(site: Site, made: Project, backend: StubBackend, tmp_path: Path) -> Iterator[Run]:
    store = open_store(f"sqlite:///{tmp_path / 'hitl.db'}", durability="normal")
    yield Run(site, made, backend, store, tmp_path / "models")
    store.close()


def test_held_tasks_are_served_to_nobody_and_reported_ones_first(run: Run) -> None:
    big, legal, reported = run.project.tasks[2], run.project.tasks[4], run.project.tasks[5]
    run.connect(read_policy(RULES))
    first = run.turn()
    signal_handler = SignalHandler(run.store)
    signal_handler({"project": run.project.id, "task": reported, "signal": "user_report", "value": "scam", "id": "1"})
    run.turn()
    overlaps = run.project.overlaps()
    order = run.drain()
    run.turn()
    outcomes = {
        task: standing.outcome
        for task, (standing, _) in run.store.decisions.list_current_decisions(run.project.id).items()
    }

    assert first.notes == ()
    assert overlaps[big][1]
    assert overlaps[legal][1]
    assert order[0] == reported
    assert set(order) == set(run.project.tasks) - {big, legal}
    assert (outcomes[big], outcomes[legal]) == ("L2", "hold")
    assert {vote.task for vote in run.store.votes.list_votes(run.project.id)} == set(order)


def test_a_hold_that_label_studio_forgot_is_set_again(run: Run) -> None:
    big = run.project.tasks[2]
    run.connect(read_policy(RULES))
    run.turn()
    # what counts every task anew
    run.project.admin.patch_project(run.project.id, maximum_annotations=2)
    run.project.admin.patch_project(run.project.id, maximum_annotations=1)
    forgotten = not run.project.overlaps()[big][1]
    asked = run.platform.list_servable_tasks(run.project.id, [big, run.project.tasks[4]])
    run.turn()

    assert forgotten
    assert set(asked) == {big, run.project.tasks[4]}
    assert run.project.overlaps()[big][1]
    assert big not in run.drain()


def test_a_new_policy_lets_a_held_task_go(run: Run) -> None:
    legal = run.project.tasks[4]
    run.connect(read_policy(RULES))
    run.turn()
    run.use(read_policy(RULES.replace("(?i)lawsuit", "never")))
    run.turn()
    run.turn()

    assert not run.project.overlaps()[legal][1]
    assert legal in run.drain()


def test_disconnecting_shows_every_held_task_again(run: Run) -> None:
    before = run.project.everything()
    run.connect(read_policy(RULES))
    run.turn()
    held = {task for task, (_, done) in run.project.overlaps().items() if done}
    disconnect(run.store, run.site.admin, run.project.id)

    assert held == {run.project.tasks[2], run.project.tasks[4]}
    assert run.project.everything() == before
    assert run.store.tasks.list_hidden_tasks(run.project.id) == {}
