"""The places of a window: distinct, in the order in which tasks were planned, whatever comes late."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.queue.planner import _places_before
from ml_backend.labelstudio.queue_writer import PLACES, QueueRow
from tests.support.routed_project import RoutedProject, rules

URGENT = "when = { data.p = 'urgent' }\nto = 'L1'\npriority = 'urgent'"
HIGH = "when = { data.p = 'high' }\nto = 'L1'\npriority = 'high'"


def places(project: RoutedProject) -> dict[int, float]:
    rows = project.studio.rows[project.studio.version]
    return {task: row.place for task, row in rows.items()}


def assert_distinct(project: RoutedProject) -> None:
    found = places(project).values()
    assert len(set(found)) == len(found)
    assert all(0.0 <= place < PLACES for place in found)


def test_urgent_tasks_that_come_late_have_a_place_each_in_the_order_in_which_they_came(routed_project: RoutedProject):
    routed_project.use(rules(URGENT))
    for number in range(6):
        routed_project.add(f"t{number}")
    first = routed_project.turn()
    batches = []
    for batch in range(3):
        batches.append({routed_project.add(f"now {batch} {number}", p="urgent") for number in range(2)})
        routed_project.turn()

    assert_distinct(routed_project)
    order = routed_project.order()
    assert [set(order[at : at + 2]) for at in (0, 2, 4)] == batches
    assert routed_project.turn().window == first.window  # the version grew


def test_a_late_high_task_comes_after_every_urgent_one(routed_project: RoutedProject):
    routed_project.use(rules(URGENT, HIGH))
    for number in range(4):
        routed_project.add(f"t{number}")
    routed_project.turn()
    kinds = ["urgent", "high", "urgent", "high", "urgent"]
    for number, kind in enumerate(kinds):
        routed_project.add(f"{kind} {number}", p=kind)
        routed_project.turn()

    assert_distinct(routed_project)
    shown = [routed_project.studio.tasks[task].data.get("p", "") for task in routed_project.order()]
    assert shown == ["urgent"] * 3 + ["high"] * 2 + [""] * 4


def test_a_window_takes_in_every_open_task_while_people_see_imported_predictions(routed_project: RoutedProject):
    """Label Studio shows nothing on a task outside the window."""
    routed_project.use(rules())
    for number in range(35):
        routed_project.add(f"t{number}")
    routed_project.turn()
    before = len(places(routed_project))
    store = routed_project.store
    rows = [
        replace(row, prediction=1_000 + row.task, imported="extractor-v1", is_answer_ours=False)
        for row in store.windows.get_window("7")
    ]
    store.windows.save_window("7", rows)
    for _ in range(4):
        routed_project.turn()

    assert before == 10
    assert len(places(routed_project)) == 35
    assert routed_project.turn().asked == ""
    assert_distinct(routed_project)


STEPS = st.lists(st.sampled_from(["urgent", "high", "", "answer", "differ"]), min_size=4, max_size=14)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_comes_no_two_tasks_share_a_place(routed_project: RoutedProject, steps: list[str]):
    routed_project.use(rules(URGENT, HIGH, "when = { data.p = '' }\nto = 'L1'\noverlap = 2"))
    for number, step in enumerate(steps):
        if step in ("answer", "differ"):
            person = 1 if step == "answer" else 2
            task = routed_project.studio.next_task(person) if routed_project.studio.version else None
            if task is not None:
                routed_project.studio.answer(task, "tool" if number % 2 else "fruit", person=person)
        else:
            routed_project.add(f"{number} {step}", p=step)
        routed_project.turn()
        if routed_project.studio.version:
            assert_distinct(routed_project)


def test_thousands_of_arrivals_one_by_one_keep_their_order_as_label_studio_stores_it():
    taken = [0.0, 100.0]
    came = [_places_before(100.0, taken, 1)[0] for _ in range(10_000)]
    scores = [QueueRow(1, place).score for place in came]

    assert all(before < after for before, after in pairwise(scores))
    assert came[-1] < 100.0
    assert min((after - before) / after for before, after in pairwise(scores)) > 1e-12  # doubles tell 1e-16 apart


@pytest.mark.slow
def test_a_large_window_is_not_planned_anew_in_every_turn(routed_project: RoutedProject):
    policy = rules(URGENT)
    routed_project.use(policy.model_copy(update={"queue": policy.queue.model_copy(update={"window": 9_500})}))
    for number in range(9_500):
        routed_project.add(f"t{number}")
    first = routed_project.turn()

    assert routed_project.turn().asked == ""
    assert routed_project.turn().window == first.window
