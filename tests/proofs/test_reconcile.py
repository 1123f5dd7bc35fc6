"""Proof 3: our receiver is down for half of what people do; one sweep later the store is what Label Studio exports."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from feedback.ingest.full_sync import run_full_sync
from feedback.ingest.polling import count_missed_changes
from feedback.labelling_platform import restore
from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
from feedback.project import connect
from feedback.settings import Settings, read_settings
from feedback.store import Store, open_store
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.parsing import utc
from tests.support.label_studio import Project, Site, choice_result, delete_annotation, patch_annotation
from tests.support.proof import Web, size, whole

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(3600)]


class Connected:
    """A project on a real Label Studio, connected to our web half, which can be taken down and up."""

    def __init__(self, site: Site, project: Project, web: Web, settings: Settings, store: Store, bot: Client) -> None:
        self.site, self.project, self.web, self.settings, self.store, self.bot = (
            site,
            project,
            web,
            settings,
            store,
            bot,
        )

    def run_full_sync(self) -> int:
        done = run_full_sync(self.store, LabelStudioAdapter(self.bot, self.store), self.project.id, clock=lambda: 1.0e9)
        assert done.complete
        return done.missed


@contextmanager
def connected(site: Site, folder: Path, *, n_tasks: int) -> Iterator[Connected]:
    env = {
        "HITL_DATA_DIR": str(folder / "data"),
        "HITL_WEB_WORKERS": "1",
        "LABEL_STUDIO_URL": site.url,
        "LABEL_STUDIO_API_KEY": site.process.admin.token,
    }
    with site.project(n_tasks) as project, Web(env=env, log=folder / "web.log") as web:
        settings = read_settings(web.env | {"HITL_DATA_DIR": env["HITL_DATA_DIR"]})
        store = open_store(settings.store_url)
        try:
            connect.connect(settings, store, site.admin, project.id, now_s=0.0)
            yield Connected(site, project, web, settings, store, site.admin)
        finally:
            connect.disconnect(store, site.admin, project.id)
            store.close()


def test_half_of_everything_is_lost_and_one_sweep_makes_it_good(site: Site, tmp_path: Path) -> None:
    actions = size(ci=60, full=500)
    with connected(site, tmp_path, n_tasks=max(20, actions // 4)) as one:
        before = count_missed_changes(one.store, one.project.id)
        chance = random.Random(3)
        done = {"up": 0, "down": 0}
        for number in range(actions):
            quarter = 4 * number // actions
            down = quarter % 2 == 1
            if down and one.web.running:
                one.web.kill()
            elif not down and not one.web.running:
                one.web.start()
            _act(one, chance)
            done["down" if down else "up"] += 1
        if not one.web.running:
            one.web.start()

        found = one.run_full_sync()

        assert min(done.values()) >= actions // 2 - 1
        assert found > 0, "nothing was lost, so nothing is proven"
        assert _held(one.store, one.project.id) == _exported(site, one.project)
        whole(one.store)
        assert one.run_full_sync() == 0
        assert count_missed_changes(one.store, one.project.id) - before == found
        brought = {
            row.source for task in one.project.tasks for row in one.store.events.list_task_history(one.project.id, task)
        }
        assert {"webhook", "sweep"} <= brought


def test_a_deleted_answer_is_restored_as_its_authors_on_a_real_label_studio(site: Site, tmp_path: Path) -> None:
    with connected(site, tmp_path, n_tasks=2) as one:
        task, project = one.project.tasks[0], one.project.id
        annotation = site.people[0].submit(task, choice_result("good"), lead_time=4.0)
        delete_annotation(site.people[0], annotation["id"])
        one.store.ingest_inbox()
        (first,) = [row for row in one.store.events.list_task_history(project, task) if row.action == "saved"]
        assert one.store.votes.list_votes(project) == []

        made = restore.restore(one.store, one.bot, project, first.seq)

        (shown,) = site.admin.annotations(task)
        assert (shown["id"], shown["completed_by"]) == (made, site.accounts[0].id)
        one.run_full_sync()
        (vote,) = one.store.votes.list_votes(project)
        assert (vote.person, vote.answer.value, vote.annotation) == (site.accounts[0].id, ("good",), made)
        assert one.run_full_sync() == 0


def _act(one: Connected, chance: random.Random) -> None:
    """One thing that somebody does, of all that change what the store must hold."""
    person = chance.choice(one.site.people)
    shown = _export(one.site, one.project)
    tasks = [task["id"] for task in shown]
    standing = [row for task in shown for row in task["annotations"] if not row["was_cancelled"]]
    what = chance.choices(
        ["submit", "skip", "update", "delete", "draft", "delete task", "import", "rename"], [40, 10, 20, 12, 3, 3, 6, 3]
    )[0]
    label = chance.choice(["good", "bad"])
    if what in ("submit", "skip") or not standing:
        person.submit(
            chance.choice(tasks), [] if what == "skip" else choice_result(label), skip=what == "skip", lead_time=1.5
        )
    elif what == "update":
        patch_annotation(person, chance.choice(standing)["id"], result=choice_result(label), lead_time=2.0)
    elif what == "delete":
        delete_annotation(person, chance.choice(standing)["id"])
    elif what == "draft":  # an annotation vanishes, and nobody is told
        person.send("POST", f"api/annotations/{chance.choice(standing)['id']}/convert-to-draft")
    elif what == "delete task":
        one.site.admin.delete_task(chance.choice(tasks))
    elif what == "import":  # with an annotation, of which no event tells
        imported = {"data": {"text": f"new {chance.random()}"}, "annotations": [{"result": choice_result(label)}]}
        one.site.admin.import_tasks(one.project.id, [imported])
    else:
        one.site.admin.patch_project(one.project.id, title=f"title {chance.random():.4f}")


def _export(site: Site, project: Project) -> list[dict[str, Any]]:
    query = {"exportType": "JSON", "download_all_tasks": "true"}
    return list(site.admin.send("GET", f"api/projects/{project.id}/export", query=query))


def _exported(site: Site, project: Project) -> dict[str, Any]:
    tasks = _export(site, project)
    return {
        "title": project.body()["title"],
        "tasks": {task["id"]: task["data"]["text"] for task in tasks},
        "annotations": {
            row["id"]: (task["id"], row["completed_by"], row["was_cancelled"], row["result"], utc(row["updated_at"]))
            for task in tasks
            for row in task["annotations"]
        },
    }


def _held(store: Store, project: str) -> dict[str, Any]:
    row = store.projects.get_project(project)
    return {
        "title": row.title if row else None,
        "tasks": {task.id: task.data["text"] for task in store.tasks.list_tasks(project)},
        "annotations": {
            one.id: (one.task, one.person, one.was_cancelled, list(one.result), one.updated_at)
            for one in store.annotations.list_annotations(project)
        },
    }
