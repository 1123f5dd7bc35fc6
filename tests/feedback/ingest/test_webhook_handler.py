"""A webhook is stored before it is answered; what cannot be read is recorded with its reason."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from feedback.errors import StoreError
from feedback.ingest.polling import list_unreadable, poll_changes
from feedback.ingest.webhook_handler import CircuitBreaker, WebhookHandler
from feedback.store import Store
from ml_backend.app import Security, create_app
from ml_backend.errors import BodyError
from ml_backend.predictor import Predictor
from tests.support import stores
from tests.support.clock import Clock
from tests.support.everything import where
from tests.support.fake_platform import FakeLabelStudio
from tests.support.serving import FakeRegistry

REGION = {"from_name": "c", "to_name": "text", "type": "choices", "value": {"choices": ["A"]}}


def annotation(number: int = 5, **more: Any) -> dict[str, Any]:
    fixed = {"task": 7, "project": 1, "completed_by": 2, "updated_by": 2, "updated_at": "2026-01-01T00:00:00.5Z"}
    return {"id": number, "result": [REGION], **fixed, **more}


def event(action: str = "ANNOTATION_CREATED", **parts: Any) -> dict[str, Any]:
    secrets = {"token": "s3cr3t-token", "task_data_password": "s3cr3t-pass"}
    return {"action": action, "project": {"id": 1, "title": "t", "label_config": "<View/>", **secrets}, **parts}


def refuse(*_: object, **__: object) -> None:
    raise StoreError("the database refused: disk full")


def submit(number: int = 5) -> dict[str, Any]:
    task = {"id": 7, "data": {"text": "hi"}, "project": 1, "updated_at": "2026-01-01T00:00:01Z"}
    return event(annotation=annotation(number), task=task)


def wanted(store: Store) -> list[tuple[str, str]]:
    """The jobs that are wanted once the inbox is ingested."""
    store.ingest_inbox()
    return [(row.project, row.kind) for row in store.jobs.list_jobs() if row.state == "wanted"]


def unreadable(store: Store, project: str = "1") -> list[str]:
    return [record.body["reason"] for record in store.records.list_records(project, "unreadable")]


def test_a_submit_is_stored_and_wants_a_turn(store: Store):
    assert WebhookHandler(store)(submit()) == {"status": "ok", "events": 3}

    assert wanted(store) == [("1", "turn")]
    assert [version.annotation for version in store.events.list_task_history("1", 7)] == [5]
    assert [row.id for row in store.tasks.list_tasks("1")] == [7]
    assert store.projects.get_project("1").title == "t"


def test_the_same_event_twice_is_one(store: Store):
    webhook = WebhookHandler(store)
    webhook(submit())

    assert webhook(submit()) == {"status": "ok", "events": 3}
    store.ingest_inbox()
    assert len(store.events.list_task_history("1", 7)) == 1


def test_secrets_of_the_project_are_stored_nowhere(store: Store):
    for body in (submit(), event("PROJECT_UPDATED"), event("SOMETHING_NEW")):
        WebhookHandler(store)(body)
    store.ingest_inbox()

    assert where(store, "SOMETHING_NEW")
    assert where(store, "s3cr3t") == []


def test_a_broken_annotation_is_recorded_once_with_its_reason_and_its_neighbours_are_stored(store: Store):
    body = event("ANNOTATIONS_CREATED", annotation=[annotation(1), {"id": 2}, annotation(3)])

    answers = [WebhookHandler(store)(body) for _ in range(3)]
    store.ingest_inbox()

    assert answers[0]["skipped"] == ["annotation 2 names no task."]
    assert {version.annotation for version in store.events.list_task_history("1", 7)} == {1, 3}
    assert unreadable(store) == ["annotation 2 names no task."]


def test_an_event_is_acknowledged_even_where_what_was_left_out_cannot_be_noted(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(store.records, "create_record", refuse)
    webhook = WebhookHandler(store)

    answer = webhook(event("ANNOTATIONS_CREATED", annotation=[annotation(1), {"id": 2}]))
    store.ingest_inbox()

    assert (answer["status"], answer["skipped"]) == ("ok", ["annotation 2 names no task."])
    assert [version.annotation for version in store.events.list_task_history("1", 7)] == [1]
    assert webhook(event("LABEL_LINK_CREATED"))["status"] == "ignored"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"action": "LABEL_LINK_CREATED", "project": {"id": 1}}, "unknown event 'LABEL_LINK_CREATED'"),
        (
            {"action": "ANNOTATION_CREATED"},
            "ANNOTATION_CREATED without payload: turn on 'Send payload' in the webhook's settings",
        ),
    ],
)
def test_what_means_nothing_to_us_is_ignored_with_the_reason(store: Store, body: dict[str, Any], reason: str):
    assert WebhookHandler(store)(body) == {"status": "ignored", "reason": reason}
    assert store.ingest_inbox() == 0
    assert unreadable(store, "1" if "project" in body else "") == [reason]


NOW_S = 1767225600.0  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    "forged",
    [
        {"updated_at": "9999-12-31T23:59:59.999999Z"},
        {"updated_at": "2026-01-01T00:05:01Z"},
        {"created_at": "9999-01-01T00:00:00Z"},
        {"updated_at": "2026-01-01T09:00:00+02:00", "created_at": "2025-01-01T00:00:00Z"},
    ],
)
def test_an_annotation_from_the_future_is_not_believed_and_the_status_says_so(store: Store, forged: dict[str, Any]):
    counted: list[tuple[str, int]] = []
    webhook = WebhookHandler(store, clock=lambda: NOW_S, count=lambda *event: counted.append(event))

    answer = webhook(event(annotation=annotation(**forged), task={"id": 7, "data": {"text": "hi"}}))
    store.ingest_inbox()

    assert store.events.list_task_history("1", 7) == []
    assert [row.id for row in store.tasks.list_tasks("1")] == [7]
    assert "ahead of our clock" in answer["skipped"][0]
    assert list_unreadable(store, "1") == answer["skipped"]
    assert counted == [("webhook_from_the_future", 1)]


def test_a_task_from_the_future_does_not_replace_its_data(store: Store):
    webhook = WebhookHandler(store, clock=lambda: NOW_S + 60)
    webhook(submit())

    webhook(event(annotation=[], task={"id": 7, "data": {"text": "no"}, "updated_at": "9999-01-01T00:00:00Z"}))
    store.ingest_inbox()

    assert [row.data for row in store.tasks.list_tasks("1")] == [{"text": "hi"}]


def test_answers_of_a_label_studio_whose_clock_is_ahead_come_by_the_next_poll(store: Store):
    studio = FakeLabelStudio(project="1")  # its clock shows 2026-01-01
    (task,) = studio.add("hi")
    number = studio.answer(task, "fruit", person=2)
    ahead_s = 3600.0
    given = studio.annotations[number]
    times = {"updated_at": given.updated_at, "created_at": given.created_at}
    body = event(annotation=annotation(number, task=task, **times))

    WebhookHandler(store, clock=lambda: NOW_S - ahead_s)(body)
    store.ingest_inbox()
    assert store.annotations.list_annotations("1") == []
    poll_changes(store, studio, "1", now_s=NOW_S - ahead_s + 10)

    assert [row.id for row in store.annotations.list_annotations("1")] == [number]
    assert poll_changes(store, studio, "1", now_s=NOW_S - ahead_s + 20) == 0


def test_one_wrong_time_in_label_studio_does_not_hide_later_changes_from_polls(store: Store):
    studio = FakeLabelStudio(project="1")
    (first,) = studio.add("hi")
    studio.tasks[first] = replace(studio.tasks[first], updated_at="9999-01-01T00:00:00.000000Z")
    poll_changes(store, studio, "1", now_s=NOW_S)

    (later,) = studio.add("later")
    poll_changes(store, studio, "1", now_s=NOW_S + 15)

    assert [row.id for row in store.tasks.list_tasks("1")] == [first, later]


def test_a_webhook_cannot_end_a_project_a_full_sync_asks_label_studio(store: Store):
    webhook = WebhookHandler(store)
    webhook(submit())

    webhook({"action": "PROJECT_DELETED", "project": {"id": 1}})

    assert ("1", "sweep") in wanted(store)
    assert [row.id for row in store.projects.list_projects()] == ["1"]


def test_deletions_want_a_turn_too(store: Store):
    deletion = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 5}], "project": {"id": 1}}

    assert WebhookHandler(store)(deletion)["events"] == 1
    assert wanted(store) == [("1", "turn")]


def test_the_training_button_wants_a_turn_and_names_a_job_that_ends_with_it(store: Store):
    webhook = WebhookHandler(store, clock=lambda: 7.0)

    job = webhook(event("START_TRAINING"))["job"]
    before = webhook.job_status(job)
    store.records.create_record("1", "turn", {"requests": int(job.split("-")[1])})

    assert wanted(store) == [("1", "turn")]
    assert (before, webhook.job_status(job)) == ("queued", "finished")


def test_a_training_is_reported_as_failed_where_turns_are_tried_no_more(tmp_path: Path):
    clock = Clock()
    with closing(stores.fresh(tmp_path / "hitl.sqlite3", clock=clock)) as store:
        webhook = WebhookHandler(store, clock=clock)
        job = webhook(event("START_TRAINING"))["job"]
        states = []
        while (claim := store.jobs.claim_job("worker", lease_s=60.0)) is not None and len(states) < 10:
            states.append(webhook.job_status(job))
            store.jobs.fail_job(claim, "poison")
            if webhook.job_status(job) == "failed":
                break
            clock.now_s += 4000.0

        assert states == ["queued"] * len(states)
        assert webhook.job_status(job) == "failed"


@pytest.mark.parametrize("job", ["", "x", "1-", "1-99", "2-1", "-1", "1-１", "1-" + "9" * 5000, "../../x"])
def test_a_job_that_was_never_asked_for_is_not_known(store: Store, job: str):
    webhook = WebhookHandler(store)
    webhook(event("START_TRAINING"))

    assert webhook.job_status(job) is None


@pytest.mark.parametrize("body", [None, [], {}, {"action": 7}, event("TASKS_CREATED") | {"project": {"id": "../x"}}])
def test_what_no_label_studio_sends_is_refused(store: Store, body: Any):
    with pytest.raises(BodyError):
        WebhookHandler(store)(body)


def test_over_http_a_store_that_is_down_gives_an_error_with_a_hint_and_predictions_go_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(store, "receive", refuse)
    registry = FakeRegistry({"1": "m1"})
    app = create_app(Predictor(registry, load=registry.load), webhook=WebhookHandler(store), security=Security())

    answer = app.test_client().post("/webhook", json=submit())

    assert answer.status_code == 503
    assert answer.json["error"] == "the database refused: disk full"
    assert "HITL_DATA_DIR" in answer.json["hint"]
    assert app.test_client().get("/health").status_code == 200


class Flaky:
    """A webhook whose store is away, or slow, when told."""

    def __init__(self) -> None:
        self.unreachable = False
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, body: Any) -> dict[str, Any]:
        self.calls += 1
        self.gate.wait(5)
        if self.unreachable:
            raise StoreError("locked")
        return {"status": "ok"}


def refused(breaker: CircuitBreaker) -> bool:
    try:
        breaker({})
    except StoreError:
        return True
    return False


def test_while_the_store_is_down_one_request_a_second_tries_and_the_rest_fail_at_once():
    now, take, counted = [0.0], Flaky(), list[str]()
    breaker = CircuitBreaker(take, count=counted.append, clock=lambda: now[0])
    take.unreachable = True

    assert all(refused(breaker) for _ in range(100))
    assert take.calls == 1
    now[0] += 1.0
    assert all(refused(breaker) for _ in range(100))
    assert take.calls == 2
    assert counted == ["webhook_not_stored"] * 200


def test_the_first_success_lets_everybody_through():
    now, take = [0.0], Flaky()
    breaker = CircuitBreaker(take, clock=lambda: now[0])
    take.unreachable = True
    assert refused(breaker)

    take.unreachable, now[0] = False, 1.0

    assert not any(refused(breaker) for _ in range(10))


def test_nobody_waits_behind_the_one_that_tries():
    now, take = [0.0], Flaky()
    breaker = CircuitBreaker(take, clock=lambda: now[0])
    take.unreachable = True
    assert refused(breaker)
    now[0], take.unreachable = 1.0, False
    take.gate.clear()
    tries = threading.Thread(target=lambda: breaker({}))
    tries.start()
    while take.calls < 2:
        pass

    with pytest.raises(StoreError, match="a moment ago"):
        breaker({})

    take.gate.set()
    tries.join()
    assert not refused(breaker)


def test_a_wrong_event_does_not_count_as_a_failure_of_the_store():
    def take(body: Any) -> dict[str, Any]:
        raise ValueError("no such event")

    breaker = CircuitBreaker(take)
    for _ in range(3):
        with pytest.raises(ValueError, match="no such event"):
            breaker({})
