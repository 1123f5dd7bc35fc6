from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from feedback.errors import StoreError
from feedback.policy import Policy
from feedback.policy.hitl_toml import read_policy
from feedback.store import ProjectRow, Store, WindowRow
from feedback.store.repositories.records import RECORDS_KEPT
from ml_backend.records import Answer
from tests.support.make_events import annotation_event


def test_records_are_read_newest_first(store: Store) -> None:
    for number in range(5):
        store.records.create_record("1", "turn", {"number": number})
    store.records.create_record("2", "turn", {"number": 99})

    assert [record.body["number"] for record in store.records.list_records("1", "turn", limit=3)] == [
        4,
        3,
        2,
    ]
    latest = store.records.get_latest_record("1", "turn")
    assert latest is not None
    assert latest.body == {"number": 4}
    assert store.records.get_latest_record("1", "verdict") is None


def test_without_a_limit_all_records_are_read(store: Store) -> None:
    with store.transaction():
        for number in range(120):
            store.records.create_record("1", "human review", {"number": number})

    found = store.records.list_records("1", "human review", limit=None)

    assert [record.body["number"] for record in found] == list(reversed(range(120)))


def test_a_key_makes_a_record_that_is_written_once(store: Store) -> None:
    first = store.records.create_record("1", "asked", {"rows": 1}, key="m1+q1")
    again = store.records.create_record("1", "asked", {"rows": 2}, key="m1+q1")
    other = store.records.create_record("1", "asked", {"rows": 3}, key="m1+q2")

    assert first == again != other
    found = store.records.get_latest_record("1", "asked", key="m1+q1")
    assert found is not None
    assert found.body == {"rows": 1}


def test_of_a_kind_that_every_turn_writes_the_newest_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.store.repositories.records.RECORDS_KEPT", {"turn": 3})
    store.records.create_record("1", "turn", {"number": -1}, key="named")
    store.records.create_record("2", "turn", {"number": 99})
    for number in range(9):
        store.records.create_record("1", "turn", {"number": number})
        store.records.create_record("1", "verdict", {"number": number})

    assert [record.body["number"] for record in store.records.list_records("1", "turn")] == [8, 7, 6, -1]
    assert [record.body["number"] for record in store.records.list_records("2", "turn")] == [99]
    assert len(store.records.list_records("1", "verdict")) == 9


@pytest.fixture
def shortest_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.store.repositories.records.RECORDS_KEPT", dict.fromkeys(RECORDS_KEPT, 1))


def create_later_records(store: Store) -> None:
    """Create several newer records of every kind that has a retention."""
    for kind in RECORDS_KEPT:
        for number in range(3):
            store.records.create_record("1", kind, {"number": number})


@pytest.mark.usefixtures("shortest_retention")
@pytest.mark.parametrize(
    "kind",
    [
        "erased person",
        "gold",
        "guideline",
        "honeypot",
        "human review",
        "notification",
        "notification delivered",
        "policy",
        "policy_active",
        "relabel",
        "reused id",
        "training",
        "unreadable",
        "verdict",
        "written_back",
    ],
)
def test_records_that_something_refers_to_are_never_deleted(store: Store, kind: str) -> None:
    numbers = [store.records.create_record("1", kind, {"number": number}) for number in range(3)]
    numbers += [store.records.create_record("1", kind, {"number": number}, key=f"k{number}") for number in range(3)]

    create_later_records(store)

    assert [record.id for record in store.records.list_records("1", kind)] == sorted(numbers, reverse=True)


@pytest.mark.usefixtures("shortest_retention")
def test_policies_and_pending_notifications_are_read_after_old_records_are_deleted(store: Store) -> None:
    first, second = Policy(), read_policy("[audit]\nshare = 0.2")
    for policy in (first, second):
        row = store.projects.get_project("1") or ProjectRow("1", title="t", label_config="<View/>")
        store.policies.activate_policy(row, policy, who="test", now_s=1.0)
    store.records.create_record("1", "notification", {"payload": {}}, key="5-2-url")

    create_later_records(store)

    assert store.policies.get_policy("1", first.hash) == first
    assert store.policies.get_policy("1", second.hash) == second
    assert [done.hash for done in store.policies.list_activations("1")] == [second.hash, first.hash]
    pending = store.records.list_pending_records(
        "1", "notification", done_kind="notification delivered", since_s=0.0, limit=10
    )
    assert [record.key for record in pending] == ["5-2-url"]


