"""Signals that name a task by what others call it: found at once, or kept until its task comes."""

from __future__ import annotations

from typing import Any

import pytest

from feedback.ingest.signals import OutcomeSummary, SignalHandler, match_waiting_signals, summarize_outcomes
from feedback.policy import read_policy
from feedback.reports.project_status import project_status
from feedback.reports.status_text import status_lines
from feedback.store import CurrentDecision, Decision, ProjectRow, Store
from ml_backend.errors import BodyError
from ml_backend.records import Task

NOW_S = 1_800_000_000.0
POLICY = read_policy('[tasks]\nkey = "order.id"')
PLAIN = read_policy("")
REPORT = {"project": 7, "key": "A-17", "signal": "user_report", "value": "scam", "id": "r1"}


@pytest.fixture
def store_with_policy(store: Store) -> Store:
    store.projects.save_project(ProjectRow("7", "t", "<View/>", options={"policy": POLICY.model_dump(mode="json")}))
    return store


def push(store: Store, **change: Any) -> dict[str, Any]:
    return SignalHandler(store, clock=lambda: NOW_S)(REPORT | change)


def add(store: Store, number: int, key: object, *, second: int = 1) -> None:
    at = f"2026-01-01T00:00:{second:02}Z"
    task = Task(number, {"text": "t", "order": {"id": key}}, "7", created_at="2026-01-01T00:00:00Z", updated_at=at)
    store.append_tasks([task], source="sweep")


def test_a_key_leads_to_its_task(store_with_policy: Store):
    add(store_with_policy, 5, "A-17")
    add(store_with_policy, 6, "A-18")
    match_waiting_signals(store_with_policy, "7", POLICY)

    assert push(store_with_policy) == {"status": "ok", "new": True, "id": "r1", "task": 5}
    assert [(signal.task, signal.external) for signal in store_with_policy.signals.list_signals("7")] == [(5, "A-17")]
    assert push(store_with_policy)["new"] is False


def test_a_signal_that_comes_before_its_task_waits_for_it_and_is_about_nothing_meanwhile(store_with_policy: Store):
    answer = push(store_with_policy)

    assert (answer["status"], answer["reason"]) == (
        "parked",
        "no task has order.id 'A-17' yet; it waits for one that does",
    )
    assert store_with_policy.signals.list_signals("7") == []
    assert store_with_policy.signals.list_newest_signals("7") == {}  # least of all about the whole project
    assert match_waiting_signals(store_with_policy, "7", POLICY) == 1
    add(store_with_policy, 5, "A-17")
    assert match_waiting_signals(store_with_policy, "7", POLICY) == 0
    assert store_with_policy.signals.list_newest_signals("7")[5]["user_report"].value == "scam"
    assert push(store_with_policy) == {"status": "ok", "new": False, "id": "r1", "task": 5}


def test_a_key_that_two_tasks_have_waits_with_that_reason_until_one_has_it(store_with_policy: Store):
    add(store_with_policy, 5, "A-17")
    add(store_with_policy, 6, "A-17")
    match_waiting_signals(store_with_policy, "7", POLICY)
    answer = push(store_with_policy)

    assert answer["status"] == "parked"
    assert "tasks 5, 6 all have order.id 'A-17'" in answer["reason"]
    add(store_with_policy, 6, "A-99", second=9)  # somebody mends the data
    assert match_waiting_signals(store_with_policy, "7", POLICY) == 0
    assert [signal.task for signal in store_with_policy.signals.list_signals("7")] == [5]


def test_the_reason_for_waiting_is_kept_as_it_is_now(store_with_policy: Store):
    push(store_with_policy)
    add(store_with_policy, 5, "A-17")
    add(store_with_policy, 6, "A-17")
    match_waiting_signals(store_with_policy, "7", POLICY)

    (waiting,) = store_with_policy.signals.list_unmatched_signals("7")
    assert waiting.unmatched.startswith("tasks 5, 6 all have")


def test_status_counts_what_waits_for_its_task(store_with_policy: Store):
    project = store_with_policy.projects.get_project("7")
    assert project is not None
    push(store_with_policy, id="a")
    push(store_with_policy, id="b", key="A-18")
    before = dict(status_lines(project_status(store_with_policy, project)))
    add(store_with_policy, 5, "A-17")
    match_waiting_signals(store_with_policy, "7", POLICY)
    after = dict(status_lines(project_status(store_with_policy, project)))

    assert before["signals"].startswith("2 wait for a task with their key: hitl signal list 7 --waiting")
    assert after["signals"].startswith("1 waits")


def test_a_number_in_the_data_and_its_text_are_the_same_key(store_with_policy: Store):
    add(store_with_policy, 5, 17)
    match_waiting_signals(store_with_policy, "7", POLICY)

    assert push(store_with_policy, key="17", id="a")["task"] == push(store_with_policy, key=17, id="b")["task"] == 5


def test_a_deleted_task_has_no_key_any_more(store_with_policy: Store):
    from feedback.store.log import events

    add(store_with_policy, 5, "A-17")
    match_waiting_signals(store_with_policy, "7", POLICY)
    store_with_policy.append(events.deletions("7", "task", [5], source="own"))

    assert push(store_with_policy)["status"] == "parked"


def test_another_field_is_indexed_anew(store_with_policy: Store):
    add(store_with_policy, 5, "A-17")
    match_waiting_signals(store_with_policy, "7", POLICY)
    other = read_policy('[tasks]\nkey = "text"')
    match_waiting_signals(store_with_policy, "7", other)

    assert store_with_policy.tasks.list_tasks_by_external_id("7", "text", "t") == [5]
    assert store_with_policy.tasks.list_tasks_by_external_id("7", "order.id", "A-17") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": 5}, "task and key are both given"),
        ({"key": ""}, "wanted the order.id of a task"),
        ({"key": True}, "wanted the order.id of a task"),
        ({"key": ["A-17"]}, "wanted the order.id of a task"),
        ({"key": "x" * 201}, "wanted the order.id of a task"),
    ],
)
def test_a_key_that_is_none_is_refused_with_what_was_wanted(
    store_with_policy: Store, change: dict[str, Any], message: str
):
    with pytest.raises(BodyError, match=message):
        push(store_with_policy, **change)
    assert store_with_policy.signals.list_unmatched_signals("7") == []


def test_without_a_field_in_the_policy_a_key_is_refused_with_the_way_out(store_with_policy: Store):
    store_with_policy.projects.save_project(
        ProjectRow("7", "t", "<View/>", options={"policy": PLAIN.model_dump(mode="json")})
    )

    with pytest.raises(BodyError) as caught:
        push(store_with_policy)
    assert "[tasks] key" in caught.value.hint


def test_a_late_outcome_that_waited_meets_the_decision_that_stood_when_it_happened(store_with_policy: Store):
    push(store_with_policy, signal="csat", value=2, at="2027-01-15T08:00:00Z")
    add(store_with_policy, 5, "A-17")
    stood = CurrentDecision("r", "L1", "p1", "m1", "", "normal", "default", None)
    later = CurrentDecision("r", "L2", "p2", "m2", "", "normal", "default", None)
    store_with_policy.decisions.create_decisions(
        "7", [Decision(5, NOW_S - 10, "c", stood, {}), Decision(5, NOW_S + 10, "c", later, {})]
    )
    assert summarize_outcomes(store_with_policy, "7", POLICY) == []
    match_waiting_signals(store_with_policy, "7", POLICY)

    assert summarize_outcomes(store_with_policy, "7", POLICY) == [OutcomeSummary("m1", "p1", "L1", "csat", 1, 2.0)]
