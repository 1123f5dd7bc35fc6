"""The promise of sweeps, as a property: numbers are given again, webhooks are lost or late; a sweep makes it good."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.ingest.full_sync import run_full_sync
from feedback.store import Store, open_store
from feedback.store.log import events
from feedback.store.log.events import Event
from ml_backend.records import Task
from tests.support.fake_pages import FakePages, known, truth
from tests.support.hypothesis_profiles import examples
from tests.support.make_events import annotation_event, at, deletion_event, make_annotation, task, task_events


class History:
    """What happens in a Label Studio that gives numbers again, and all that its webhooks tell of it."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.pages = FakePages([], [], project)
        self.reported: list[events.Event] = []
        self._seconds = count(1)

    def do(self, step: tuple[str, int, int]) -> None:
        kind, task_id, annotation_id = step
        second = next(self._seconds)
        if kind == "import" and task_id not in self.pages.tasks:
            made = task(task_id, f"text {second}", second=second, created_at=at(second), project=self.project)
            self.pages.tasks[task_id] = made
            self.reported += task_events(made)
        elif kind == "answer" and task_id in self.pages.tasks and annotation_id not in self.pages.annotations:
            annotation = make_annotation(
                annotation_id, task=task_id, second=second, created_at=at(second), project=self.project
            )
            self.pages.annotations[annotation_id] = annotation
            self.reported.append(events.event_from_annotation(annotation, "webhook"))
        elif kind == "delete" and task_id in self.pages.tasks:
            del self.pages.tasks[task_id]
            mine = [annotation.id for annotation in self.pages.annotations.values() if annotation.task == task_id]
            for number in mine:
                del self.pages.annotations[number]
            self.reported.append(deletion_event(task_id, entity="task", project=self.project))
        elif kind == "withdraw" and annotation_id in self.pages.annotations:
            del self.pages.annotations[annotation_id]
            self.reported.append(deletion_event(annotation_id, project=self.project))


_steps = st.lists(
    st.tuples(st.sampled_from(["import", "answer", "delete", "withdraw"]), st.integers(1, 2), st.integers(1, 2)),
    max_size=14,
)


class Moving:
    """A store whose clock a test moves; each history is told to it as a project of its own."""

    def __init__(self, path: Path) -> None:
        self.now_s, self.projects = 1000.0, count(1)
        self.store = open_store(f"sqlite:///{path}", durability="normal", clock=lambda: self.now_s)

    def deliver(self, arrived: Iterable[Event]) -> None:
        """Append events one after another; then a minute goes by."""
        for event in arrived:
            self.now_s += 1
            self.store.append([event])
        self.now_s += 60


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moving]:
    made = Moving(tmp_path_factory.mktemp("lives") / "store.db")
    yield made
    made.store.close()


@settings(max_examples=examples(100), deadline=None)
@given(_steps, st.randoms(use_true_random=False))
def test_a_sweep_repairs_lost_or_late_events_of_several_lifetimes(
    moving: Moving, steps: list[tuple[str, int, int]], chance: random.Random
):
    project = str(next(moving.projects))
    world = History(project)
    for step in steps:
        world.do(step)
    arrived = [event for event in world.reported if chance.random() < 0.7]
    chance.shuffle(arrived)
    moving.deliver(arrived)

    run_full_sync(moving.store, world.pages, project, clock=lambda: moving.now_s, size=1)

    assert known(moving.store, project) == truth(world.pages)
    assert moving.store.verify(project)["projection"] == "ok"


_times = st.sampled_from([0, 1, 5, 40, "9999-12-31T23:59:59.999999Z"])
_forged = st.lists(
    st.tuples(st.sampled_from(["annotation", "task"]), st.integers(1, 3), _times, _times, st.integers(1, 2)), max_size=6
)


def _forgery(project: str, entity: str, number: int, created: int | str, updated: int | str, task_id: int) -> Event:
    """What no Label Studio sent: any answer or data, at any time, in any lifetime."""
    created_at, updated_at = (time if isinstance(time, str) else at(time) for time in (created, updated))
    if entity == "task":
        data = {"text": "forged"}
        return events.event_from_task(
            Task(number, data, project, created_at=created_at, updated_at=updated_at), "webhook"
        )
    return annotation_event(
        number, "forged", task=task_id, person=9, project=project, created_at=created_at, updated_at=updated_at
    )


def _shown(store: Store, project: str) -> tuple[dict[int, object], dict[int, object]]:
    tasks = {task.id: (task.data["text"], task.created_at, task.updated_at) for task in store.tasks.list_tasks(project)}
    found = store.annotations.list_annotations(project)
    return tasks, {row.id: (row.task, row.person, row.result, row.created_at, row.updated_at) for row in found}


def _as_pages_show(pages: FakePages) -> tuple[dict[int, object], dict[int, object]]:
    tasks = {task.id: (task.data["text"], task.created_at, task.updated_at) for task in pages.tasks.values()}
    found = [row for row in pages.annotations.values() if row.task in pages.tasks]
    return tasks, {row.id: (row.task, row.person, row.result, row.created_at, row.updated_at) for row in found}


@settings(max_examples=examples(200), deadline=None)
@given(_steps, _forged, st.randoms(use_true_random=False))
def test_after_a_sweep_the_store_is_what_label_studio_shows_whatever_webhooks_claimed(
    moving: Moving, steps: list[tuple[str, int, int]], forged: list[Any], chance: random.Random
):
    """Any honest and forged webhooks, lost, repeated and in any order; no time that they carry orders them."""
    project = str(next(moving.projects))
    world = History(project)
    for step in steps:
        world.do(step)
    told = [*world.reported, *(_forgery(project, *parts) for parts in forged)]
    told += [chance.choice(told) for _ in told if chance.random() < 0.5]
    arrived = [event for event in told if chance.random() < 0.8]
    chance.shuffle(arrived)
    moving.deliver(arrived)

    run_full_sync(moving.store, world.pages, project, clock=lambda: moving.now_s, size=1)

    truth_now = _as_pages_show(world.pages)
    assert _shown(moving.store, project) == truth_now
    moving.now_s += 1
    for event in arrived:  # delivered again, late
        if event.action == "saved":
            moving.store.append([event])
    assert _shown(moving.store, project) == truth_now
    assert run_full_sync(moving.store, world.pages, project, clock=lambda: moving.now_s + 60, size=1).missed == 0
    assert moving.store.verify(project)["projection"] == "ok"


def test_an_answer_that_a_webhook_put_on_another_task_stays_where_the_sweep_shows_it(moving: Moving):
    project = str(next(moving.projects))
    world = History(project)
    world.do(("import", 2, 1))
    world.do(("answer", 2, 2))
    moving.store.append([_forgery(project, "annotation", 2, created=5, updated=0, task_id=1)])
    moving.now_s += 60

    run_full_sync(moving.store, world.pages, project, clock=lambda: moving.now_s)

    assert _shown(moving.store, project) == _as_pages_show(world.pages)
