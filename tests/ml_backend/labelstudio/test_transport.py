"""How requests survive a server that is busy, hangs up, or is no Label Studio at all."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.transport import NotLabelStudio, Transport

KEY = "0123456789abcdef-secret-key"
_HEADER = base64.urlsafe_b64encode(b'{"alg": "HS256", "typ": "JWT"}').decode()
_CLAIMS = base64.urlsafe_b64encode(b'{"token_type": "refresh", "exp": 8071270626}').decode()
PERSONAL_TOKEN = f"{_HEADER}.{_CLAIMS}.c2ln"


@dataclass
class Server:
    """Answers what the test lines up, then 200; None hangs up without an answer."""

    url: str = ""
    answers: list[tuple[int, str, dict[str, str]] | None] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    opened: list[Transport] = field(default_factory=list)

    def transport(self, tries: int = 3) -> Transport:
        self.opened.append(Transport(self.url, KEY, tries=tries, sleep=self.waits.append))
        return self.opened[-1]


@pytest.fixture
def server() -> Iterator[Server]:
    plan = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            plan.seen.append(f"{self.command} {self.path}")
            answer = plan.answers.pop(0) if plan.answers else (200, json.dumps({"ok": True}), {})
            if answer is None:
                self.close_connection = True
                return
            status, body, headers = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        plan.url = f"http://127.0.0.1:{running.server_port}/prefix"
        Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
        yield plan
        for transport in plan.opened:
            transport.close()
        running.shutdown()


def test_a_failure_of_label_studio_is_not_called_a_refusal_and_says_where_to_look(server: Server) -> None:
    server.answers += [(500, "<h1>Server Error</h1>", {})] * 9

    with pytest.raises(LabelStudioError, match=r"failed at GET api/tasks/ \(HTTP 500\)") as failed:
        server.transport().send("GET", "api/tasks/")

    assert "without that task everything works" in failed.value.hint
    assert failed.value.of_service


def test_a_dropped_connection_and_a_busy_server_are_tried_again(server: Server) -> None:
    server.answers += [None, (503, "{}", {})]

    answer = server.transport().send("GET", "api/x/")

    assert answer == {"ok": True}
    assert server.seen == ["GET /prefix/api/x/"] * 3


def test_a_request_that_must_not_be_sent_twice_is_not(server: Server) -> None:
    server.answers += [None]

    with pytest.raises(LabelStudioError, match="the connection was dropped") as caught:
        server.transport().send("POST", "api/x/", body={})

    assert server.seen == ["POST /prefix/api/x/"]
    assert caught.value.status is None


def test_a_server_error_on_a_write_that_must_not_repeat_is_raised_at_once(server: Server) -> None:
    server.answers += [(500, json.dumps({"detail": "boom"}), {})]

    with pytest.raises(LabelStudioError, match=r"HTTP 500\): boom"):
        server.transport().send("POST", "api/x/", body={})

    assert len(server.seen) == 1


def test_retry_after_is_followed_up_to_a_limit(server: Server) -> None:
    server.answers += [(429, "{}", {"Retry-After": "2"}), (429, "{}", {"Retry-After": "3600"})]

    server.transport().send("POST", "api/x/", body={})

    assert server.waits == [2.0, 10.0]


def test_a_server_that_stays_busy_ends_in_one_sentence(server: Server) -> None:
    page = "<html><h1>Server Error</h1>" + "x" * 100_000
    server.answers += [(502, page, {})] * 3

    with pytest.raises(LabelStudioError) as caught:
        server.transport().send("GET", "api/x/")

    assert caught.value.status == 502
    assert len(str(caught.value)) < 200
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", [200, 302, 404])
def test_a_page_instead_of_data_is_not_taken_for_an_answer(server: Server, status: int) -> None:
    server.answers += [(status, "<html>log in</html>", {"Location": "/login"})]

    with pytest.raises(NotLabelStudio) as caught:
        server.transport().send("GET", "api/x/")

    assert "LABEL_STUDIO_URL" in caught.value.hint


@pytest.mark.parametrize("key", [KEY, PERSONAL_TOKEN])
@pytest.mark.parametrize(
    ("status", "body"),
    [(200, '{"status": "ok"}'), (200, "[]"), (200, "<html>log in</html>"), (404, '{"detail": "Not Found"}'), (405, "")],
)
def test_another_api_at_the_address_is_not_taken_for_label_studio(
    server: Server, key: str, status: int, body: str
) -> None:
    server.answers += [(status, body, {})] * 2

    with (
        pytest.raises(NotLabelStudio, match=r"is not a Label Studio|page instead of JSON") as caught,
        Client(server.url, key) as client,
    ):
        client.me()

    assert "LABEL_STUDIO_URL" in caught.value.hint


def test_a_server_that_accepts_and_never_answers_is_asked_once() -> None:
    waits: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            pytest.raises(LabelStudioError, match="does not answer within the time limit"),
            Transport(url, KEY, timeout_s=0.05, sleep=waits.append) as transport,
        ):
            transport.send("GET", "api/x/")

    assert not waits


def test_an_unreachable_server_is_an_error_with_advice() -> None:
    waits: list[float] = []
    transport = Transport("http://user:pw@127.0.0.1:9", KEY, tries=2, sleep=waits.append)

    with pytest.raises(LabelStudioError, match="connection refused") as caught:
        transport.send("POST", "api/x/")
    transport.close()

    assert "correct LABEL_STUDIO_URL" in caught.value.hint
    assert len(waits) == 1  # nothing was sent, so it may be sent again
    assert "pw" not in str(caught.value)


def test_the_key_never_stands_in_a_message_even_when_the_server_repeats_it(server: Server) -> None:
    server.answers += [(400, json.dumps({"detail": f"bad <b>key</b> {KEY}"}), {})]

    with pytest.raises(LabelStudioError) as caught:
        server.transport().send("GET", "api/x/")

    assert "bad key ***" in str(caught.value)


@pytest.mark.parametrize(("url", "key"), [("labels.example.org", KEY), ("http://x", "  ")])
def test_a_useless_address_or_an_empty_key_is_refused_at_once(url: str, key: str) -> None:
    with pytest.raises(LabelStudioError) as caught:
        Transport(url, key)

    assert "Set LABEL_STUDIO_" in caught.value.hint
