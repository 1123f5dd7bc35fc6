"""A host that is silent, drips or is always slow holds no thread for long, and is left alone for a while."""

from __future__ import annotations

import contextlib
import time

import pytest

from ml_backend.features import media_fetcher
from ml_backend.features.image_decoding import MediaError
from ml_backend.features.media_fetcher import MediaFetcher
from tests.support.media_hosts import Dripper, Site, fetcher_for
from tests.support.served import free_address


def test_a_file_that_drips_is_given_up_after_its_time(home: Site):
    now = [0.0]
    home.slow = lambda: now.__setitem__(0, 11.0)

    with pytest.raises(MediaError, match="longer than 10 s"):
        fetcher_for(home, clock=lambda: now[0])("/a.png")


def test_a_silent_host_is_not_requested_again_at_once(monkeypatch: pytest.MonkeyPatch, home: Site):
    monkeypatch.setattr(media_fetcher, "_CONNECT_S", 0.2)
    home.server.shutdown()
    home.server.server_close()
    fetch = fetcher_for(home)

    with pytest.raises(MediaError, match="cannot be read"):
        fetch("/a.png")
    began = time.monotonic()
    for _ in range(1000):
        with pytest.raises(MediaError, match="is asked again"):
            fetch("/a.png")
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    ("first", "rest", "every_s"),
    [
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"a", 0.05),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.05),
        (b"", b"HTTP/1.1 103 Early Hints\r\nX-A: " + b"a" * 8_000 + b"\r\n\r\n", 0.0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"a", 0.05),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", 0.05),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: a\r\n", 0.0),
    ],
    ids=["header", "103", "many 103", "body", "chunks", "headers"],
)
def test_a_host_that_drips_holds_no_thread_and_is_not_asked_for_every_task(
    monkeypatch: pytest.MonkeyPatch, first: bytes, rest: bytes, every_s: float
):
    monkeypatch.setattr(media_fetcher, "_WHOLE_S", 0.5)
    host = Dripper(first, rest, every_s)
    fetch = MediaFetcher(f"http://127.0.0.1:{host.port}")

    began = time.monotonic()
    for number in range(100):
        with pytest.raises(MediaError):
            fetch(f"/data/upload/{number}.png")
    host.close()

    assert time.monotonic() - began < 3.0
    assert host.asked == 1


@pytest.mark.parametrize(
    "answer",
    [
        (404, {}, b""),
        (302, {"Location": "https://evil.example/a.png"}, b""),
        (302, {"Location": "/a.png"}, b""),
        (200, {}, b"a" * 2_000),
    ],
    ids=["missing", "redirect elsewhere", "circle", "too large"],
)
def test_a_slow_host_is_left_alone_whatever_it_answers(home: Site, answer: tuple[int, dict[str, str], bytes]):
    now = [0.0]
    home.answer = answer
    home.slow = lambda: now.__setitem__(0, now[0] + 9.0)
    fetch = fetcher_for(home, clock=lambda: now[0], max_bytes=1_000)

    for _ in range(100):
        with contextlib.suppress(MediaError):
            fetch("/a.png")

    assert len(home.asked) <= 3


def test_a_host_is_one_host_however_it_is_written():
    _host, port = free_address()  # nobody listens there
    fetch = MediaFetcher(f"http://127.0.0.1:{port}")
    names = [f"127.0.0.1{dots}:{zeros}{port}" for dots in ("", ".", "..") for zeros in ("", "0", "000")]

    reasons = []
    for name in names:
        with pytest.raises(MediaError) as caught:
            fetch(f"http://{name}/data/upload/a.png")
        reasons.append(str(caught.value))

    assert "cannot be read" in reasons[0]
    assert all("it is asked again after" in reason for reason in reasons[1:])


def test_a_host_that_is_always_a_little_too_slow_is_left_alone_for_longer_and_longer(home: Site):
    now = [0.0]
    home.answer = (200, {}, b"picture")
    home.slow = lambda: now.__setitem__(0, now[0] + 9.0)
    fetch = fetcher_for(home, clock=lambda: now[0])

    def ask(n_files: int) -> int:
        before = len(home.asked)
        for _ in range(n_files):
            with contextlib.suppress(MediaError):
                fetch("/a.png")
        return len(home.asked) - before

    assert ask(100) == 3  # 27 seconds, then it is paused
    now[0] += 30.0
    assert ask(100) == 3
    now[0] += 30.0
    assert ask(100) == 0
    now[0] += 30.0
    home.slow = lambda: None
    assert ask(100) == 100
