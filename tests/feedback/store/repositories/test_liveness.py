from __future__ import annotations

from feedback.store import Heartbeat, Store, WebhookArrival
from tests.support.clock import Clock
from tests.support.make_events import annotation_event


def _beat(worker: str, at_s: float, step: str = "") -> Heartbeat:
    return Heartbeat(worker, at_s, at_s, step, at_s, at_s, "no answer", "Start it.")


def test_a_worker_has_one_heartbeat_and_a_silent_one_is_forgotten_after_an_hour(store: Store) -> None:
    for row in (_beat("a:1", 1000.0), _beat("b:2", 3000.0), _beat("b:2", 4000.0, "turn of project 7")):
        store.liveness.save_heartbeat(row)
    both = store.liveness.list_heartbeats()
    store.liveness.save_heartbeat(_beat("b:2", 4601.0))

    assert both == [_beat("b:2", 4000.0, "turn of project 7"), _beat("a:1", 1000.0)]
    assert store.liveness.list_heartbeats() == [_beat("b:2", 4601.0)]
    store.liveness.delete_heartbeat("b:2")
    assert store.liveness.list_heartbeats() == []


def test_polled_answers_are_counted_until_a_webhook_of_the_project_comes(store: Store, clock: Clock) -> None:
    began_s = clock.now_s
    for project in ("7", "7", "8"):
        store.liveness.record_polled_answers(project, 2, began_s=began_s)
    clock.now_s += 9
    store.receive([annotation_event(5, "A", project="7")])
    store.ingest_inbox()
    store.liveness.record_polled_answers("7", 2, began_s=began_s)  # of a poll that began before the webhook came

    assert store.liveness.list_webhook_arrivals() == [
        WebhookArrival("7", began_s + 9, began_s, 0),
        WebhookArrival("8", 0.0, began_s, 2),
    ]


def test_an_old_webhook_that_is_taken_in_late_does_not_say_that_webhooks_arrive(store: Store, clock: Clock) -> None:
    came_s, began_s = clock.now_s, clock.now_s + 60
    store.receive([annotation_event(5, "A", project="7")])
    clock.now_s = began_s + 1
    store.liveness.record_polled_answers("7", 2, began_s=began_s)
    store.ingest_inbox()
    late = store.liveness.list_webhook_arrivals()
    store.receive([annotation_event(6, "A", project="7")])
    store.ingest_inbox()

    assert late == [WebhookArrival("7", came_s, began_s, 2)]
    assert store.liveness.list_webhook_arrivals() == [WebhookArrival("7", began_s + 1, began_s, 0)]
