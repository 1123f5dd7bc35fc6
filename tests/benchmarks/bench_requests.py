"""Processor time of one request, webhook and event in one process, without sockets: figures of one machine.

They count what our code does, where `bench_backend` also counts what waits for the kernel and for other processes.
Gated is what a run compares within itself: a task among a hundred costs less than one that comes alone.
"""

from __future__ import annotations

import io
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from typing import Any

import orjson
import pytest
from flask import Flask
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from werkzeug.test import EnvironBuilder

from feedback.app.web_app import make_application
from feedback.store import Store, open_store
from ml_backend.features.cache import FeatureCache
from ml_backend.features.text import text_block
from tests.benchmarks import bodies, machine, servers, training

ROUNDS = 5
_RNG = random.Random(1)
_NUMBERS = count(1)


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, Store]]:
    settings = servers.settings_of(tmp_path_factory.mktemp("requests"))
    with threadpool_limits(limits=1):  # as `hitl web` sets it
        store = open_store(settings.store_url, durability=settings.durability)
        yield make_application(settings), store
        store.close()


def test_requests_and_events(service: tuple[Flask, Store]) -> None:
    app, store = service
    found = {
        "webhook, stored durably": each_us(partial(post, app, "/webhook"), partial(events, 400)),
        "an event from the inbox into the log": ingest_us(app, store),
    }
    for state in ("untrained", "trained text model"):
        if state != "untrained":
            training.promote(store.registry)
            time.sleep(1.1)  # the champion is looked up once a second
        for tasks, requests in ((1, 400), (100, 12)):
            asked = partial(predictions, tasks, requests)
            found[f"predict, {tasks} task(s), {state}"] = each_us(partial(post, app, "/predict"), asked)
    found["one text that is in no cache"] = each_us(read_alone, lambda: [bodies.text(_RNG) for _ in range(400)])

    print(f"\nprocessor time; {machine.describe()}; medians of {ROUNDS} rounds")  # noqa: T201
    for what, figure_us in found.items():
        print(f"  {what}: {figure_us:,.0f} us")  # noqa: T201
    for state in ("untrained", "trained text model"):
        assert found[f"predict, 100 task(s), {state}"] < 100 * found[f"predict, 1 task(s), {state}"]


def each_us(call: Callable[[Any], object], prepare: Callable[[], Sequence[Any]]) -> float:
    """Return the processor time of one call in microseconds: the median of the rounds, after one that warms up."""
    times_us = []
    for _ in range(ROUNDS + 1):
        arguments = prepare()
        began_s = time.process_time()
        for argument in arguments:
            call(argument)
        times_us.append((time.process_time() - began_s) / len(arguments) * 1e6)
    return statistics.median(times_us[1:])


def ingest_us(app: Flask, store: Store) -> float:
    """Return the processor time with which one event of a full inbox joins the log."""
    times_us = []
    for _ in range(ROUNDS + 1):
        store.ingest_inbox()
        for body in events(400):
            post(app, "/webhook", body)
        began_s = time.process_time()
        assert store.ingest_inbox() == 400
        times_us.append((time.process_time() - began_s) / 400 * 1e6)
    return statistics.median(times_us[1:])


def post(app: Flask, path: str, body: bytes) -> None:
    """Call the application as a server does; a client's own work would cost more than ours."""
    statuses: list[str] = []
    environ = {**_ENVIRON, "PATH_INFO": path, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    for _part in app(environ, lambda status, _headers, _error=None: statuses.append(status)):  # type: ignore[arg-type]
        pass
    assert statuses[0].startswith("200"), statuses


_ENVIRON = EnvironBuilder(
    method="POST",
    base_url="http://127.0.0.1",
    content_type="application/json",
    environ_base={"REMOTE_ADDR": "127.0.0.1"},
).get_environ()


def events(n: int) -> list[bytes]:
    return [orjson.dumps(bodies.event(_RNG, number)) for number in islice(_NUMBERS, n)]


def predictions(tasks: int, requests: int) -> list[bytes]:
    return [orjson.dumps(bodies.predict(_RNG, tasks)) for _ in range(requests)]


def read_alone(text: str) -> None:
    text_block([text], FeatureCache())
