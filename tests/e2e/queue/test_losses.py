"""The window on a real Label Studio: what a kill, a lost answer or a deleted task leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.queue_writer import QueueRow, write_queue_window
from tests.e2e.queue.rows import rows_of, shuffled, versions_per_task
from tests.support.label_studio import Project, Site, choice_result

pytestmark = pytest.mark.e2e


def test_a_killed_write_is_finished_without_a_second_row(site: Site, project: Project) -> None:
    rows = rows_of(shuffled(project.tasks))
    asked = iter([False, False, False, True])
    cut = write_queue_window(site.admin, project.id, rows, version="m1+q1", head=6, stop=lambda: next(asked))

    whole = write_queue_window(site.admin, project.id, rows, version="m1+q1", head=6)
    again = write_queue_window(site.admin, project.id, rows, version="m1+q1", head=6)

    assert (cut.complete, len(cut.predictions)) == (False, 3)
    assert whole.complete
    assert again == whole
    assert set(versions_per_task(project).values()) == {1}
    assert project.body()["model_version"] == "m1+q1"


class Lossy(Client):
    """A client whose answers get lost after Label Studio did the work."""

    def create_prediction(self, task: int, **fields: Any) -> dict[str, Any]:
        made = super().create_prediction(task, **fields)
        if fields["score"] == 0.0:
            raise LabelStudioError("the connection was dropped")
        return made

    def create_predictions(self, project: str, rows: Any) -> int:
        super().create_predictions(project, rows)
        raise LabelStudioError("time limit reached")


def test_an_answer_that_got_lost_doubles_nothing(site: Site, project: Project) -> None:
    with Lossy(site.url, site.process.admin.token) as lossy:
        written = write_queue_window(lossy, project.id, rows_of(shuffled(project.tasks)), version="m1+q1", head=2)

    assert written.complete
    assert not written.failed
    assert set(versions_per_task(project).values()) == {1}


class Garbling(Client):
    """A client that spoils one row of each bulk request, which Label Studio then drops without a word."""

    created: int = 0

    def create_predictions(self, project: str, rows: Any) -> int:
        self.created = super().create_predictions(project, [{**rows[0], "score": 1.7}, *rows[1:]])
        return self.created


def test_a_row_that_a_bulk_write_drops_is_noticed_and_written_again(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    with Garbling(site.url, site.process.admin.token) as garbling:
        written = write_queue_window(garbling, project.id, rows_of(order), version="m1+q1", head=2)
        dropped = len(order) - 2 - garbling.created

    assert dropped == 1
    assert set(written.predictions) == set(order)
    assert not written.failed


def test_a_label_that_the_config_lost_is_never_shown(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    stale = QueueRow(order[0], 0, ({**choice_result("good")[0], "value": {"choices": ["gone"]}},))

    written = write_queue_window(site.admin, project.id, [stale, *rows_of(order)[1:]], version="m1+q1")

    task = site.people[0].next_task(project.id)
    assert task is not None
    assert task["id"] == order[0]
    assert task["predictions"][0]["result"] == []
    assert list(written.failed) == [order[0]]
    assert "valid labels: ['bad', 'good']" in written.failed[order[0]].replace("['good', 'bad']", "['bad', 'good']")


def test_a_task_deleted_meanwhile_costs_only_itself(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    site.admin.delete_task(order[0])
    site.admin.delete_task(order[7])

    written = write_queue_window(site.admin, project.id, rows_of(order), version="m1+q1", head=3)

    assert set(written.failed) == {order[0], order[7]}
    assert set(written.predictions) == set(order) - set(written.failed)
    assert written.complete