def test_deleting_old_records_never_touches_the_log(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.store.repositories.records.RECORDS_KEPT", {"turn": 1})
    store.append([annotation_event(5, "A"), annotation_event(6, "B", person=2)])
    for number in range(5):
        store.records.create_record("1", "turn", {"number": number})

    assert store.verify() == {"events": 2, "chain": "ok", "projection": "ok"}


def test_numbers_of_numpy_are_kept_and_what_is_no_json_is_refused(store: Store) -> None:
    store.records.create_record("1", "report", {"kappa": np.float64(0.5), "n": np.int64(3), "nan": math.nan})

    found = store.records.get_latest_record("1", "report")
    assert found is not None
    assert found.body == {"kappa": 0.5, "n": 3, "nan": None}
    with pytest.raises(StoreError, match="kept as JSON"):
        store.records.create_record("1", "report", {"what": object()})


def _row(task: int, place: int, version: str = "m1+q1", prediction: int | None = None) -> WindowRow:
    return WindowRow(
        task, version, place, Answer("choices", ("A",)), 0.75, blind=False, prediction=prediction, written_s=1.0
    )


def test_a_window_is_read_as_written_and_saving_its_version_replaces_it(store: Store) -> None:
    rows = [_row(7, 0), replace(_row(3, 1), answer=None, confidence=None, blind=True)]
    store.windows.save_window("1", rows)
    assert store.windows.get_window("1", "m1+q1") == rows

    numbered = [replace(row, prediction=100 + row.task) for row in rows]
    store.windows.save_window("1", numbered)
    assert store.windows.get_window("1") == numbered
    assert store.windows.list_shown_predictions("1", [103, 999]) == {103: numbered[1]}


def test_the_newest_window_is_the_one_planned_last_not_the_one_saved_last(store: Store) -> None:
    store.windows.save_window("1", [_row(1, 0, "m1+q1")])
    store.windows.save_window("1", [_row(2, 0, "m1+q2")])
    store.windows.save_window("1", [_row(1, 0, "m1+q1", prediction=5)])

    assert store.windows.get_window("1")[0].version == "m1+q2"
    assert store.windows.get_window("2") == []


def test_a_project_comes_back_as_it_was_saved(store: Store) -> None:
    row = ProjectRow(
        "12", "Spam\x00", "<View/>", "c", connected=True, bots=(9, 3), settings_snapshot={"a": [1]}, options={"k": 0.1}
    )
    store.projects.save_project(row)

    saved = store.projects.get_project("12")
    assert saved is not None
    assert replace(saved, described_at="") == replace(row, title="Spam\ufffd", bots=(3, 9))
    assert [item.id for item in store.projects.list_projects()] == ["12"]
    assert store.projects.get_project("13") is None


def test_a_project_is_known_from_its_first_event(store: Store) -> None:
    store.append([annotation_event(5, "A", project="7")])

    assert store.projects.get_project("7") == ProjectRow("7")


def test_saving_settings_does_not_bring_an_old_label_config_back(store: Store) -> None:
    store.projects.save_project(ProjectRow("1", "t", "<View>old</View>"))
    read = store.projects.get_project("1")
    assert read is not None
    store.projects.save_project(ProjectRow("1", "t", "<View>new</View>"))

    store.projects.save_project(replace(read, paused=True))

    now = store.projects.get_project("1")
    assert now is not None
    assert (now.paused, now.label_config) == (True, "<View>new</View>")


def test_a_secret_is_made_once_for_all_hosts(url: str, opened: Callable[[str], Store]) -> None:
    here, there = opened(url), opened(url)

    assert len(here.secrets.get_or_create_secret("draws")) >= 32
    assert (
        there.secrets.get_or_create_secret("draws")
        == here.secrets.get_or_create_secret("draws")
        != here.secrets.get_or_create_secret("webhook")
    )
    here.secrets.save_secret("webhook", "given")
    assert there.secrets.get_or_create_secret("webhook") == "given"
