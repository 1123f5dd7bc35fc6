"""Old predictions go a few at a time, seldom, and never while a project is paused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from feedback.labelling_platform.deletion_schedule import (
    count_deleted_predictions,
    delete_stale_predictions,
    is_deletion_due,
)
from feedback.reports.project_status import project_status, service_gauges
from feedback.store import ProjectRow, Store
from ml_backend.labelstudio.delete_predictions import DeletionResult

ROW = ProjectRow("1", title="t", label_config="<View/>", connected=True)


class FakeCleaner:
    """Holds old predictions, of which some must wait."""

    def __init__(self, free: int, waiting: int = 0) -> None:
        self.free, self.waiting, self.ttl_s = free, waiting, 0.0

    def delete_stale_predictions(
        self, project: str, *, lock_ttl_s: float, limit: int, stop: Callable[[], bool]
    ) -> DeletionResult:
        self.ttl_s, done = lock_ttl_s, 0
        while self.free:
            if done >= limit or stop():
                return DeletionResult(done, self.waiting, more=True)
            self.free -= 1
            done += 1
        return DeletionResult(done, self.waiting)


@pytest.fixture
def store_with_project(store: Store) -> Store:
    store.projects.save_project(ROW)
    return store


def asked(store: Store) -> None:
    store.records.create_record("1", "asked", {"version": "m1+q1"})


def run(store: Store, cleaner: FakeCleaner, now_s: float, **options: Callable[[], bool]) -> DeletionResult:
    return delete_stale_predictions(store, cleaner, "1", lock_ttl_s=900.0, now_s=now_s, **options)


def test_it_is_due_after_a_window_was_written_and_no_oftener_than_once_a_minute(store_with_project: Store):
    assert not is_deletion_due(store_with_project, "1", now_s=0.0)

    asked(store_with_project)
    assert is_deletion_due(store_with_project, "1", now_s=0.0)
    run(store_with_project, FakeCleaner(3), 1000.0)

    assert not is_deletion_due(store_with_project, "1", now_s=5000.0)  # nothing was left, and no window came since
    asked(store_with_project)
    assert not is_deletion_due(store_with_project, "1", now_s=1059.0)
    assert is_deletion_due(store_with_project, "1", now_s=1060.0)


def test_what_is_left_is_done_a_minute_later_and_what_waits_an_hour_later(store_with_project: Store):
    asked(store_with_project)
    cleaner = FakeCleaner(40, waiting=7)

    first = run(store_with_project, cleaner, 1000.0)
    assert (first.deleted, first.more) == (25, True)
    assert is_deletion_due(store_with_project, "1", now_s=1060.0)

    run(store_with_project, cleaner, 1060.0)
    assert not is_deletion_due(store_with_project, "1", now_s=1060.0 + 3599)
    assert is_deletion_due(store_with_project, "1", now_s=1060.0 + 3600)
    assert is_deletion_due(store_with_project, "1", now_s=500.0)  # the clock went back
    assert cleaner.ttl_s == 900.0


@pytest.mark.parametrize("row", [replace(ROW, paused=True), replace(ROW, connected=False)])
def test_nothing_goes_while_a_project_is_paused_or_let_go(store_with_project: Store, row: ProjectRow):
    asked(store_with_project)
    store_with_project.projects.save_project(row)
    cleaner = FakeCleaner(5)

    assert run(store_with_project, cleaner, 1000.0) == DeletionResult(0, 0)

    assert cleaner.free == 5


def test_a_pause_stops_it_between_two_deletions(store_with_project: Store):
    asked(store_with_project)
    cleaner = FakeCleaner(5)

    def pause_after_two() -> bool:
        if cleaner.free == 3:
            store_with_project.projects.save_project(replace(ROW, paused=True))
        return True

    assert run(store_with_project, cleaner, 1000.0, go_on=pause_after_two) == DeletionResult(3, 0, more=True)


def test_status_and_metrics_show_it(store_with_project: Store):
    asked(store_with_project)
    cleaner = FakeCleaner(30, waiting=4)
    run(store_with_project, cleaner, 1000.0)
    run(store_with_project, cleaner, 1060.0)

    assert (
        count_deleted_predictions(store_with_project, "1")
        == project_status(store_with_project, ROW)["old_predictions"]
        == {"deleted": 30, "waiting": 4}
    )
    gauges = service_gauges(store_with_project)
    assert gauges["hitl_old_predictions_deleted_total"] == 30
    assert gauges["hitl_old_predictions_waiting"] == 4
