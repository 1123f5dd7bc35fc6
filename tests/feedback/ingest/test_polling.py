"""A turn collects changes that no webhook reported."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from feedback.ingest.polling import count_missed_changes, list_unreadable, poll_changes, update_project_description
from feedback.store import ProjectRow, Store
from feedback.store.log import events
from ml_backend.records import Task
from tests.support.fake_platform import TEXT_CONFIG, FakeLabelStudio

NOW = "2026-01-01T00:00:00.000000Z"
OTHER = TEXT_CONFIG.replace("tool", "animal")


@pytest.fixture
def store_with_project(store: Store) -> Store:
    store.projects.save_project(ProjectRow("7", "fake", TEXT_CONFIG, connected=True))
    return store


def config(store: Store) -> str:
    row = store.projects.get_project("7")
    return row.label_config if row else ""


def test_a_label_config_that_was_changed_while_we_were_away_is_taken_in_once(store_with_project: Store):
    studio = FakeLabelStudio(label_config=OTHER)

    assert update_project_description(store_with_project, "7", studio.describe_project("7")) == 1
    assert config(store_with_project) == OTHER
    assert update_project_description(store_with_project, "7", studio.describe_project("7")) == 0
    assert count_missed_changes(store_with_project, "7") == 1


def test_polling_label_studio_overrules_a_webhook_with_wrong_content(store_with_project: Store):
    store_with_project.append([events.event_from_project("7", "x", "<", "webhook")])
    assert config(store_with_project) == "<"

    update_project_description(store_with_project, "7", FakeLabelStudio().describe_project("7"))

    assert config(store_with_project) == TEXT_CONFIG


def test_what_is_known_already_is_no_event(store_with_project: Store):
    before = store_with_project.get_stats().events

    assert update_project_description(store_with_project, "7", FakeLabelStudio().describe_project("7")) == 0
    assert store_with_project.get_stats().events == before


def test_a_task_that_no_row_can_hold_is_left_out_of_a_poll_with_its_reason(store_with_project: Store):
    deep: dict[str, object] = {}
    for _ in range(300):
        deep = {"deeper": deep}
    read = [(Task(number, data, "7", updated_at=NOW), ()) for number, data in ((1, deep), (2, {"text": "a"}))]
    studio = FakeLabelStudio()
    studio.list_changed_tasks = lambda _project, _since, **_options: iter(read)  # type: ignore[method-assign]

    assert poll_changes(store_with_project, studio, "7", now_s=0.0) == 1
    assert [task.id for task in store_with_project.tasks.list_tasks("7")] == [2]
    assert len(list_unreadable(store_with_project, "7")) == 1


def test_answers_that_only_a_poll_found_are_counted_until_a_webhook_comes(store_with_project: Store):
    store, studio = store_with_project, FakeLabelStudio()
    first, second, third, fourth = studio.add("a", "b", "c", "d")
    given_s = studio.seconds()

    def polled(*, since_s: float = given_s) -> int:
        poll_changes(store, studio, "7", now_s=time.time(), since_s=since_s)
        return sum(row.polled for row in store.liveness.list_webhook_arrivals())

    assert polled() == 0  # tasks alone are no answers
    studio.answer(first, "fruit")
    assert polled(since_s=studio.seconds() + 60) == 0  # the service was not there to hear of it
    number = studio.answer(second, "fruit")
    assert polled() == 1
    store.receive([events.event_from_annotation(studio.annotations[number], "webhook", project="7")])
    store.ingest_inbox()
    assert polled() == 0  # it came late
    number = studio.answer(third, "tool")
    store.receive([events.event_from_annotation(studio.annotations[number], "webhook", project="7")])
    assert polled() == 0
    number = studio.answer(fourth, "tool")
    studio.annotations[number] = replace(studio.annotations[number], imported=True)
    assert polled() == 0  # Label Studio sends no webhook for it


def test_a_webhook_that_comes_while_a_poll_runs_is_no_silence(store_with_project: Store):
    store_with_project.receive([events.event_from_project("7", "x", "<", "webhook")])
    store_with_project.ingest_inbox()

    store_with_project.liveness.record_polled_answers("7", 1, began_s=time.time() - 5)

    assert [row.polled for row in store_with_project.liveness.list_webhook_arrivals()] == [0]
