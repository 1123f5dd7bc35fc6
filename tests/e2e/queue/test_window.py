"""The window on a real Label Studio: who is asked what in which order, what is shown, what is cleaned away."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.delete_predictions import delete_old_predictions
from ml_backend.labelstudio.queue_writer import queue_row, reopen_task, write_queue_window
from tests.e2e.queue.rows import GOOD, rows_of, shuffled, versions_per_task
from tests.support.label_studio import Project, Site, choice_result, sentiment

pytestmark = pytest.mark.e2e


def test_three_people_at_once_get_our_order(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    write_queue_window(site.admin, project.id, rows_of(order), version="m1+q1", head=4)
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
                person.submit(task, choice_result("good"), lead_time=1.0)
            rounds.append(taken)

    assert not any(person.legacy_token for person in site.people)
    left = order.copy()
    for taken in rounds:  # Label Studio may hand one task to two people who ask in the same instant, never a later one
        handed = sorted(set(taken), key=order.index)
        assert handed == left[: len(handed)]
        left = [task for task in left if task not in taken]


def test_a_new_window_changes_the_very_next_task(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    write_queue_window(site.admin, project.id, rows_of(order), version="m1+q1")
    ada, ben, _ = site.people
    first = ada.next_task(project.id)

    write_queue_window(site.admin, project.id, rows_of(order[::-1]), version="m2+q2")
    second = ben.next_task(project.id)

    assert first is not None
    assert first["id"] == order[0]
    assert second is not None
    assert second["id"] == order[-1]
    assert [row["model_version"] for row in second["predictions"]] == ["m2+q2"]


def test_the_order_holds_for_a_person_with_a_history_and_with_old_versions(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    for number in range(1, 4):
        turned = order[number:] + order[:number]
        write_queue_window(site.admin, project.id, rows_of(turned), version=f"m1+q{number}", head=2)
    got = []
    for _ in range(5):
        task = site.people[0].next_task(project.id)
        assert task is not None
        got.append(task["id"])
        site.people[0].submit(task["id"], choice_result("bad"))

    assert got == turned[:5]


def test_the_place_is_the_score_and_the_confidence_stands_on_the_region(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    write_queue_window(site.admin, project.id, rows_of(order), version="m1+q1", head=2)

    task = site.people[0].next_task(project.id)

    assert task is not None
    (prediction,) = task["predictions"]
    assert prediction["score"] == 0.0
    assert prediction["result"] == [{**choice_result("good")[0], "score": 0.9}]


def test_a_blind_task_is_served_empty(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    rows = [queue_row(task, place, GOOD, 0.9, sentiment(), blind=True) for place, task in enumerate(order)]
    write_queue_window(site.admin, project.id, rows, version="m1+q1", head=1)

    got = [person.next_task(project.id) for person in site.people]

    assert [task["id"] for task in got if task] == order[:3]
    assert [row["result"] for task in got if task for row in task["predictions"]] == [[], [], []]


def test_who_opened_a_task_three_windows_ago_submits_without_error(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    write_queue_window(site.admin, project.id, rows_of(order), version="m1+q1")
    opened = site.people[0].next_task(project.id)
    assert opened is not None
    (seen,) = opened["predictions"]

    for number in range(2, 5):
        write_queue_window(site.admin, project.id, rows_of(order[::-1]), version=f"m{number}+q{number}")
        delete_old_predictions(
            site.admin, project.id, is_our_version=lambda version: "+q" in version, keep=[f"m{number}+q{number}"]
        )
    saved = site.people[0].submit(opened["id"], choice_result("good"), lead_time=2.0, parent_prediction=seen["id"])

    assert saved["parent_prediction"] == seen["id"]
    kept = site.admin.prediction(seen["id"])
    assert kept is not None
    assert (kept["model_version"], kept["result"]) == ("m1+q1", [{**choice_result("good")[0], "score": 0.9}])


def test_what_cleaning_prevents_a_prediction_deleted_on_a_screen_fails_the_submit(site: Site, project: Project) -> None:
    write_queue_window(site.admin, project.id, rows_of(shuffled(project.tasks)), version="m1+q1")
    opened = site.people[0].next_task(project.id)
    assert opened is not None
    (seen,) = opened["predictions"]

    site.admin.delete_prediction(seen["id"])

    with pytest.raises(LabelStudioError, match="parent_prediction"):
        site.people[0].submit(opened["id"], choice_result("good"), parent_prediction=seen["id"])


def test_cleaning_takes_old_rows_of_done_tasks_first_and_all_once_no_lock_can_live(
    site: Site, project: Project
) -> None:
    order = shuffled(project.tasks)
    write_queue_window(site.admin, project.id, rows_of(order), version="m1+q1")
    site.people[0].submit(order[3], choice_result("good"))
    write_queue_window(site.admin, project.id, rows_of(order), version="m1+q2")

    def later(hours: float) -> Any:
        return delete_old_predictions(
            site.admin,
            project.id,
            is_our_version=lambda version: "+q" in version,
            keep=["m1+q2"],
            limit=8,
            clock=lambda: time.time() + 3600 * hours,
        )

    assert later(0).deleted == 0
    assert later(2).deleted == 1  # the one that is labelled
    assert later(25).deleted == 8  # in small batches
    assert later(25).deleted == 3
    assert {task for task, version in versions_per_task(project) if version == "m1+q2"} == set(project.tasks)


def test_votes_beyond_the_first_are_reached_by_reopening(site: Site, project: Project) -> None:
    order = shuffled(project.tasks)
    write_queue_window(site.admin, project.id, rows_of(order), version="m1+q1")
    ada, ben, cleo = site.people
    ada.submit(order[0], choice_result("good"))

    task = reopen_task(site.admin, order[0], 2)
    for_ada = ada.next_task(project.id)
    for_ben = ben.next_task(project.id)
    for_cleo = cleo.next_task(project.id)
    ben.submit(order[0], choice_result("bad"))

    assert (task.overlap, task.is_labeled) == (2, False)
    assert for_ada is not None
    assert for_ada["id"] == order[1]  # her own vote counts once
    assert for_ben is not None
    assert for_ben["id"] == order[0]
    assert for_cleo is not None
    assert for_cleo["id"] == order[2]  # the second vote is taken
    assert project.overlaps()[order[0]] == (2, True)
