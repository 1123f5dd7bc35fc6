"""Apps served by a real gunicorn, and one small app to serve."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from werkzeug.serving import make_server

from ml_backend.app import Limits, create_app, freeze_startup_objects
from ml_backend.predictor import Predictor
from tests.support.serving import FakeRegistry

Address = tuple[str, int]

_ROOT = Path(__file__).resolve().parents[2]
_START_S = 60.0


def create() -> Flask:
    """A backend with small limits, whose project 1 has a champion; gunicorn's `tests.support.served:create()`."""
    registry = FakeRegistry({"1": "m1"})
    limits = Limits(body_bytes=1_000_000, stall_s=1.0)
    predictor = Predictor(registry, load=registry.load)
    return freeze_startup_objects(create_app(predictor, webhook=lambda body: {"status": "ok"}, limits=limits))


@contextmanager
def served_in_thread(app: Flask, port: int = 0) -> Iterator[str]:
    """Serve `app` from a thread of this process until the block ends; gives its address. Port 0: any free one."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def gunicorn(app: str, options: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Address]:
    """Run `app` under gunicorn until the block ends."""
    address = free_address()
    command = [sys.executable, "-m", "gunicorn", app, "--bind", f"{address[0]}:{address[1]}", *options]
    command += ["--no-control-socket", "--log-level", "error"]
    with running(command, address, folder, environment):
        yield address


@contextmanager
def running(command: Sequence[str], address: Address, folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a server in a session of its own, from its first healthy answer until the block ends."""
    log = (folder / "server.log").open("ab")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HITL_")}
    process = subprocess.Popen(
        command, cwd=_ROOT, env={**inherited, **environment}, stdout=log, stderr=log, start_new_session=True
    )
    try:
        _wait(address, process, folder / "server.log")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # our own session: the master and its workers
            process.wait(15)
        log.close()


def _wait(address: Address, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            connection = http.client.HTTPConnection(*address, timeout=2)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise RuntimeError(f"the server did not start:\n{log.read_text()[-2000:]}")


def free_address() -> Address:
    """A port of this machine that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return "127.0.0.1", int(one.getsockname()[1])
