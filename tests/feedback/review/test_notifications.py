"""Notifications: once, signed, retried until delivered, and only to addresses in the policy."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from feedback.app.bootstrap import post_json
from feedback.ingest.signals import SignalHandler
from feedback.policy import read_policy
from feedback.review import notifications
from feedback.review.notifications import SIGNATURE, deliver_notifications, record_notification
from feedback.store import CaseRow
from tests.support.review_world import ADA, CLEO, PROJECT, World, policy_text

NOTIFY = '[notify.lead]\nurl = "https://hooks.example.org/hitl"\nsecret = "lead"\n'


class Outside:
    """Whoever is told."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes, Mapping[str, str]]] = []
        self.down = False

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> str:
        if self.down:
            return "ConnectError: refused"
        self.got.append((url, body, headers))
        return ""

    def payloads(self) -> list[dict[str, object]]:
        return [json.loads(body) for _url, body, _headers in self.got]


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def post(outside: Outside) -> Outside:
    return outside


def late(world: World) -> int:
    world.use(policy_text(l1='resolve = "10m"\non_breach = "escalate"\nnotify = ["lead"]', more=NOTIFY))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.pass_time(11 * 60)
    world.turn()
    return task


def test_a_breach_is_notified_once_and_signed(world: World, outside: Outside):
    task = late(world)
    world.turn()

    ((url, body, headers),) = outside.got
    received = json.loads(body)
    assert url == "https://hooks.example.org/hitl"
    assert (received["task"], received["what"], received["at_tier"], received["tier"]) == (
        task,
        "the resolve clock has run out",
        "L1",
        "L2",
    )
    assert "apple" not in body.decode()  # nothing of the task's own data
    wanted = hmac.new(
        world.store.secrets.get_or_create_secret("notify lead").encode(), body, hashlib.sha256
    ).hexdigest()
    assert headers[SIGNATURE] == f"sha256={wanted}"


def test_what_does_not_arrive_is_tried_again_and_given_up_after_a_day(world: World, outside: Outside):
    outside.down = True
    late(world)
    notes = world.turn().notes
    assert any("not delivered yet: ConnectError" in note for note in notes)
    world.site.pass_time(90_000)
    world.turn()
    outside.down = False
    world.turn()

    assert [received["what"] for received in outside.payloads()] == []


def test_a_target_that_does_not_answer_keeps_no_other_one_waiting(world: World):
    project, policy = "7", read_policy(NOTIFY + '[notify.crm]\nurl = "https://crm.example.org/"\n')
    for number in range(50):
        record_notification(
            world.store, CaseRow(project, number, "queued", "L2", id=number), "late", ["lead"], now_s=0.0
        )
    record_notification(world.store, CaseRow(project, 99, "queued", "L2", id=99), "late", ["crm"], now_s=0.0)
    asked: list[str] = []

    def post(url: str, body: bytes, headers: Mapping[str, str]) -> str:
        asked.append(url)
        return "" if "crm" in url else "it did not answer"

    notes = deliver_notifications(world.store, project, policy, post, now_s=1.0)
    deliver_notifications(world.store, project, policy, post, now_s=2.0)

    hooks = "https://hooks.example.org/hitl"
    assert asked == [hooks, "https://crm.example.org/", hooks]
    assert len(notes) == 1


def test_a_burst_of_notices_is_delivered_whole(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(notifications, "_MAX_PENDING", 3)
    monkeypatch.setattr(notifications, "_MAX_PER_TURN", 2)
    project, policy, got = "7", read_policy(NOTIFY), Outside()
    for number in range(1, 12):
        record_notification(
            world.store, CaseRow(project, number, "queued", "L2", id=number), "late", ["lead"], now_s=0.0
        )
    for _ in range(6):
        deliver_notifications(world.store, project, policy, got, now_s=1.0)

    assert [received["case"] for received in got.payloads()] == list(range(1, 12))


def test_the_requester_is_notified_of_the_answer(world: World, outside: Outside):
    world.use(policy_text(more=NOTIFY))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    ask(world, task, "lead")
    world.turn()
    world.review("L2", "fix", "fruit", person=CLEO, reason="wrong_label")
    world.turn()
    world.turn()

    ((url, body, _headers),) = outside.got
    assert url == "https://hooks.example.org/hitl"
    assert json.loads(body)["answer"] == "fruit"


def test_a_target_that_the_policy_drops_is_called_no_more(world: World, outside: Outside):
    world.use(policy_text(more=NOTIFY))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    ask(world, task, "lead")
    world.turn()
    world.use(policy_text())
    world.review("L2", "fix", "fruit", person=CLEO, reason="wrong_label")
    notes = world.turn().notes

    assert outside.got == []
    assert any("the policy has no notify.lead any more" in note for note in notes)
    assert world.case(task).state == "resolved"


def ask(world: World, task: int, name: str) -> None:
    body = {"project": PROJECT, "task": task, "signal": "human_review", "value": True, "id": "k", "callback": name}
    SignalHandler(world.store, clock=world.site.seconds)(body)


def test_a_first_tier_answer_in_time_notifies_nobody(world: World, outside: Outside):
    world.use(policy_text(l1='resolve = "10m"\non_breach = "escalate"\nnotify = ["lead"]', more=NOTIFY))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.answer(task, "fruit", person=ADA)
    world.turn()

    assert outside.got == []


def test_a_post_follows_no_redirect_and_never_raises():
    class Redirects(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204 if self.path == "/ok" else 302)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirects) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert post_json(f"{url}/ok", b"{}", {}) == ""
        assert f"{url}/ redirects to http://127.0.0.1:9. Write in the url" in post_json(f"{url}/away", b"{}", {})
        server.shutdown()
    assert "connection refused" in post_json("http://127.0.0.1:9/", b"{}", {})
    assert post_json("no url", b"{}", {}) != ""
