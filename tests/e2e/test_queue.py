"""The window on a real Label Studio: order, what is shown, and what a kill or a lost answer leaves behind."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio import queue
from ml_backend.labelstudio.cleaning import clean
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.projects import UNCERTAINTY
from ml_backend.labelstudio.queue import (
    QueueRow,
    held,
    poll,
    queue_row,
    reopen,
    shown,
    sweep,
    write_window,
)
from ml_backend.records import Answer
from tests.support.label_studio import SENTIMENT, Project, Site, says, sentiment

pytestmark = pytest.mark.e2e

GOOD = Answer("choices", ("good",))


@pytest.fixture
def project(site: Site) -> Iterator[Project]:
    with site.project(12, sampling=UNCERTAINTY) as made:
        yield made


def shuffled(tasks: tuple[int, ...]) -> list[int]:
    """An order that is neither that of the ids nor its reverse."""
    return [tasks[(5 * place + 3) % len(tasks)] for place in range(len(tasks))]


def rows_of(tasks: list[int]) -> list[QueueRow]:
    return [queue_row(task, place, GOOD, 0.9, sentiment()) for place, task in enumerate(tasks)]


def versions_per_task(project: Project) -> Counter[tuple[int, str]]:
    return Counter((row["task"], row["model_version"]) for row in project.admin.predictions(project=project.id))


def test_three_people_at_once_are_handed_our_order(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    write_window(site.admin, project.id, rows_of(order), version="m1+q1", head=4)
    barrier = Barrier(3)
    rounds: list[list[int]] = []

    def take(person: Client) -> int:
        barrier.wait()
        task = person.next_task(project.id)
        assert task is not None
        return int(task["id"])

    with ThreadPoolExecutor(3) as pool:
        for _ in range(4):
            taken = list(pool.map(take, site.people))
            for person, task in zip(site.people, taken, strict=True):
                person.submit(task, says("good"), lead_time=1.0)
            rounds.append(taken)

    assert not any(person.legacy_token for person in site.people)
    left = order.copy()
    for taken in rounds:  # Label Studio may hand one task to two people who ask in the same instant, never a later one
        handed = sorted(set(taken), key=order.index)
        assert handed == left[: len(handed)]
        left = [task for task in left if task not in taken]


def test_a_new_window_changes_the_very_next_task(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    write_window(site.admin, project.id, rows_of(order), version="m1+q1")
    ada, ben, _ = site.people
    first = ada.next_task(project.id)

    write_window(site.admin, project.id, rows_of(order[::-1]), version="m2+q2")
    second = ben.next_task(project.id)

    assert first is not None
    assert first["id"] == order[0]
    assert second is not None
    assert second["id"] == order[-1]
    assert [row["model_version"] for row in second["predictions"]] == ["m2+q2"]


def test_the_order_holds_for_a_person_with_a_history_beside_old_versions(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    for number in range(1, 4):
        turned = order[number:] + order[:number]
        write_window(site.admin, project.id, rows_of(turned), version=f"m1+q{number}", head=2)
    got = []
    for _ in range(5):
        task = site.people[0].next_task(project.id)
        assert task is not None
        got.append(task["id"])
        site.people[0].submit(task["id"], says("bad"))

    assert got == turned[:5]


def test_the_place_is_the_score_and_the_confidence_stands_on_the_region(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    write_window(site.admin, project.id, rows_of(order), version="m1+q1", head=2)

    task = site.people[0].next_task(project.id)

    assert task is not None
    (prediction,) = task["predictions"]
    assert prediction["score"] == 0.0
    assert prediction["result"] == [{**says("good")[0], "score": 0.9}]


def test_a_blind_task_is_served_empty(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    rows = [queue_row(task, place, GOOD, 0.9, sentiment(), blind=True) for place, task in enumerate(order)]
    write_window(site.admin, project.id, rows, version="m1+q1", head=1)

    got = [person.next_task(project.id) for person in site.people]

    assert [task["id"] for task in got if task] == order[:3]
    assert [row["result"] for task in got if task for row in task["predictions"]] == [[], [], []]


def test_who_opened_a_task_three_windows_ago_submits_without_error(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    write_window(site.admin, project.id, rows_of(order), version="m1+q1")
    opened = site.people[0].next_task(project.id)
    assert opened is not None
    (seen,) = opened["predictions"]

    for number in range(2, 5):
        write_window(site.admin, project.id, rows_of(order[::-1]), version=f"m{number}+q{number}")
        clean(site.admin, project.id, ours=lambda version: "+q" in version, keep=[f"m{number}+q{number}"])
    saved = site.people[0].submit(opened["id"], says("good"), lead_time=2.0, parent_prediction=seen["id"])

    assert saved["parent_prediction"] == seen["id"]
    assert shown(site.admin, seen["id"]) == ("m1+q1", [{**says("good")[0], "score": 0.9}])


def test_what_cleaning_prevents_a_prediction_deleted_on_a_screen_fails_the_submit(site: Site, project: Project) -> None:
    write_window(site.admin, project.id, rows_of(shuffled(project.tasks)), version="m1+q1")
    opened = site.people[0].next_task(project.id)
    assert opened is not None
    (seen,) = opened["predictions"]

    site.admin.delete_prediction(seen["id"])

    with pytest.raises(LabelStudioError, match="parent_prediction"):
        site.people[0].submit(opened["id"], says("good"), parent_prediction=seen["id"])


def test_cleaning_takes_old_rows_of_done_tasks_first_and_all_once_no_lock_can_live(
    site: Site, project: Project
) -> None:
    order = shuffled(project.tasks)
    write_window(site.admin, project.id, rows_of(order), version="m1+q1")
    site.people[0].submit(order[3], says("good"))
    write_window(site.admin, project.id, rows_of(order), version="m1+q2")

    def later(hours: float) -> Any:
        return clean(
            site.admin,
            project.id,
            ours=lambda version: "+q" in version,
            keep=["m1+q2"],
            limit=8,
            clock=lambda: time.time() + 3600 * hours,
        )

    assert later(0).deleted == 0
    assert later(2).deleted == 1  # the one that is labelled
    assert later(25).deleted == 8  # in small batches
    assert later(25).deleted == 3
    assert set(held(site.admin, project.id, "m1+q2")) == set(project.tasks)


def test_a_killed_write_is_finished_without_a_second_row(site: Site, project: Project) -> None:
    rows = rows_of(shuffled(project.tasks))
    asked = iter([False, False, False, True])
    cut = write_window(site.admin, project.id, rows, version="m1+q1", head=6, stop=lambda: next(asked))

    whole = write_window(site.admin, project.id, rows, version="m1+q1", head=6)
    again = write_window(site.admin, project.id, rows, version="m1+q1", head=6)

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
        written = write_window(lossy, project.id, rows_of(shuffled(project.tasks)), version="m1+q1", head=2)

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
        written = write_window(garbling, project.id, rows_of(order), version="m1+q1", head=2)
        dropped = len(order) - 2 - garbling.created

    assert dropped == 1
    assert set(written.predictions) == set(order)
    assert not written.failed


def test_a_label_that_the_config_lost_is_never_shown(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    stale = QueueRow(order[0], 0, ({**says("good")[0], "value": {"choices": ["gone"]}},))

    written = write_window(site.admin, project.id, [stale, *rows_of(order)[1:]], version="m1+q1")

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

    written = write_window(site.admin, project.id, rows_of(order), version="m1+q1", head=3)

    assert set(written.failed) == {order[0], order[7]}
    assert set(written.predictions) == set(order) - set(written.failed)
    assert written.complete


def test_a_project_with_more_predictions_than_one_answer_should_hold_is_read_in_pages(
    site: Site, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 10):  # the filter of Label Studio finds m1+q10 when asked for m1+q1
        write_window(site.admin, project.id, rows_of(list(project.tasks[:4])), version=f"m1+q{number}")
    plain = held(site.admin, project.id, "m1+q1")

    monkeypatch.setattr(queue, "_LISTABLE", 0)

    assert len(plain) == 4
    assert held(site.admin, project.id, "m1+q1") == plain


def test_votes_beyond_the_first_are_reached_by_reopening(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    write_window(site.admin, project.id, rows_of(order), version="m1+q1")
    ada, ben, cleo = site.people
    ada.submit(order[0], says("good"))

    task = reopen(site.admin, order[0], 2)
    for_ada = ada.next_task(project.id)
    for_ben = ben.next_task(project.id)
    for_cleo = cleo.next_task(project.id)
    ben.submit(order[0], says("bad"))

    assert (task.overlap, task.is_labeled) == (2, False)
    assert for_ada is not None
    assert for_ada["id"] == order[1]  # her own vote counts once
    assert for_ben is not None
    assert for_ben["id"] == order[0]
    assert for_cleo is not None
    assert for_cleo["id"] == order[2]  # the second vote is taken
    assert project.overlaps()[order[0]] == (2, True)


def test_polling_brings_each_change_since_a_time_and_nothing_older(site: Site, project: Project) -> None:
    ada, ben, _ = site.people
    ada.submit(project.tasks[0], says("good"))
    since = site.admin.task(project.tasks[0])["updated_at"]
    skipped = ben.submit(project.tasks[4], [], skip=True)
    changed = ada.submit(project.tasks[2], says("bad"), lead_time=3.5)
    ada.patch_annotation(changed["id"], result=says("good"))

    found = {task.id: annotations for task, annotations in poll(site.admin, project.id, since, page=2)}

    assert set(found) == {project.tasks[0], project.tasks[4], project.tasks[2]}
    (skip,) = found[project.tasks[4]]
    assert (skip.id, skip.was_cancelled, skip.person) == (skipped["id"], True, site.accounts[1].id)
    (answer,) = found[project.tasks[2]]
    assert answer.result[0]["value"] == {"choices": ["good"]}
    assert answer.lead_time_s == 3.5


def test_a_sweep_sees_all_that_is_and_only_that(site: Site, project: Project) -> None:
    kept = site.people[0].submit(project.tasks[1], says("good"))
    gone = site.people[1].submit(project.tasks[3], says("bad"))
    site.admin.delete_annotation(gone["id"])
    site.admin.delete_task(project.tasks[5])

    found = {task.id: annotations for task, annotations in sweep(site.admin, project.id, page=4)}

    assert set(found) == set(project.tasks) - {project.tasks[5]}
    assert [annotation.id for annotations in found.values() for annotation in annotations] == [kept["id"]]


def test_polling_moves_on_when_a_whole_page_has_one_time(site: Site) -> None:
    with site.project(7, label_config=SENTIMENT) as project:
        times = {task.updated_at for task, _ in sweep(site.admin, project.id)}
        found = [task.id for task, _ in poll(site.admin, project.id, min(times), page=1)]

    assert sorted(set(found)) == sorted(project.tasks)
