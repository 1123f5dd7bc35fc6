"""A task's address leads to Label Studio and to named hosts; every other way out is shut."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ml_backend.errors import LabelStudioError, SettingsError
from ml_backend.features import media_fetcher
from ml_backend.features.media import Media, MediaError
from ml_backend.features.media_fetcher import MediaFetcher


class Site:
    """A web server on loopback that remembers what was asked; routes are path -> (status, headers, body)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.routes: dict[str, tuple[int, dict[str, str], bytes]] = {"/a.png": (200, {}, b"picture")}
        self.slow: Callable[[], object] = lambda: None
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers.get("Authorization")))
                site.slow()
                status, headers, body = site.routes.get(self.path.partition("?")[0], (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"


@pytest.fixture
def sites() -> Iterator[Callable[[], Site]]:
    made: list[Site] = []

    def make() -> Site:
        made.append(Site())
        threading.Thread(target=made[-1].server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return made[-1]

    yield make
    for site in made:
        site.server.shutdown()
        site.server.server_close()


@pytest.fixture
def home(sites: Callable[[], Site]) -> Site:
    return sites()


def at_home(home: Site, **options: object) -> MediaFetcher:
    return MediaFetcher(home.url, authorization=lambda: "Bearer token-of-ours", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["/a.png", "{home}/a.png", "/a.png?x=1"])
def test_label_studios_own_files_come_with_our_token(home: Site, address: str):
    assert at_home(home)(address.format(home=home.url)) == b"picture"
    assert home.asked[0][1] == "Bearer token-of-ours"


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "ftp://example.org/a",
        "gopher://127.0.0.1/",
        "//evil.example/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://localhost:22/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://user:pw@127.0.0.1/",
        "http://evil.example/a.png",
        "http://evil.example#@cdn.example.org/",
        "http://cdn.example.org@evil.example/",
        "http://cdn.example.org\\@evil.example/",
        "http://cdn.example.org.evil.example/",
        "http://evilcdn.example.org/",
        "http://cdn.example.org:22/",
        "http://cdn.example.org /",
        "http://exa\nmple.org/",
        "http://[bad/",
        "http://127.0.0.1:99999/",
        "s3://bucket/a",
        "a.png",
        "",
    ],
)
def test_no_other_way_leads_out(home: Site, address: str):
    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError(f"{host} was looked up")

    with pytest.raises(MediaError):
        at_home(home, hosts=["cdn.example.org"], resolve=resolve)(address)
    assert home.asked == []


def test_a_named_host_is_asked_without_our_token(home: Site, sites: Callable[[], Site]):
    other = sites()
    fetch = at_home(home, hosts=[f"private:files.example:{other.port}"], resolve=lambda host, port: ["127.0.0.1"])

    assert fetch(f"http://files.example:{other.port}/a.png") == b"picture"
    assert other.asked == [("/a.png", None)]


@pytest.mark.parametrize("where", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "0.0.0.0", "100.64.0.1"])  # noqa: S104
def test_a_named_host_that_turns_out_to_be_inside_is_not_asked(home: Site, where: str):
    fetch = at_home(home, hosts=["cdn.example.org"], resolve=lambda host, port: ["93.184.216.34", where])

    with pytest.raises(MediaError, match="not a public address"):
        fetch("https://cdn.example.org/a.png")


def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_that_is_asked(
    home: Site, sites: Callable[[], Site]
):
    inside = sites()
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    fetch = at_home(home, hosts=[f"private:x.example:{inside.port}"], resolve=lambda host, port: next(answers))

    assert fetch(f"http://x.example:{inside.port}/a.png") == b"picture"
    assert next(answers) == ["169.254.169.254"]  # never asked for


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/", "file:///etc/passwd", "{other}/a.png", "//evil.example/"]
)
def test_a_redirect_stands_under_the_same_rules(home: Site, sites: Callable[[], Site], target: str):
    other = sites()
    home.routes["/r"] = (302, {"Location": target.format(other=other.url)}, b"")

    with pytest.raises(MediaError):
        at_home(home)("/r")
    assert other.asked == []


def test_a_redirect_within_the_rules_is_followed_and_a_circle_is_left(home: Site):
    home.routes["/r"] = (302, {"Location": "a.png"}, b"")
    home.routes["/circle"] = (302, {"Location": "/circle"}, b"")

    assert at_home(home)("/r") == b"picture"
    with pytest.raises(MediaError, match="redirected more than"):
        at_home(home)("/circle")


def test_a_file_without_end_is_cut_at_the_limit(home: Site):
    home.routes["/big"] = (200, {}, b"x" * 100_000)

    with pytest.raises(MediaError, match="more than 1000 bytes"):
        at_home(home, max_bytes=1000)("/big")


def test_a_file_that_drips_is_given_up_after_its_time(home: Site):
    now = [0.0]
    home.slow = lambda: now.__setitem__(0, 11.0)

    with pytest.raises(MediaError, match="longer than 10 s"):
        at_home(home, clock=lambda: now[0])("/a.png")


def test_a_silent_host_is_not_asked_again_at_once(monkeypatch: pytest.MonkeyPatch, home: Site):
    monkeypatch.setattr(media_fetcher, "_CONNECT_S", 0.2)
    home.server.shutdown()
    home.server.server_close()
    fetch = at_home(home)

    with pytest.raises(MediaError, match="cannot be read"):
        fetch("/a.png")
    began = time.monotonic()
    for _ in range(1000):
        with pytest.raises(MediaError, match="is asked again"):
            fetch("/a.png")
    assert time.monotonic() - began < 2.0


def test_what_is_not_there_says_so_without_the_query(home: Site):
    with pytest.raises(MediaError, match="status 404") as caught:
        at_home(home)("/none?signature=secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["http://x", "x/y", "*", "u@x", "private:"])
def test_a_setting_that_is_no_host_is_refused(host: str):
    with pytest.raises(SettingsError, match="not a host"):
        MediaFetcher(hosts=[host])


@pytest.mark.parametrize("path", ["/elsewhere/a.png", "/labels/../a.png", "/labels/%2e%2e/a.png"])
def test_another_service_on_the_host_of_label_studio_gets_no_token(home: Site, path: str):
    home.routes["/labels/a.png"] = (200, {}, b"picture")
    fetch = MediaFetcher(f"{home.url}/labels", authorization=lambda: "Bearer token-of-ours")

    with pytest.raises(MediaError, match="not allowed"):
        fetch(path)
    assert fetch("/labels/a.png") == b"picture"


def test_a_token_that_cannot_be_had_is_a_reason_like_any_other(home: Site):
    def none() -> str:
        raise LabelStudioError("no answer from Label Studio")

    with pytest.raises(MediaError, match="no answer from Label Studio"):
        MediaFetcher(home.url, authorization=none)("/a.png")


def test_media_uses_the_fetcher(home: Site):
    assert Media(fetch=at_home(home)).read_bytes("/a.png") == b"picture"
