"""The same Label Studio with its memory-efficient bulk writes switched on: quicker, and with manners of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ml_backend.labelstudio.projects import connect, disconnect
from ml_backend.labelstudio.queue_writer import QueueRow, write_queue_window
from tests.support.label_studio import Project, Site, StubBackend, choice_result, run_checks

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def fast(site: Site) -> Iterator[Site]:
    _restart(site, fast_bulk=True)
    yield site
    _restart(site, fast_bulk=False)


def _restart(site: Site, *, fast_bulk: bool) -> None:
    site.process.stop()
    site.process.fast_bulk = fast_bulk
    site.process.start()


def rows(project: Project, label: str = "good") -> list[QueueRow]:
    return [QueueRow(task, place, tuple(choice_result(label))) for place, task in enumerate(project.tasks)]


def test_nothing_is_slow_any_more(fast: Site, project: Project) -> None:
    assert run_checks(fast.admin, project.id, connected=False) == []


def test_a_task_deleted_meanwhile_costs_only_itself(fast: Site, project: Project) -> None:
    fast.admin.delete_task(project.tasks[0])
    fast.admin.delete_task(project.tasks[7])

    written = write_queue_window(fast.admin, project.id, rows(project), version="m1+q1", head=3)

    assert set(written.failed) == {project.tasks[0], project.tasks[7]}
    assert set(written.predictions) == set(project.tasks) - set(written.failed)


def test_a_label_that_label_studio_would_no_longer_check_is_still_never_shown(fast: Site, project: Project) -> None:
    written = write_queue_window(fast.admin, project.id, rows(project, "gone"), version="m1+q1", head=3)

    assert set(written.failed) == set(project.tasks)
    assert [row["result"] for row in fast.admin.predictions(project=project.id)] == [[]] * len(project.tasks)


def test_counts_are_right_after_disconnecting_though_label_studio_forgot_to_lower_them(
    fast: Site, project: Project, backend: StubBackend
) -> None:
    imported = [{"task": task, "result": [], "score": 0.5, "model_version": "theirs"} for task in project.tasks[:4]]
    fast.admin.create_predictions(project.id, imported)
    before = project.everything()
    with fast.project(2) as other:  # deleting any project makes Label Studio forget
        fast.admin.create_prediction(other.tasks[0], result=[], score=0.1, model_version="x")

    settings_snapshot = connect(
        fast.admin, project.id, backend_url=backend.url, webhook_secret="secret"
    ).settings_snapshot
    assert settings_snapshot is not None
    write_queue_window(fast.admin, project.id, rows(project), version="m1+q1", head=3)
    disconnect(fast.admin, settings_snapshot)

    assert project.everything() == before
