"""Refunds against a ten-minute clock, on both platforms: by amount and customer standing, with a notified requester."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from feedback.ingest.signals import SignalHandler
from feedback.policy import read_policy
from feedback.review.appeals import list_human_review_requests
from feedback.review.case_state_machine import CaseWorkflow
from feedback.review.review_task_content import KEY
from tests.feedback.review.scenarios.scenario_checks import REST, list_review_texts, whole
from tests.support.review_world import CLEO, DAN, EVA, World


class NotifiedSystem:
    """Somebody outside who is told things."""

    def __init__(self) -> None:
        self.received_notifications: list[dict[str, Any]] = []

    def list_tasks_about(self, what: str) -> list[int]:
        """The tasks of which that was said."""
        return [row["task"] for row in self.received_notifications if what in row["what"]]


@contextmanager
def listening() -> Iterator[tuple[str, NotifiedSystem]]:
    received = NotifiedSystem()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.received_notifications.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/told", received
    finally:
        server.shutdown()
        server.server_close()


REFUNDS = """
[[routing]]
id = "very-large"
when = { data.amount.gte = 5000 }
to = "supervisor"
reason = "a very large amount"
[[routing]]
id = "new-customer"
when = { data.amount.gte = 100, data.standing.in = ["new", "watch"] }
to = "desk"
reason = "the customer is new or watched"
queue = "refunds"
[[routing]]
id = "default"
to = "triage"
[tiers.triage]
[tiers.desk]
title = "Refund desk"
resolve = "10m"
at_risk = 0.8
on_breach = "reassign"
notify = ["crm"]
[tiers.supervisor]
resolve = "10m"
on_breach = "escalate"
notify = ["crm"]
[rights]
tier = "desk"
within = "10m"
[second_look]
share = 0.0
[notify.crm]
url = "URL"
""" + REST.format(rows=500, audit=0.0)


@pytest.mark.slow
def test_refunds_are_routed_by_amount_and_standing_against_a_ten_minute_clock(world: World) -> None:
    site = world.site
    with listening() as (url, received):
        small, watched, _good, large = site.add_rows(
            {"text": "a mug", "amount": 20, "standing": "new"},
            {"text": "a lamp", "amount": 400, "standing": "watch"},
            {"text": "a chair", "amount": 400, "standing": "good"},
            {"text": "a car", "amount": 9000, "standing": "good"},
        )
        world.use(REFUNDS.replace("URL", url))
        world.turn()
        cases = {case.task: case.tier for case in world.store.cases.list_cases(world.project)}
        assert cases == {watched: "desk", large: "supervisor"}
        assert world.store.decisions.count_outcomes(
            world.project
        )  # the small one and the good customer are asked in the first tier

        # somebody asks for a person, and wants to be called back
        body = {"project": world.project, "task": small, "signal": "human_review", "id": "letter-1", "callback": "crm"}
        SignalHandler(world.store, clock=site.seconds)(body)
        world.turn()
        assert world.case(small).tier == "desk"
        assert world.case(small).due_s == pytest.approx(world.case(small).entered_s + 600)

        # the reviewer asks something: that clock stands still, while the other one is at risk, then runs out
        asked, old = world.case(small).review_task, world.case(watched).review_task
        assert asked
        assert old
        world.review("desk", "guideline", person=CLEO, task=asked, reason="guideline_gap", comment="is a mug china?")
        world.turn()
        left_s = world.case(small).due_s - world.case(small).paused_s  # type: ignore[operator]
        site.pass_time(8.5 * 60)
        world.turn()
        assert sorted(received.list_tasks_about("at risk")) == sorted([watched, large])
        assert world.case(watched).state == "queued"
        site.pass_time(2 * 60)
        world.turn()
        case = world.case(watched)
        assert (case.state, case.tier, case.breaches, case.copies) == ("queued", "desk", 1, 2)
        assert world.trail(watched) == ["open", "assign", "warn", "reassign", "assign"]
        assert sorted(received.list_tasks_about("has run out")) == sorted([watched, large])
        keys = [row.data[KEY] for row in site.waiting(site.review_project_of("desk"), DAN)]
        assert keys == [f"case-{case.id}-1-desk-2"]  # the old copy is gone, and the new one stands
        assert (world.case(small).state, world.case(small).breaches) == ("waiting", 0)

        # the answer comes: the clock goes on with what was left of it, the next reviewer reads it
        book = CaseWorkflow(world.store, world.project, read_policy(REFUNDS.replace("URL", url)), now_s=site.seconds())
        book.move(world.case(small), "answered", note="china is pottery, too")
        world.turn()
        assert world.case(small).due_s == pytest.approx(book.now_s + left_s)
        assert list_review_texts(world, "desk", small)[-1] == "china is pottery, too"
        for task, label in ((watched, "fruit"), (small, "tool")):
            world.review("desk", "fix", label, person=DAN, reason="wrong_label", task=world.case(task).review_task)
        world.review("supervisor", "fix", "tool", person=EVA, reason="wrong_label")
        for _ in range(3):
            world.turn()

        assert [site.final(task) for task in (watched, small, large)] == ["fruit", "tool", "tool"]
        assert received.list_tasks_about("decided") == [small]  # once, and only whoever asked
        (call,) = [row for row in received.received_notifications if row["what"] == "decided"]
        assert (call["answer"], call["project"]) == ("tool", world.project)
        (proof,) = list_human_review_requests(world.store, world.project)
        assert (proof.decided_by_person, proof.in_time) == (True, True)  # the promise stood still meanwhile, too
        assert world.case(large).breaches == 1  # told once: there is nobody above
        assert received.list_tasks_about("has run out").count(large) == 1
        whole(world)
