"""Sweeps make the store equal to Label Studio, whatever was lost, wherever they were stopped."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from feedback.ingest.full_sync import FullSyncProgress, is_full_sync_due, run_full_sync
from feedback.ingest.polling import count_missed_changes, list_unreadable
from feedback.reports.project_status import project_status
from feedback.reports.status_text import status_lines
from feedback.store import ProjectRow, Store, open_store
from feedback.store.log import events
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.changed_tasks import TaskPage
from tests.support.fake_pages import FakePages, known, truth
from tests.support.make_events import annotation_event, at, deletion_event, make_annotation, task, task_events


@pytest.fixture
def store_with_project(store: Store) -> Store:
    store.projects.save_project(ProjectRow("1", title="old", label_config="<View/>", connected=True))
    return store


def run(store: Store, pages: FakePages, **options: Any) -> FullSyncProgress:
    return run_full_sync(store, pages, "1", clock=lambda: 1000.0, **options)


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_whatever_was_lost_is_made_good(store_with_project: Store, size: int):
    tasks = [task(number) for number in range(1, 12)]
    pages = FakePages(tasks[:9], [make_annotation(n, task=n, person=1) for n in range(1, 9)])
    store_with_project.append(task_events(*tasks[4:]))  # two of them are gone in Label Studio, four were never told
    store_with_project.append(
        [annotation_event(20, task=5), annotation_event(3, task=3), annotation_event(4, "B", task=4, second=0.5)]
    )  # 20 was deleted

    done = run(store_with_project, pages, size=size)

    assert done.complete
    assert known(store_with_project) == truth(pages)
    project = store_with_project.projects.get_project("1")
    assert project is not None
    assert project.title == "renamed"
    assert store_with_project.verify()["projection"] == "ok"


def test_a_second_sweep_finds_nothing(store_with_project: Store):
    pages = FakePages([task(1), task(2)], [make_annotation(1)])

    first, second = run(store_with_project, pages), run(store_with_project, pages)

    assert first.missed > 0
    assert second.missed == 0
    assert count_missed_changes(store_with_project, "1") == first.missed


def test_what_a_webhook_brings_while_a_page_is_read_was_not_missed(store_with_project: Store):
    pages = FakePages([task(1)], [])
    run(store_with_project, pages)
    before = count_missed_changes(store_with_project, "1")

    def submit() -> None:
        pages.annotations[5] = make_annotation(5)
        store_with_project.receive([annotation_event(5)])

    pages.before_page = submit
    run(store_with_project, pages)

    assert count_missed_changes(store_with_project, "1") == before
    assert known(store_with_project) == truth(pages)


def test_a_sweep_that_was_stopped_goes_on_where_it_was(store_with_project: Store):
    pages = FakePages([task(number) for number in range(1, 10)], [])

    first = run(store_with_project, pages, size=3, go_on=lambda: False)
    asked = pages.asked
    second = run(store_with_project, pages, size=3)

    assert (first.complete, first.above) == (False, 3)
    assert second.complete
    assert second.tasks == 9
    assert pages.asked - asked == 3  # 4-6, 7-9, and the empty rest
    assert known(store_with_project) == truth(pages)


def test_a_sweep_that_was_killed_anywhere_is_made_good_by_the_next(store_with_project: Store):
    pages = FakePages([task(number) for number in range(1, 8)], [make_annotation(n, task=n) for n in range(1, 8)])
    for kill_at in range(1, 5):

        def die(when: int = pages.asked + kill_at) -> None:
            if pages.asked == when:
                raise KeyboardInterrupt

        pages.before_page = die
        with pytest.raises(KeyboardInterrupt):
            run(store_with_project, pages, size=1)
    pages.before_page = lambda: None

    assert run(store_with_project, pages, size=1).complete
    assert known(store_with_project) == truth(pages)


def test_what_a_webhook_brings_while_a_page_is_read_is_not_taken_for_gone(store_with_project: Store):
    pages = FakePages([task(1), task(2)], [])
    store_with_project.append(task_events(task(1), task(2)))
    pages.before_page = lambda: store_with_project.append(
        [annotation_event(9, task=2, second=5), *task_events(task(3, second=5))]
    )

    run(store_with_project, pages)

    assert [annotation.id for annotation in store_with_project.annotations.list_annotations("1")] == [9]
    assert [row.id for row in store_with_project.tasks.list_tasks("1")] == [1, 2, 3]


def test_a_task_that_we_cannot_read_is_not_gone(store_with_project: Store):
    pages = FakePages([task(1), task(2)], [make_annotation(5, task=2)])
    store_with_project.append([*task_events(task(1), task(2)), annotation_event(5, task=2)])
    pages.unreadable = {2}

    run(store_with_project, pages)

    assert known(store_with_project) == truth(pages)


def test_a_stretch_that_was_deleted_is_found_however_long_it_was(store_with_project: Store):
    store_with_project.append(task_events(*(task(number) for number in range(1, 41))))
    pages = FakePages([task(1), task(40)], [])

    run(store_with_project, pages, size=1)

    assert known(store_with_project) == truth(pages)


def test_a_deleted_project_is_gone_where_label_studio_is_the_one_that_we_know(store_with_project: Store):
    pages = FakePages([], [])
    pages.deleted = True

    pages.ours = False
    with pytest.raises(LabelStudioError, match="No Project"):  # perhaps another Label Studio: nothing is thrown away
        run(store_with_project, pages)
    assert store_with_project.projects.get_project("1") is not None

    pages.ours = True
    assert run(store_with_project, pages).complete
    assert store_with_project.projects.get_project("1") is None


def test_a_sweep_is_due_after_its_time_or_when_it_stopped_short_or_when_the_clock_went_back(store_with_project: Store):
    pages = FakePages([task(1), task(2)], [])
    assert is_full_sync_due(store_with_project, "1", every_s=60, now_s=1000.0)

    run(store_with_project, pages, size=1, go_on=lambda: False)
    assert is_full_sync_due(store_with_project, "1", every_s=60, now_s=1001.0)

    run(store_with_project, pages)
    assert not is_full_sync_due(store_with_project, "1", every_s=60, now_s=1001.0)
    assert is_full_sync_due(store_with_project, "1", every_s=60, now_s=1060.0)
    assert is_full_sync_due(store_with_project, "1", every_s=60, now_s=500.0)


def test_polling_goes_on_from_where_the_sweep_began(store_with_project: Store):
    pages = FakePages([task(1, second=3)], [])
    pages.before_page = lambda: pages.tasks.update({1: replace(pages.tasks[1], updated_at=at(9))})

    run(store_with_project, pages)

    cursor = store_with_project.records.get_latest_record("1", "cursor")
    assert cursor is not None
    assert cursor.body["since"] == at(3)


def test_missed_counts_nothing_before_a_project_is_connected(tmp_path: Path):
    store = open_store(f"sqlite:///{tmp_path / 'new.db'}", durability="normal")

    run_full_sync(store, FakePages([task(1)], [make_annotation(1)]), "1", clock=lambda: 0.0)

    assert count_missed_changes(store, "1") == 0
    store.close()


def test_a_deletion_by_webhook_and_the_sweep_agree(store_with_project: Store):
    store_with_project.append([*task_events(task(1)), annotation_event(5), deletion_event(5)])

    run(store_with_project, FakePages([task(1)], []))

    assert store_with_project.annotations.list_annotations("1") == []
    assert events.deletions("1", "annotation", [5])[0].action == "deleted"


def test_all_tasks_deleted_and_imported_again_under_the_same_numbers(store_with_project: Store):
    """As every newcomer does it; Label Studio tells nobody that all tasks of a project were deleted."""
    store_with_project.append(
        [
            event
            for n in (1, 2)
            for event in (*task_events(task(n, "old", created_at=at(1))), annotation_event(n, task=n))
        ]
    )
    store_with_project.append([annotation_event(9, task=2, created_at=at(2), second=3)])
    second = [task(number, "new", second=30, created_at=at(30)) for number in (1, 2)]

    run(store_with_project, FakePages(second, [make_annotation(1, "B", task=1, second=40, created_at=at(40))]))

    assert [row.data["text"] for row in store_with_project.tasks.list_tasks("1")] == ["new", "new"]
    assert [(vote.task, vote.annotation, vote.answer.value) for vote in store_with_project.votes.list_votes("1")] == [
        (1, 1, ("B",))
    ]
    assert store_with_project.verify()["projection"] == "ok"


def test_what_was_deleted_before_a_page_was_read_is_not_what_has_the_number_when_it_is_stored(
    store_with_project: Store,
):
    store_with_project.append(task_events(task(1, "old", created_at=at(1))))
    pages = FakePages([], [])
    real = pages.get_tasks_page

    def get_tasks_page(project: str, *, above: int, size: int) -> TaskPage:
        read = real(project, above=above, size=size)
        store_with_project.append(
            task_events(task(1, "new", created_at=at(30), second=30))
        )  # imported while the empty page travelled
        return read

    pages.get_tasks_page = get_tasks_page  # type: ignore[method-assign]

    run(store_with_project, pages)

    assert [row.data["text"] for row in store_with_project.tasks.list_tasks("1")] == ["new"]


def test_a_task_that_no_row_can_hold_costs_only_itself_and_its_reason_is_kept_once(store_with_project: Store):
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"deeper": deep}
    store_with_project.projects.save_project(ProjectRow("1", connected=True))
    pages = FakePages([replace(task(1), data={"text": "a", "deep": deep}), task(2)], [])

    run(store_with_project, pages)
    run(store_with_project, pages)

    assert [row.id for row in store_with_project.tasks.list_tasks("1")] == [2]
    (reason,) = list_unreadable(store_with_project, "1")
    assert reason.startswith("task 1: a body cannot be written as JSON")
    assert ("left out", reason) in status_lines(
        project_status(store_with_project, store_with_project.projects.list_projects()[0])
    )


class Endless:
    """A Label Studio with any number of tasks, each with one answer, none of which is held in memory."""

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks

    def get_tasks_page(self, project: str, *, above: int, size: int) -> TaskPage:
        numbers = range(above + 1, min(above + size, self.tasks) + 1)
        found = tuple((task(n, "x" * 200), (make_annotation(n, task=n),)) for n in numbers)
        return TaskPage(found, {n: frozenset({n}) for n in numbers}, numbers[-1] if len(numbers) == size else None)

    def describe_project(self, project: str) -> dict[str, Any]:
        return {"title": "old", "label_config": "<View/>"}

    def get_last_change_time(self, project: str) -> str:
        return at(1)

    def is_known_instance(self) -> bool:
        return True


@pytest.mark.slow
def test_a_sweep_holds_one_stretch_in_memory_however_large_the_project_is(store_with_project: Store):
    def peak(tasks: int) -> int:
        tracemalloc.start()
        try:
            assert run_full_sync(store_with_project, Endless(tasks), "1", clock=lambda: 1000.0, size=100).complete
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(500)  # what is made once
    few, many = peak(1_000), peak(6_000)

    assert len(store_with_project.tasks.list_content_hashes("1")) == 6_000
    assert many < 1.3 * few
