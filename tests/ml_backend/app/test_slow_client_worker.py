"""A connection that drips ends soon; one that is slow, but comes along, does not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from ml_backend.app import slow_client_worker
from ml_backend.app.slow_client_worker import SlowClientSocket


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SlowClientSocket, socket.socket]]:
    """Our end, and a sender's; a head has a fifth of a second, and a body comes at 1,000 bytes a second at least."""
    monkeypatch.setattr(slow_client_worker, "_HEAD_S", 0.2)
    monkeypatch.setattr(slow_client_worker, "_MIN_RATE", 1000)
    ours, sender = socket.socketpair()
    with SlowClientSocket(fileno=ours.detach()) as patient, sender:
        patient.begin()
        yield patient, sender


def _drip(sender: socket.socket, block: bytes, *, every_s: float, times: int) -> threading.Thread:
    def run() -> None:
        with suppress(OSError):
            for _ in range(times):
                sender.sendall(block)
                time.sleep(every_s)
            sender.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_a_body_that_drips_ends_though_it_never_pauses_for_long(pair: tuple[SlowClientSocket, socket.socket]) -> None:
    patient, sender = pair
    _drip(sender, b"a", every_s=0.02, times=300)
    patient.settimeout(0.5)
    began_s = time.monotonic()

    with pytest.raises(ConnectionResetError, match="too slow"):
        list(iter(lambda: patient.recv(8192), b""))

    assert time.monotonic() - began_s < 5.0
    assert patient.recv(8192) == b""


def test_a_body_that_comes_along_may_take_its_time(pair: tuple[SlowClientSocket, socket.socket]) -> None:
    patient, sender = pair
    patient.settimeout(5.0)
    patient._deadline_s = time.monotonic() + 0.5  # long over when the last byte comes
    drip = _drip(sender, b"a" * 400, every_s=0.05, times=20)
    came = 0

    while came < 8000:
        came += len(patient.recv(8192))

    drip.join()
    assert came == 8000


def test_a_head_that_is_not_the_first_has_as_long(pair: tuple[SlowClientSocket, socket.socket]) -> None:
    patient, sender = pair
    patient.settimeout(5.0)
    patient.begin()
    patient.settimeout(None)  # as gunicorn does before each request but the first
    _drip(sender, b"a", every_s=0.02, times=300)
    began_s = time.monotonic()

    with pytest.raises(ConnectionResetError, match="too slow"):
        list(iter(lambda: patient.recv(8192), b""))

    assert time.monotonic() - began_s < 5.0
