"""A real Label Studio on SQLite gives numbers again: deleting all tasks and importing anew must be a new beginning."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from feedback.app.bootstrap import make_client, opened_store, run_turn
from feedback.ingest.full_sync import run_full_sync
from feedback.ingest.webhook_handler import WebhookHandler
from feedback.labelling_platform.deletion_schedule import delete_stale_predictions
from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
from feedback.loop.context import Turn
from feedback.policy import Policy
from feedback.policy.schema import Audit, Overlap, Queue, Train
from feedback.project.connect import connect, disconnect
from feedback.settings import Settings, read_settings
from feedback.store import Store
from feedback.store.log import events
from ml_backend.labelstudio import changed_tasks
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.parsing import own_unique_id
from ml_backend.labelstudio.review_project_client import write_final_answer
from tests.support.label_studio import Project, Site, StubBackend, choice_result

pytestmark = pytest.mark.e2e

POLICY = Policy(
    queue=Queue(window=20, head=4),
    audit=Audit(share=0.3),
    overlap=Overlap(share=0.0),
    train=Train(min_rows=6, min_new=4),
)
N = 30


@dataclass(frozen=True)
class Connection:
    site: Site
    project: Project
    store: Store
    settings: Settings
    backend: StubBackend
    client: Client | None = None

    @property
    def platform(self) -> LabelStudioAdapter:
        assert self.client is not None
        return LabelStudioAdapter(self.client, self.store)

    def bring(self, word: str) -> list[int]:
        body = [{"data": {"text": f"{word} {number} {['lovely', 'awful'][number % 2]}"}} for number in range(N)]
        return self.site.admin.import_tasks(self.project.id, body)

    def delete_all(self, how: str) -> None:
        """At once, of which Label Studio tells nobody; or one by one, with a webhook each."""
        if how == "at once":
            self.site.admin.send("DELETE", f"api/projects/{self.project.id}/tasks/")
            return
        for task in self.site.admin.tasks(self.project.id, include=("id",)):
            self.site.admin.delete_task(task["id"])

    def turn(self) -> Turn:
        return run_turn(self.settings, self.store, self.project.id)

    def label(self, n: int) -> list[int]:
        made = []
        for _ in range(n):
            task = self.site.people[0].next_task(self.project.id)
            assert task is not None
            label = "good" if "lovely" in task["data"]["text"] else "bad"
            made.append(int(self.site.people[0].submit(task["id"], choice_result(label), lead_time=1.0)["id"]))
        return made

    def receive_webhooks(self) -> None:
        """Take in all webhooks that came."""
        time.sleep(0.3)
        webhook = WebhookHandler(self.store)
        while self.backend.events:
            webhook(self.backend.events.pop(0)[1])
        self.store.ingest_inbox()

    def texts(self) -> set[str]:
        return {str(task.data["text"]).split()[0] for task in self.store.tasks.list_tasks(self.project.id)}

    def votes(self) -> set[int]:
        return {vote.annotation for vote in self.store.votes.list_votes(self.project.id)}


@pytest.fixture
def connection(
    site: Site, backend: StubBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connection]:
    environ = {
        "HITL_DATA_DIR": str(tmp_path),
        "HITL_PUBLIC_URL": backend.url,
        "LABEL_STUDIO_URL": site.url,
        "LABEL_STUDIO_API_KEY": site.process.admin.token,
    }
    settings = read_settings(environ)
    with opened_store(settings) as store, site.project(0) as project:
        store.secrets.save_secret("draws", "the same audit stream in every run")
        made = Connection(site, project, store, settings, backend)
        made.bring("first")
        connect(settings, store, site.admin, project.id, policy=POLICY, now_s=time.time())
        with make_client(settings, store) as client:  # one, that is closed: the service keeps its own for ever
            monkeypatch.setattr("feedback.app.bootstrap.make_client", lambda *_: client)
            yield replace(made, client=client)
        disconnect(store, site.admin, project.id)


@pytest.mark.parametrize("how", ["at once", "one by one"])
@pytest.mark.parametrize("delivery", ["webhooks came", "webhooks were lost"])
def test_delete_all_and_import_again_is_a_new_beginning(connection: Connection, how: str, delivery: str) -> None:
    connection.turn()
    old_votes = connection.label(10)
    connection.turn()
    assert connection.votes() == set(old_votes)
    before = {task.id for task in connection.store.tasks.list_tasks(connection.project.id)}
    served = str(connection.project.body()["model_version"])

    connection.delete_all(how)
    again = connection.bring("second")
    if delivery == "webhooks came":
        connection.receive_webhooks()
    turn = connection.turn()

    assert set(again) == before  # what this test is about: the numbers are the same
    assert connection.texts() == {"second"}
    assert connection.votes() == set()
    now_served = str(connection.project.body()["model_version"])
    assert turn.window == now_served != served
    rows = {row.task for row in connection.store.windows.get_window(connection.project.id)}
    held = connection.site.admin.predictions(project=connection.project.id)
    assert {row["task"] for row in held if row["model_version"] == now_served} == rows
    assert len(rows) == 20
    given = connection.label(8)
    if delivery == "webhooks came":
        connection.receive_webhooks()
    assert connection.turn().answers == 8
    assert connection.votes() == set(given)

    swept = run_full_sync(connection.store, connection.platform, connection.project.id, clock=time.time)
    assert swept.complete
    assert connection.votes() == set(given)
    assert connection.store.verify(connection.project.id) | {"events": 0} == {
        "events": 0,
        "chain": "ok",
        "projection": "ok",
    }
    assert connection.store.rebuild().ok


def test_imported_annotations_take_the_numbers_of_deleted_ones_and_are_no_votes(connection: Connection) -> None:
    def bring(label: str) -> set[int]:
        body = [{"data": {"text": "one"}, "annotations": [{"result": choice_result(label)}]} for _ in range(5)]
        connection.site.admin.import_tasks(connection.project.id, body)
        return {
            a.id
            for _, given in changed_tasks.poll_tasks(connection.site.admin, connection.project.id, "")
            for a in given
        }

    connection.delete_all("at once")
    old = bring("good")
    connection.turn()
    connection.delete_all("at once")
    new = bring("bad")

    connection.turn()
    assert ("sweep", "wanted") in {(row.kind, row.state) for row in connection.store.jobs.list_jobs()}
    run_full_sync(connection.store, connection.platform, connection.project.id, clock=time.time)

    known = connection.store.annotations.list_annotations(connection.project.id)
    assert {one.id for one in known} == new == old
    assert {one.result[0]["value"]["choices"][0] for one in known} == {"bad"}
    assert connection.votes() == set()
    assert len(connection.store.tasks.list_tasks(connection.project.id)) == 5
    assert connection.store.rebuild(check=True).ok


def test_what_we_wrote_is_recognised_by_webhook_and_by_polling(connection: Connection) -> None:
    """Written with a person's token, by a process that died before it could remember the number."""
    person, task = connection.site.people[1], connection.store.tasks.list_tasks(connection.project.id)[0].id
    write_final_answer(person, task, choice_result("good"), unique_id=own_unique_id("final"))

    (polled,) = [
        a
        for t, given in changed_tasks.poll_tasks(connection.site.admin, connection.project.id, "")
        for a in given
        if t.id == task
    ]
    connection.store.append(
        [events.event_from_annotation(polled, "poll", project=connection.project.id, seen_s=time.time())]
    )
    assert connection.votes() == set()
    connection.receive_webhooks()
    assert connection.votes() == set()
    assert [one.id for one in connection.store.annotations.list_annotations(connection.project.id)] == [polled.id]
    assert connection.store.annotations.list_annotators(connection.project.id) == [] or all(
        one.answers == 0 for one in connection.store.annotations.list_annotators(connection.project.id)
    )


def test_old_predictions_are_deleted_a_few_at_a_time_and_cause_no_flood(connection: Connection) -> None:
    connection.turn()
    connection.label(10)
    connection.turn()
    connection.label(6)
    connection.turn()
    admin, project = connection.site.admin, connection.project.id
    served = str(connection.project.body()["model_version"])
    old = {row["model_version"]: row["count"] for row in admin.model_versions(project)}

    waits = delete_stale_predictions(
        connection.store, connection.platform, project, lock_ttl_s=86_400.0, now_s=time.time()
    )
    time.sleep(1.1)
    first = delete_stale_predictions(connection.store, connection.platform, project, lock_ttl_s=1.0, now_s=time.time())

    assert len(old) > 1
    assert (waits.deleted, waits.waiting) == (0, sum(n for version, n in old.items() if version != served))
    assert first.deleted == min(25, waits.waiting)
    while delete_stale_predictions(
        connection.store, connection.platform, project, lock_ttl_s=1.0, now_s=time.time()
    ).more:
        pass
    assert [row["model_version"] for row in admin.model_versions(project)] == [served]
    assert connection.turn().collected == 0  # each deletion touches its task, which is news to nobody
