"""Under a real gunicorn: senders that are slow, large or broken get an answer, and workers count together."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.served import Address, gunicorn
from tests.support.serving import CONFIG, predicted_labels, tasks


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "metrics").mkdir()
    options = [
        "--worker-class",
        "ml_backend.app.slow_client_worker.SlowClientWorker",
        "--workers",
        "2",
        "--threads",
        "4",
    ]
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics")}
    with gunicorn("tests.support.served:create()", options, folder, environment) as address:
        yield address
    assert "Traceback" not in Path(folder / "server.log").read_text()


def body(*texts: str) -> bytes:
    return orjson.dumps({"tasks": tasks(*texts), "project": "1.17", "label_config": CONFIG, "params": {}})


def ask(address: Address, method: str, path: str, data: Any = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*address, timeout=30)
    connection.request(method, path, data, headers, encode_chunked="Transfer-Encoding" in headers)
    answer = connection.getresponse()
    response = answer.status, answer.read()
    connection.close()
    return response


def raw(address: Address, *parts: bytes) -> bytes:
    with socket.create_connection(address, timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b""
        while b"hint" not in answer and (block := connection.recv(1 << 16)):
            answer += block
        return answer


def test_a_prediction_over_the_wire(backend: Address):
    status, answer = ask(backend, "POST", "/predict", body("A", "?", "B"))

    assert (status, predicted_labels(orjson.loads(answer)["results"])) == (200, ["A", None, "B"])


def test_a_chunked_body_is_read_like_any_other(backend: Address):
    data = body(*["A"] * 50)
    chunks = iter([data[:100], data[100:101], data[101:]])
    status, answer = ask(backend, "POST", "/predict", chunks, **{"Transfer-Encoding": "chunked"})

    assert (status, len(orjson.loads(answer)["results"])) == (200, 50)


@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}], ids=["announced", "chunked"])
def test_too_large_a_body_gets_an_answer_instead_of_a_cut_connection(backend: Address, headers: dict[str, str]):
    data = iter([b" " * 1_000_000] * 3) if headers else b" " * 3_000_000
    status, answer = ask(backend, "POST", "/predict", data, **headers)

    assert status == 413, answer
    assert orjson.loads(answer)["hint"]


def test_a_large_body_to_a_wrong_address_gets_an_answer(backend: Address):
    assert ask(backend, "POST", "/nowhere", b" " * 900_000)[0] == 404


def test_a_sender_that_stops_in_the_middle_holds_no_thread(backend: Address):
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    started = time.monotonic()
    answer = raw(backend, head, b'{"half')

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"paused too long" in answer
    assert time.monotonic() - started < 10


@pytest.mark.slow
def test_half_a_request_from_many_holds_no_thread_for_long(backend: Address):
    """More than there are threads, with and without a request before: one byte more now and then buys no time."""
    with ExitStack() as opened:
        slow = [opened.enter_context(socket.create_connection(backend)) for _ in range(32)]
        for connection in slow[:16]:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        for connection in slow[:16]:
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(1000)
        for connection in slow:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-")
        time.sleep(9.0)
        for connection in slow:
            with suppress(OSError):
                connection.sendall(b"a")
        time.sleep(3.0)
        started = time.monotonic()
        status, _ = ask(backend, "GET", "/health")

        assert status == 200
        assert time.monotonic() - started < 5.0
        slow[0].settimeout(10.0)
        with suppress(ConnectionResetError):
            assert slow[0].recv(100) == b""


def test_who_is_refused_cannot_hold_a_thread_by_pausing(backend: Address):
    started = time.monotonic()
    answer = raw(backend, b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", b"begin")

    assert answer.startswith(b"HTTP/1.1 404")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("chunk", [b"zz\r\n{}\r\n0\r\n\r\n", b"5;\x00\r\n{}\r\n"])
def test_a_chunked_body_that_lies_is_a_bad_request(backend: Address, chunk: bytes):
    head = b"POST /setup HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert raw(backend, head, chunk).startswith(b"HTTP/1.1 400")


def test_metrics_are_those_of_all_workers(backend: Address):
    def counted() -> float:
        lines = ask(backend, "GET", "/metrics")[1].decode().splitlines()
        wanted = 'hitl_request_seconds_count{route="/validate",status="400"} '
        return sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))

    before = counted()
    for _ in range(20):
        ask(backend, "POST", "/validate", b"{}")

    assert {counted() - before for _ in range(6)} == {20.0}  # whichever worker answers
