"""A turn collects changes that no webhook reported."""

from __future__ import annotations

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
