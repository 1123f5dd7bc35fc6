"""Connecting and disconnecting on a real Label Studio: nothing is left out, nothing is left behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.parsing import SECRET_HEADER
from ml_backend.labelstudio.projects import UNCERTAINTY, Connection, SettingsSnapshot, connect, disconnect
from ml_backend.labelstudio.queue_writer import QueueRow, reopen_task, write_queue_window
from tests.support.label_studio import Project, Site, StubBackend, choice_result, free_port

pytestmark = pytest.mark.e2e

SECRET = "a-secret-of-ours"


def join(project: Project, url: str, **options: Any) -> Connection:
    return connect(project.admin, project.id, backend_url=url, webhook_secret=SECRET, **options)


def window(project: Project, version: str) -> None:
    rows = [QueueRow(task, place, tuple(choice_result("good"))) for place, task in enumerate(reversed(project.tasks))]
    write_queue_window(project.admin, project.id, rows, version=version, head=2)


def awkward(site: Site, project: Project, old: str | None) -> None:
    """Give a project every setting that we change, and things of its own that must survive."""
    admin, tasks = site.admin, project.tasks
    admin.create_predictions(
        project.id,
        [{"task": task, "result": choice_result("bad"), "score": 0.4, "model_version": "imported"} for task in tasks],
    )
    admin.create_webhook(
        project.id,
        url="http://127.0.0.1:9/elsewhere",
        headers={"X-Theirs": "1"},
        send_for_all_actions=False,
        actions=["ANNOTATION_CREATED"],
    )
    admin.patch_project(
        project.id, maximum_annotations=3, sampling="Uniform sampling", evaluate_predictions_automatically=False
    )
    admin.patch_project(project.id, show_overlap_first=True, min_annotations_to_start_training=7)
    admin.patch_task(tasks[1], overlap=5)
    admin.patch_task(tasks[2], overlap=1)
    admin.patch_task(tasks[3], is_labeled=True)  # hidden by hand
    site.people[0].submit(tasks[4], choice_result("good"))
    site.people[1].submit(tasks[4], choice_result("bad"))
    site.people[0].submit(tasks[2], choice_result("bad"))
    site.people[0].submit(tasks[5], [], skip=True)
    if old is None:
        admin.patch_project(project.id, model_version="imported")
        admin.create_prediction(tasks[0], result=[], score=0.1, model_version="gone")
        admin.patch_project(project.id, model_version="gone")
        admin.delete_model_version(project.id, "gone")  # sets null
        admin.create_predictions(project.id, [])  # recounts
    else:
        admin.patch_project(project.id, model_version=old)


@pytest.fixture
def connected(project: Project, backend: StubBackend) -> tuple[Project, StubBackend, SettingsSnapshot]:
    settings_snapshot = join(project, backend.url).settings_snapshot
    assert settings_snapshot is not None
    return project, backend, settings_snapshot


def test_a_plain_project_is_the_same_after_as_before(project: Project, backend: StubBackend) -> None:
    before = project.everything()

    settings_snapshot = join(project, backend.url).settings_snapshot
    assert settings_snapshot is not None
    window(project, "m1+q1")
    window(project, "m2+q2")
    project.admin.create_prediction(project.tasks[0], result=[], score=0.2, model_version="m1")
    during = project.everything()
    notes = disconnect(project.admin, SettingsSnapshot.from_json(json.loads(json.dumps(settings_snapshot.to_json()))))

    assert during["project"]["model_version"] == "m2+q2"
    assert during["project"]["sampling"] == UNCERTAINTY
    assert notes == ()
    assert project.everything() == before


@pytest.mark.parametrize("old", ["imported", None])
def test_an_awkward_project_is_the_same_after_as_before(
    site: Site, project: Project, backend: StubBackend, old: str | None
) -> None:
    awkward(site, project, old)
    before = project.everything()

    settings_snapshot = join(project, backend.url, basic_auth=("hitl", "pw")).settings_snapshot
    assert settings_snapshot is not None
    window(project, "m1+q1")
    reopen_task(project.admin, project.tasks[4], 3)
    during = project.everything()
    disconnect(project.admin, settings_snapshot)
    once = project.everything()
    disconnect(project.admin, settings_snapshot)

    assert before["project"]["model_version"] == old
    assert during["project"]["maximum_annotations"] == 1
    assert during["overlaps"][project.tasks[3]][1]  # still hidden
    assert once == before
    assert project.everything() == before


def test_predictions_that_are_hidden_from_people_are_hidden_again(project: Project, backend: StubBackend) -> None:
    project.admin.patch_project(project.id, show_collab_predictions=False, evaluate_predictions_automatically=True)
    before = project.body()

    settings_snapshot = join(project, backend.url).settings_snapshot
    assert settings_snapshot is not None
    window(project, "m1+q1")
    during = project.body()
    disconnect(project.admin, settings_snapshot)

    assert during["show_collab_predictions"]
    assert not during["evaluate_predictions_automatically"]
    assert project.body() == before


def test_what_people_did_meanwhile_stays_and_counts(site: Site, project: Project, backend: StubBackend) -> None:
    project.admin.patch_project(project.id, maximum_annotations=2)
    settings_snapshot = join(project, backend.url).settings_snapshot
    assert settings_snapshot is not None
    window(project, "m1+q1")
    one, two = project.tasks[0], project.tasks[1]
    site.people[0].submit(one, choice_result("good"))
    site.people[0].submit(two, choice_result("good"))
    reopen_task(project.admin, two, 2)
    site.people[1].submit(two, choice_result("bad"))
    (new,) = project.admin.import_tasks(project.id, [{"data": {"text": "new"}}])

    disconnect(project.admin, settings_snapshot)

    overlaps = project.overlaps()
    assert overlaps[one] == (2, False)  # wants its second vote as before
    assert overlaps[two] == (2, True)
    assert overlaps[new] == (2, False)
    assert len(project.admin.annotations(two)) == 2
    assert set(overlaps) == {*project.tasks, new}


def test_a_reopened_task_of_a_single_vote_project_is_closed_again(
    site: Site, connected: tuple[Project, StubBackend, SettingsSnapshot]
) -> None:
    project, _, settings_snapshot = connected
    window(project, "m1+q1")
    site.people[0].submit(project.tasks[0], choice_result("good"))
    reopen_task(project.admin, project.tasks[0], 2)

    disconnect(project.admin, settings_snapshot)

    assert project.overlaps()[project.tasks[0]] == (1, True)


def test_a_dry_run_lists_every_change_and_makes_none(site: Site, project: Project, backend: StubBackend) -> None:
    awkward(site, project, "imported")
    before = project.everything()

    planned = join(project, backend.url, dry_run=True)
    unchanged = project.everything()
    done = join(project, backend.url)

    assert unchanged == before
    assert planned.settings_snapshot is None
    assert planned.changes == done.changes
    assert [change.what for change in planned.changes] == [
        "webhook",
        "ML backend",
        "sampling",
        "min_annotations_to_start_training",
        "maximum_annotations",
        "show_overlap_first",
        "overlap of every task",
    ]
    assert SECRET not in " ".join(map(str, planned.changes))


def test_connecting_twice_changes_nothing_more(connected: tuple[Project, StubBackend, SettingsSnapshot]) -> None:
    project, backend, settings_snapshot = connected
    window(project, "m1+q1")
    before = project.everything()

    again = join(project, backend.url, earlier=settings_snapshot)

    assert again.changes == ()
    assert again.settings_snapshot == settings_snapshot
    assert project.everything() == before


def test_the_only_webhook_is_ours_and_carries_the_secret(
    site: Site, connected: tuple[Project, StubBackend, SettingsSnapshot]
) -> None:
    project, backend, _ = connected
    site.people[0].submit(project.tasks[0], choice_result("good"))

    (hook,) = site.admin.webhooks(project.id)
    assert hook["url"] == f"{backend.url}/webhook"
    assert project.body()["model_version"] == ""
    ((headers, event),) = [pair for pair in backend.events if pair[1]["action"] == "ANNOTATION_CREATED"]
    assert headers[SECRET_HEADER] == SECRET
    assert event["annotation"]["completed_by"] == site.accounts[0].id


def test_an_emptied_webhook_is_repaired_by_connecting_again(
    site: Site, connected: tuple[Project, StubBackend, SettingsSnapshot]
) -> None:
    project, backend, settings_snapshot = connected
    (hook,) = site.admin.webhooks(project.id)
    site.admin.patch_webhook(hook["id"], url=hook["url"], actions=[], send_for_all_actions=False, headers={})

    join(project, backend.url, earlier=settings_snapshot)

    (now,) = site.admin.webhooks(project.id)
    assert now["send_for_all_actions"]
    assert now["headers"] == {SECRET_HEADER: SECRET}


def test_a_connect_that_fails_half_way_leaves_nothing_behind(project: Project) -> None:
    before = project.everything()
    kept: list[SettingsSnapshot] = []
    forgot: list[bool] = []

    with pytest.raises(LabelStudioError, match="cannot reach this service") as caught:
        join(project, f"http://127.0.0.1:{free_port()}", save=kept.append, forget=lambda: forgot.append(True))

    assert f"`hitl doctor {project.id}` shows the reason" in caught.value.hint
    assert "project was restored" in caught.value.hint
    assert project.everything() == before
    assert len(kept) == 1
    assert forgot == [True]


def test_a_connect_killed_half_way_is_finished_by_the_next(project: Project, backend: StubBackend) -> None:
    before = project.everything()
    kept: list[SettingsSnapshot] = []

    class Killed(Client):
        def patch_project(self, project: str, **fields: Any) -> dict[str, Any]:
            raise KeyboardInterrupt

    with Killed(project.admin.url, _token(project)) as killed, pytest.raises(KeyboardInterrupt):
        connect(killed, project.id, backend_url=backend.url, webhook_secret=SECRET, save=kept.append)
    join(project, backend.url, earlier=kept[0])
    connected = project.everything()
    disconnect(project.admin, kept[0])

    assert connected["project"]["sampling"] == UNCERTAINTY
    assert len(connected["webhooks"]) == len(connected["backends"]) == 1
    assert project.everything() == before


def test_a_host_without_a_dot_is_refused_before_anything_changes(project: Project) -> None:
    before = project.everything()

    with pytest.raises(LabelStudioError, match="without a dot: 'hitl'"):
        join(project, "http://hitl:9090")

    assert project.everything() == before


def test_what_a_lost_store_had_connected_is_removed_with_the_next(
    connected: tuple[Project, StubBackend, SettingsSnapshot],
) -> None:
    project, backend, _ = connected
    window(project, "m1+q1")

    again = join(project, backend.url)
    assert again.settings_snapshot is not None
    notes = disconnect(project.admin, SettingsSnapshot.from_json(again.settings_snapshot.to_json()))

    assert again.settings_snapshot.remains
    assert "earlier connection whose store is lost" in notes[0]
    assert project.admin.webhooks(project.id) == project.admin.backends(project.id) == []
    assert project.admin.model_versions(project.id) == []
    assert project.body()["model_version"] == ""


def test_a_version_that_somebody_deleted_meanwhile_is_reported(
    site: Site, project: Project, backend: StubBackend
) -> None:
    awkward(site, project, "imported")
    settings_snapshot = join(project, backend.url).settings_snapshot
    assert settings_snapshot is not None
    window(project, "m1+q1")
    project.admin.delete_model_version(project.id, "imported")

    notes = disconnect(project.admin, settings_snapshot)

    assert notes == ("model version 'imported' was deleted; model_version stays empty",)
    assert project.body()["model_version"] == ""


def _token(project: Project) -> str:
    return str(project.admin._api_key)
