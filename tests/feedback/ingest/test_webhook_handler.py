"""A webhook is stored before it is answered; what cannot be read is recorded with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from feedback.errors import StoreError
from feedback.ingest.webhook_handler import WebhookHandler
from feedback.store.log.events import Event
from ml_backend.app import Security, create_app
from ml_backend.errors import BodyError
from ml_backend.predictor import Predictor
from tests.support.fake_webhook_store import FakeWebhookStore
from tests.support.serving import FakeRegistry

REGION = {"from_name": "c", "to_name": "text", "type": "choices", "value": {"choices": ["A"]}}


def annotation(number: int = 5, **more: Any) -> dict[str, Any]:
    fixed = {"task": 7, "project": 1, "completed_by": 2, "updated_by": 2, "updated_at": "2026-01-01T00:00:00.5Z"}
    return {"id": number, "result": [REGION], **fixed, **more}


def event(action: str = "ANNOTATION_CREATED", **parts: Any) -> dict[str, Any]:
    secrets = {"token": "s3cr3t-token", "task_data_password": "s3cr3t-pass"}
    return {"action": action, "project": {"id": 1, "title": "t", "label_config": "<View/>", **secrets}, **parts}


def submit(number: int = 5) -> dict[str, Any]:
    task = {"id": 7, "data": {"text": "hi"}, "project": 1, "updated_at": "2026-01-01T00:00:01Z"}
    return event(annotation=annotation(number), task=task)


def test_a_submit_is_stored_and_wants_a_turn():
    book = FakeWebhookStore()

    answer = WebhookHandler(book)(submit())

    assert answer == {"status": "ok", "events": 3}
    assert {(event.entity, event.entity_id) for event in book.events.values()} == {
        ("annotation", 5),
        ("task", 7),
        ("project", 1),
    }
    assert set(book.wanted) == {("1", "turn")}


def test_the_same_event_twice_is_one():
    book = FakeWebhookStore()
    webhook = WebhookHandler(book)
    webhook(submit())

    assert webhook(submit()) == {"status": "ok", "events": 3}
    assert len(book.events) == 3


def test_secrets_of_the_project_are_stored_nowhere():
    book = FakeWebhookStore()

    WebhookHandler(book)(submit())
    WebhookHandler(book)(event("PROJECT_UPDATED"))
    WebhookHandler(book)(event("SOMETHING_NEW"))

    assert "s3cr3t" not in repr((book.events, book.log))


def test_a_broken_annotation_is_recorded_once_with_its_reason_and_its_neighbours_are_stored():
    book = FakeWebhookStore()
    body = event("ANNOTATIONS_CREATED", annotation=[annotation(1), {"id": 2}, annotation(3)])

    answers = [WebhookHandler(book)(body) for _ in range(3)]

    assert answers[0]["skipped"] == ["annotation 2 names no task."]
    assert {row.entity_id for row in book.events.values() if row.entity == "annotation"} == {1, 3}
    assert [(row.project, row.kind, row.body["reason"]) for row in book.log] == [
        ("1", "unreadable", "annotation 2 names no task.")
    ]


def test_what_was_said_is_acknowledged_though_what_was_left_out_cannot_be_noted_now():
    class Noteless(FakeWebhookStore):
        def record(self, project: str, kind: str, body: Mapping[str, Any], *, key: str = "") -> int:
            raise StoreError("the database refused: database is locked")

    book = Noteless()
    webhook = WebhookHandler(book)

    answer = webhook(event("ANNOTATIONS_CREATED", annotation=[annotation(1), {"id": 2}]))

    assert (answer["status"], answer["skipped"]) == ("ok", ["annotation 2 names no task."])
    assert ("1", "annotation", 1) in {key[:3] for key in book.events}
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
def test_what_means_nothing_to_us_is_ignored_with_the_reason(body: dict[str, Any], reason: str):
    book = FakeWebhookStore()

    assert WebhookHandler(book)(body) == {"status": "ignored", "reason": reason}
    assert book.events == {}
    assert book.log[0].body["reason"] == reason


def test_deletions_want_a_turn_too():
    book = FakeWebhookStore()

    answer = WebhookHandler(book)({"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 5}], "project": {"id": 1}})

    assert answer["events"] == 1
    assert book.wanted == [("1", "turn")]


def test_the_training_button_wants_a_turn_and_names_a_job_that_ends_with_it():
    book = FakeWebhookStore()
    webhook = WebhookHandler(book, clock=lambda: 7.0)

    job = webhook(event("START_TRAINING"))["job"]
    before = webhook.job_status(job)
    book.create_record("1", "turn", {})

    assert ("1", "turn") in book.wanted
    assert (before, webhook.job_status(job)) == ("queued", "finished")


@pytest.mark.parametrize("job", ["", "x", "1-", "1-99", "2-1", "-1", "1-１", "1-" + "9" * 5000, "../../x"])
def test_a_job_that_was_never_asked_for_is_not_known(job: str):
    book = FakeWebhookStore()
    webhook = WebhookHandler(book)
    webhook(event("START_TRAINING"))

    assert webhook.job_status(job) is None


@pytest.mark.parametrize("body", [None, [], {}, {"action": 7}, event("TASKS_CREATED") | {"project": {"id": "../x"}}])
def test_what_no_label_studio_sends_is_refused(body: Any):
    with pytest.raises(BodyError):
        WebhookHandler(FakeWebhookStore())(body)


def test_over_http_a_store_that_is_down_is_told_with_what_to_do_and_predictions_go_on():
    class Down(FakeWebhookStore):
        def receive(self, events: Iterable[Event], *, want: str | None = None) -> None:
            raise StoreError("the database refused: disk full")

    registry = FakeRegistry({"1": "m1"})
    app = create_app(Predictor(registry, load=registry.load), webhook=WebhookHandler(Down()), security=Security())

    answer = app.test_client().post("/webhook", json=submit())

    assert answer.status_code == 503
    assert answer.json["error"] == "the database refused: disk full"
    assert "HITL_DATA_DIR" in answer.json["hint"]
    assert app.test_client().get("/health").status_code == 200
