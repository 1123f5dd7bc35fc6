"""A page of tasks is read although Label Studio fails at each list that has one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.changed_tasks import get_task_page, poll_tasks
from ml_backend.labelstudio.client import Client

_SURROGATE = {"status_code": 500, "detail": "'utf-8' codec can't encode character: surrogates not allowed"}


@dataclass
class Server:
    """Lists tasks 1, 2, ... (task n has annotation 1000 + n), and fails where it shall show the data of a bad one."""

    n_tasks: int = 500
    bad: set[int] = field(default_factory=set)
    fails: Callable[[int], bool] = lambda _number: False  # by the number of the request: whatever it asks for
    asked: int = 0
    failures: int = 0

    def times(self, number: int) -> str:
        return f"2026-01-01T00:00:{number % 50:02d}.000000Z"

    def answer(self, path: str) -> tuple[int, Any]:
        self.asked += 1
        query = {name: value[0] for name, value in parse_qs(urlsplit(path).query).items()}
        wanted = json.loads(query["query"])
        ids = list(range(1, self.n_tasks + 1))
        for item in wanted["filters"]["items"]:
            kept = {
                "greater": lambda n, value: n > value,
                "in_list": lambda n, value: n in value,
                "greater_or_equal": lambda n, value: self.times(n) >= value,
            }[item["operator"]]
            ids = [number for number in ids if kept(number, item["value"])]
        if wanted["ordering"] == ["tasks:updated_at"]:
            ids.sort(key=lambda number: (self.times(number), number))
        size, page = int(query["page_size"]), int(query["page"])
        ids = ids[(page - 1) * size : page * size]
        fields = query["include"].split(",")
        if self.fails(self.asked) or ("data" in fields and self.bad & set(ids)):
            self.failures += 1
            return 500, _SURROGATE
        return 200, {"tasks": [self.shown(number, fields) for number in ids]}

    def shown(self, number: int, fields: list[str]) -> dict[str, Any]:
        annotation = {
            "id": 1000 + number,
            "task": number,
            "completed_by": 1,
            "result": [],
            "was_cancelled": False,
            "created_at": self.times(0),
            "updated_at": self.times(number),
            "lead_time": 1.0,
        }
        row = {
            "id": number,
            "data": {"text": "fine"},
            "project": 1,
            "created_at": self.times(0),
            "updated_at": self.times(number),
            "annotations": [{name: value for name, value in annotation.items() if name in fields}],
        }
        return {name: value for name, value in row.items() if name in fields}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 20  # head and body in one packet: two wait for each other

        def do_GET(self) -> None:
            status, answer = server.answer(self.path)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, args=[0.01], daemon=True).start()
        with Client(f"http://127.0.0.1:{http.server_port}", "0123456789abcdef", tries=1, timeout_s=10) as found:
            yield found
        http.shutdown()


def test_one_task_that_cannot_be_shown_keeps_no_other_from_being_read(server: Server, client: Client) -> None:
    server.bad = {317}

    page = get_task_page(client, "1", above=0, size=500)

    assert [task.id for task, _ in page.tasks] == [number for number in range(1, 501) if number != 317]
    assert page.annotation_ids == {number: frozenset({1000 + number}) for number in range(1, 501)}
    assert page.next_above == 500
    (reason,) = page.skipped
    assert reason.startswith("task 317: Label Studio failed at GET api/tasks/ (HTTP 500)")
    assert server.asked <= 25


@pytest.mark.parametrize("bad", [{1}, {500}, {498, 499, 500}, set(range(17, 500, 25)), set(range(100, 140))])
def test_each_task_that_cannot_be_shown_is_named(server: Server, client: Client, bad: set[int]) -> None:
    server.bad = bad

    page = get_task_page(client, "1", above=0, size=500)

    assert {task.id for task, _ in page.tasks} == set(range(1, 501)) - bad
    assert [reason.split(":")[0] for reason in page.skipped] == [f"task {number}" for number in sorted(bad)]
    assert server.asked <= 403


@pytest.mark.parametrize("since", ["", "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:40.000000Z"])
@pytest.mark.parametrize("page", [4, 30, 1000])
def test_a_poll_goes_on_past_tasks_that_cannot_be_shown(server: Server, client: Client, since: str, page: int) -> None:
    server.n_tasks, server.bad = 120, {48, 49, 99, 120}
    skipped: list[str] = []

    found = {task.id for task, _ in poll_tasks(client, "1", since, page=page, skipped=skipped)}

    changed = {number for number in range(1, 121) if server.times(number) >= since}
    assert found == changed - server.bad
    assert {reason.split(":")[0] for reason in skipped} == {f"task {number}" for number in changed & server.bad}


def test_the_only_task_of_a_project_may_be_one_that_cannot_be_shown(server: Server, client: Client) -> None:
    server.n_tasks, server.bad = 1, {1}

    page = get_task_page(client, "1", above=0, size=500)

    assert (page.tasks, page.next_above, len(page.skipped)) == ((), None, 1)
    assert page.annotation_ids == {1: frozenset({1001})}


def test_a_page_of_which_nothing_can_be_shown_is_an_error_after_a_bounded_number_of_requests(
    server: Server, client: Client
) -> None:
    server.bad = set(range(1, 501))

    with pytest.raises(LabelStudioError, match="HTTP 500"):
        get_task_page(client, "1", above=0, size=500)

    assert server.asked <= 403


@pytest.mark.parametrize("up", [0, 2, 5])
def test_a_server_that_is_down_or_goes_down_is_an_error_and_no_task_is_left_out(
    server: Server, client: Client, up: int
) -> None:
    server.n_tasks, server.bad = 8, {3}
    server.fails = lambda number: number > up
    skipped: list[str] = []

    with pytest.raises(LabelStudioError, match="HTTP 500"):
        list(poll_tasks(client, "1", "", skipped=skipped))

    assert skipped == []


def test_a_failure_that_is_over_at_the_next_request_leaves_nothing_out(server: Server, client: Client) -> None:
    server.fails = lambda number: number == 1

    page = get_task_page(client, "1", above=0, size=500)

    assert (len(page.tasks), page.skipped) == (500, ())


def test_a_page_that_can_be_shown_costs_one_request(server: Server, client: Client) -> None:
    get_task_page(client, "1", above=0, size=500)

    assert server.asked == 1
