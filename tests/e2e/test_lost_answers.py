"""A real Label Studio that does the work and loses the answer: nothing is missing afterwards, and nothing is twice."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from feedback.ingest.full_sync import run_full_sync
from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter, ReviewWebhook
from feedback.labelling_platform.service_account import find_bot, make_bot
from feedback.project.connect import connect, disconnect
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.review_project_client import VERSION
from tests.support import stores
from tests.support.connected import settings_of
from tests.support.label_studio import Project, Site, StubBackend, run_checks
from tests.support.proof import size
from tests.support.proxy import Mode, Proxy
from tests.support.real_platform import RealLabelStudio
from tests.support.review_world import ADA, BEN, CLEO, DAN, World, policy_text

pytestmark = pytest.mark.e2e

HOOK = ReviewWebhook("http://127.0.0.1:9/webhook", {"X-Hitl-Secret": "ours"})


class LossyWorld(World):
    """A world whose loop reaches Label Studio through a proxy."""

    proxy: Proxy

    def review_projects(self) -> list[str]:
        assert isinstance(self.site, RealLabelStudio)
        rows = self.site.site.admin.projects()
        return [str(row["id"]) for row in rows if f"[hitl:{self.project}:" in str(row["description"])]

    def held(self) -> dict[str, Any]:
        """What Label Studio holds of ours."""
        assert isinstance(self.site, RealLabelStudio)
        admin, found = self.site.site.admin, dict[str, Any]()
        projects = self.review_projects()
        found["review projects"] = len(projects)
        found["webhooks"] = [len(admin.webhooks(project)) for project in projects]
        tasks = [task for project in projects for task in admin.each_task(project)]
        found["review tasks"] = Counter(task["data"]["text"] for task in tasks)
        shown = [(task["data"]["text"], row) for task in tasks for row in task["predictions"]]
        # scores tell due times, which two plays do not share; their order is the same
        places = sorted({row["score"] for _, row in shown})
        found["proposals"] = Counter((text, row["model_version"], places.index(row["score"])) for text, row in shown)
        found["served by"] = {admin.project(project)["model_version"] for project in projects}
        rows = admin.predictions(project=self.project)
        window = admin.project(self.project)["model_version"]
        found["queue rows"] = Counter(row["task"] for row in rows if row["model_version"] == window)
        found["finals"] = [self.site.written(task["id"]) for task in admin.each_task(self.project)]
        return found


@contextmanager
def lossy_world(site: Site, folder: Path) -> Iterator[LossyWorld]:
    with (
        Proxy(site.url) as proxy,
        closing(stores.fresh(folder / "hitl.sqlite3")) as store,
        Client(proxy.url, site.process.admin.token, sleep=lambda _seconds: None) as client,
    ):
        store.secrets.save_secret("draws", "the same draws in every run")
        real = RealLabelStudio(site, store, hook=HOOK)
        real.platform = LabelStudioAdapter(client, store, lambda: HOOK)
        try:
            world = LossyWorld(store, folder / "models", real, project=real.project)
            world.proxy = proxy
            yield world
        finally:
            real.close()


@pytest.fixture
def world(site: Site, tmp_path: Path) -> Iterator[LossyWorld]:
    with lossy_world(site, tmp_path) as made:
        yield made


def play(world: LossyWorld, *, turns: int) -> dict[str, Any]:
    """Two people differ over three tasks, reviewers decide two; return what Label Studio holds before and after."""
    world.use(policy_text(l2='protocol = "panel"\npanel = 2'), overlap=2)
    tasks = world.site.add("a1 apple red", "a2 saw old", "a3 plum big")

    def run() -> None:
        for _ in range(turns):
            world.turn()

    run()
    for person, label in ((ADA, "fruit"), (BEN, "tool")):
        for task in tasks:
            world.site.answer(task, label, person=person)
        run()
    before = world.held()
    for person in (CLEO, DAN):
        for _ in range(2):
            world.review("L2", "fix", "tool", person=person, reason="boundary")
    run()
    return {"before": before, "after": world.held()}


@pytest.mark.parametrize("seed", range(1, 1 + size(ci=1, full=8)))
def test_random_lost_answers_leave_the_same_state_as_none(
    site: Site, world: LossyWorld, tmp_path: Path, seed: int
) -> None:
    draw, lost = random.Random(seed), Counter[str]()

    def lose(method: str, path: str) -> Mode:
        if method == "GET" or "token" in path or draw.random() > 0.6:
            return "well"
        lost[method] += 1
        return draw.choice(["down", "locked", "500", "html"])

    (tmp_path / "whole").mkdir()
    with lossy_world(site, tmp_path / "whole") as other:
        whole = play(other, turns=3)
    world.proxy.lose = lose
    held = play(world, turns=8)

    assert lost["POST"] >= 4
    assert lost["PATCH"] >= 1
    for moment in ("before", "after"):
        for name in ("review projects", "webhooks", "review tasks", "proposals", "served by", "finals"):
            assert held[moment][name] == whole[moment][name], (moment, name)
        assert set(held[moment]["queue rows"].values()) <= {1}
    assert whole["before"]["review projects"] == 1
    assert sorted(whole["after"]["finals"]) == [0, 1, 1]


def test_review_tasks_that_label_studio_imported_without_predictions_get_them_at_once(world: LossyWorld) -> None:
    """As it does where its database was locked within an import: it tries again, without the predictions."""

    def without_predictions(method: str, path: str, body: bytes) -> bytes:
        if method != "POST" or not path.split("?")[0].endswith("/import"):
            return body
        return json.dumps([{"data": task["data"]} for task in json.loads(body)]).encode()

    world.proxy.change = without_predictions
    held = play(world, turns=3)["before"]

    assert {(version, score is None) for _text, version, score in held["proposals"]} == {(VERSION, False)}
    assert len(held["proposals"]) == 3
    assert held["served by"] == {VERSION}


def test_what_is_lost_later_is_completed_after_the_next_full_sync(world: LossyWorld) -> None:
    world.use(policy_text(), overlap=2)
    tasks = world.site.add("a1 apple red", "a2 saw old", "a3 plum big", "a4 pear big")
    world.turn()
    for person, label in ((ADA, "fruit"), (BEN, "tool")):
        for task in tasks[:2]:
            world.site.answer(task, label, person=person)
        world.turn()
    world.turn()
    world.turn()
    whole = world.held()
    assert isinstance(world.site, RealLabelStudio)
    admin, (review_project,) = world.site.site.admin, world.review_projects()
    first, second = (task["predictions"][0]["id"] for task in admin.each_task(review_project))
    admin.delete_prediction(first)
    admin.patch_prediction(second, score=None)
    admin.patch_project(review_project, sampling="Uniform sampling")
    window = admin.project(world.project)["model_version"]
    rows = {
        row["task"]: row["id"] for row in admin.predictions(project=world.project) if row["model_version"] == window
    }
    admin.delete_prediction(rows[tasks[2]])
    admin.patch_prediction(rows[tasks[3]], score=None)
    twin = admin.create_project(
        title="twin", label_config=admin.project(review_project)["label_config"],
        description=admin.project(review_project)["description"],
    )  # fmt: skip
    run_full_sync(world.store, world.site.platform, world.project, clock=world.site.seconds)
    notes = world.turn().notes
    held = world.held()
    found = {row.name: row.what for row in run_checks(admin, world.project, connected=False)}

    assert str(twin["id"]) in found["review project twice"]
    assert any("2 review tasks had lost" in note for note in notes)
    assert any(str(twin["id"]) in note and "are not used" in note for note in notes)
    assert admin.project(review_project)["sampling"] == "Uncertainty sampling"
    assert held["review projects"] == 2
    for name in ("review tasks", "proposals", "queue rows"):
        assert held[name] == whole[name], name
    scores = {row["task"]: row["score"] for row in admin.predictions(project=world.project) if row["task"] in rows}
    assert None not in scores.values()
    assert not any("had lost" in note for note in world.turn().notes)


def test_what_label_studio_creates_several_times_by_itself_is_there_once(world: LossyWorld, site: Site) -> None:
    """Where its SQLite is locked after an insert, it repeats the whole request, and only the last answer arrives."""

    def repeat(method: str, path: str, body: bytes) -> bytes:
        if method == "POST" and path in ("/api/projects/", "/api/webhooks/"):
            site.admin.send("POST", path.lstrip("/"), body=json.loads(body))
        return body

    world.proxy.change = repeat
    held = play(world, turns=3)["after"]

    assert (held["review projects"], held["webhooks"]) == (1, [1])
    assert sorted(held["finals"]) == [0, 1, 1]


def test_connecting_with_lost_answers_registers_everything_once(
    site: Site, project: Project, backend: StubBackend, tmp_path: Path
) -> None:
    lost = Counter[str]()

    def lose(method: str, path: str) -> Mode:
        """Each POST loses its first answer."""
        key = path.split("?")[0]
        if method != "POST" or key.endswith("/token/refresh/") or lost[key]:
            return "well"
        lost[key] += 1
        return "locked" if len(lost) % 2 else "down"

    with Proxy(site.url) as proxy, closing(stores.fresh(tmp_path / "hitl.sqlite3")) as store:
        proxy.lose = lose
        with Client(proxy.url, site.process.admin.token, sleep=lambda _seconds: None) as client:
            users = {row["id"] for row in site.admin.users()}
            settings = settings_of(site, backend)
            connect(settings, store, client, project.id, now_s=0.0)
            bots = [make_bot(store, client, proxy.url) for _ in range(2)]
            new = [row["email"] for row in site.admin.users() if row["id"] not in users]
            webhooks, backends = site.admin.webhooks(project.id), site.admin.backends(project.id)
            disconnect(store, client, project.id)

    assert {"/api/webhooks/", "/api/ml/", "/user/signup/"} <= set(lost)
    assert ([row["url"] for row in webhooks], [row["url"] for row in backends]) == (
        [f"{backend.url}/webhook"],
        [backend.url],
    )
    assert bots[1] is not None
    assert bots[1] == find_bot(store, proxy.url)
    assert len(new) == 2  # that of `connect`, which reached Label Studio directly, and that of the proxy
