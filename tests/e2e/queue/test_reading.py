"""What changed on a real Label Studio is read back: in pages, since a time, or all of it."""

from __future__ import annotations

import pytest

from ml_backend.labelstudio.changed_tasks import poll_tasks
from tests.support.label_studio import SENTIMENT, Project, Site, choice_result, delete_annotation, patch_annotation

pytestmark = pytest.mark.e2e


def test_polling_brings_each_change_since_a_time_and_nothing_older(site: Site, project: Project) -> None:
    ada, ben, _ = site.people
    ada.submit(project.tasks[0], choice_result("good"))
    since = site.admin.task(project.tasks[0])["updated_at"]
    skipped = ben.submit(project.tasks[4], [], skip=True)
    changed = ada.submit(project.tasks[2], choice_result("bad"), lead_time=3.5)
    patch_annotation(ada, changed["id"], result=choice_result("good"))

    found = {task.id: annotations for task, annotations in poll_tasks(site.admin, project.id, since, page=2)}

    assert set(found) == {project.tasks[0], project.tasks[4], project.tasks[2]}
    (skip,) = found[project.tasks[4]]
    assert (skip.id, skip.was_cancelled, skip.person) == (skipped["id"], True, site.accounts[1].id)
    (answer,) = found[project.tasks[2]]
    assert answer.result[0]["value"] == {"choices": ["good"]}
    assert answer.lead_time_s == 3.5


def test_a_sweep_sees_all_that_is_and_only_that(site: Site, project: Project) -> None:
    kept = site.people[0].submit(project.tasks[1], choice_result("good"))
    gone = site.people[1].submit(project.tasks[3], choice_result("bad"))
    delete_annotation(site.admin, gone["id"])
    site.admin.delete_task(project.tasks[5])

    found = {task.id: annotations for task, annotations in poll_tasks(site.admin, project.id, "", page=4)}

    assert set(found) == set(project.tasks) - {project.tasks[5]}
    assert [annotation.id for annotations in found.values() for annotation in annotations] == [kept["id"]]


def test_polling_moves_on_when_a_whole_page_has_one_time(site: Site) -> None:
    with site.project(7, label_config=SENTIMENT) as project:
        times = {task.updated_at for task, _ in poll_tasks(site.admin, project.id, "")}
        found = [task.id for task, _ in poll_tasks(site.admin, project.id, min(times), page=1)]

    assert sorted(set(found)) == sorted(project.tasks)
