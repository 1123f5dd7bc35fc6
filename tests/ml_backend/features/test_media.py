from __future__ import annotations

import base64
import contextlib
import io
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from ml_backend.errors import LabelStudioError, SettingsError
from ml_backend.features import media
from ml_backend.features.media import Media, MediaError, MediaFetcher, media_address
from tests.support.small_tasks import data_uri

GREY = np.full((10, 20), 200, np.uint8)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return "data:image/x;base64," + base64.b64encode(file.getvalue()).decode()


def opened(uri):
    return np.asarray(Media().open_image(uri, size=32))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_images_of_every_usual_kind_open_as_rgb(kind):
    pixels = opened(data_uri(GREY, kind))

    assert pixels.shape == (10, 20, 3)
    assert abs(int(pixels[5, 5, 0]) - 200) <= 2


def test_transparent_parts_are_white_as_on_a_page():
    layer = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    palette = Image.new("P", (4, 4), 0)

    assert opened(encoded(layer)).min() == 255
    assert opened(encoded(palette, transparency=0)).min() == 255


def test_sixteen_bits_are_stretched_not_cut():
    levels = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)

    pixels = opened(encoded(Image.fromarray(levels)))

    assert pixels[0, 0, 0] == 0
    assert pixels[-1, -1, 0] == 255
    assert 100 < pixels[4, 0, 0] < 155


def test_a_large_image_is_made_small():
    draw = np.random.default_rng(0)
    big = np.repeat(np.repeat(draw.integers(0, 255, (8, 8)), 100, 0), 100, 1).astype(np.uint8)

    for uri in (data_uri(big), data_uri(big, "JPEG"), data_uri(np.dstack([big] * 3))):
        pixels = opened(uri)

        assert 32 <= min(pixels.shape[:2]) <= 200
        assert abs(int(pixels[4, 4, 0]) - int(big[50, 50])) <= 3


def test_a_photograph_is_turned_as_its_camera_was():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter

    pixels = opened(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif))

    assert pixels.shape == (20, 10, 3)


def test_a_data_uri_may_be_written_with_percent_signs_or_broken_lines():
    uri = data_uri(GREY)
    head, _, body = uri.partition(",")
    raw = base64.b64decode(body)

    assert Media().read_bytes("data:image/png," + "".join(f"%{byte:02x}" for byte in raw)) == raw
    assert Media().read_bytes(f"{head},{body[:40]}\n  {body[40:]}") == raw


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest",
        "https://example.org/a.png",
        "file:///etc/passwd",
        "/data/upload/1/a.png",
        "s3://b/a",
    ],
)
def test_nothing_is_fetched_without_a_fetcher(address):
    with pytest.raises(MediaError, match="there is no fetcher"):
        Media().read_bytes(address)


def test_a_given_fetcher_is_called_within_the_limits():
    asked = []

    def fetch(address):
        asked.append(address)
        return b"x" * 11

    with pytest.raises(MediaError, match="11 bytes; the limit is 10"):
        Media(fetch=fetch, max_bytes=10).read_bytes("/data/upload/1/a.png")
    assert asked == ["/data/upload/1/a.png"]


def test_a_file_beyond_the_limit_is_refused_before_it_is_decoded():
    with pytest.raises(MediaError, match="limit"):
        Media(max_bytes=1_000).read_bytes("data:image/png;base64," + "A" * 10_000)
    with pytest.raises(MediaError, match="limit"):
        Media(max_bytes=1_000).read_bytes("data:image/png;base64," + "A" * 2_000)


@pytest.mark.parametrize("side", [9_000, 60_000])  # below and above the size at which Pillow itself takes fright
def test_a_decompression_bomb_is_refused_by_its_header(side):
    def chunk(kind, body):
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = chunk(b"IHDR", side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0]))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")

    with pytest.raises(MediaError, match=r"pixels|Decompression"):
        opened("data:image/png;base64," + base64.b64encode(bomb).decode())


def test_broken_files_are_one_kind_of_error():
    whole = base64.b64decode(
        data_uri(np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)).split(",")[1]
    )
    broken = [b"", b"not an image", whole[: len(whole) // 2], b"%PDF-1.4", b"II*\x00" + bytes(40)]
    broken += [whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :] for place in range(8, 60, 3)]

    for data in broken:
        uri = "data:image/png;base64," + base64.b64encode(data).decode()
        try:
            opened(uri)  # a flipped bit may leave an image
        except MediaError:
            continue


@pytest.mark.parametrize("value", ["data:image/png;base64", "data:image/png;base64,@@@@", 7, None, ""])
def test_what_is_no_data_uri_is_refused(value):
    with pytest.raises(MediaError):
        Media().read_bytes(value)


def test_only_addresses_are_read_from_a_task():
    assert media_address({"image": "data:,"}, "image") == "data:,"
    for data in ({}, {"image": None}, {"image": 3}, {"image": ["a"]}, None):
        assert media_address(data, "image") is None


class Site:
    """A web server on loopback that remembers what was asked; routes are path -> (status, headers, body)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.routes: dict[str, tuple[int, dict[str, str], bytes]] = {"/a.png": (200, {}, b"picture")}
        self.answer: tuple[int, dict[str, str], bytes] | None = None  # to every path
        self.slow: Callable[[], object] = lambda: None
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers.get("Authorization")))
                site.slow()
                route = self.path.partition("?")[0]
                status, headers, body = site.answer or site.routes.get(route, (404, {}, b""))
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


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/20/a.png",
        "{home}/data/upload/20/a%20b.png",
        "/data/local-files/?d=folder/a.png",
        "/tasks/5/resolve/?fileuri=czM6Ly9hL2I=",
        "/tasks/5/presign/?fileuri=czM6Ly9hL2I=",
        "/projects/5/resolve/?fileuri=czM6Ly9hL2I=",
    ],
)
def test_media_files_of_label_studio_come_with_our_token(home: Site, address: str):
    home.answer = (200, {}, b"picture")

    assert at_home(home)(address.format(home=home.url)) == b"picture"
    assert home.asked[0][1] == "Bearer token-of-ours"


@pytest.mark.parametrize(
    "address",
    [
        "/a.png",
        "/api/users",
        "/api/current-user/token",
        "/static/a.png",
        "/user/account",
        "/data/upload/../../api/users",
        "/data/upload/%2e%2e/%2e%2e/api/users",
        "/data/upload/..%2f..%2fapi/users",
        "/data/upload/%252e%252e/%252e%252e/api/users",
        "/data/upload/.%2e/x",
        "/data/upload//api/users",
        "/data//upload/a.png",
        "/data/upload/%5c..%5c..%5capi",
        "{home}/data/upload/..;/..;a=b/api/users",
        "/data/upload/%2e%2e%3b/api/users",
        "/data/upload",
        "/data/uploads/a.png",
        "/data/export/a.zip",
        "/tasks/5/resolve/../../../api/users",
        "/tasks/5/",
        "/tasks/x/resolve/",
        "/api/tasks/5/resolve/",
        "/api/data/upload/a.png",
        "{home}/api/projects/1/",
    ],
)
def test_no_other_path_of_label_studio_gets_our_token(home: Site, address: str):
    home.answer = (200, {}, b"secrets")

    with contextlib.suppress(MediaError):
        at_home(home)(address.format(home=home.url))
    assert {token for _, token in home.asked} <= {None}


@pytest.mark.parametrize("where", ["/data/upload/b.png", "{other}/data/upload/b.png", "/api/users"])
def test_the_token_is_not_sent_after_a_redirect(home: Site, sites: Callable[[], Site], where: str):
    other = sites()
    target = where.format(other=other.url)
    home.routes["/data/upload/a.png"] = (302, {"Location": target}, b"")
    home.routes["/data/upload/b.png"] = home.routes["/api/users"] = (200, {}, b"picture")
    other.routes["/data/upload/b.png"] = (200, {}, b"picture")
    fetch = at_home(home, hosts=[f"private:127.0.0.1:{other.port}"])

    assert fetch("/data/upload/a.png") == b"picture"
    assert [token for _, token in home.asked + other.asked] == ["Bearer token-of-ours", None]


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


def test_a_silent_host_is_not_requested_again_at_once(monkeypatch: pytest.MonkeyPatch, home: Site):
    monkeypatch.setattr(media, "_CONNECT_S", 0.2)
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


def test_a_missing_file_is_an_error_without_the_query(home: Site):
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
        MediaFetcher(home.url, authorization=none)("/data/upload/a.png")


def test_media_uses_the_fetcher(home: Site):
    assert Media(fetch=at_home(home)).read_bytes("/a.png") == b"picture"


class Dripper:
    """A host that accepts connections and sends these bytes over and over, one call a piece, until it is left."""

    def __init__(self, first: bytes, rest: bytes, every_s: float) -> None:
        self.asked = 0
        self._first, self._rest, self._every_s = first, rest, every_s
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.asked += 1
                threading.Thread(target=self._drip, args=(connection,), daemon=True).start()

    def _drip(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(65_536)
            connection.sendall(self._first)
            while True:
                connection.sendall(self._rest)
                time.sleep(self._every_s)

    def close(self) -> None:
        self._socket.close()


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
    monkeypatch.setattr(media, "_WHOLE_S", 0.5)
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
    fetch = at_home(home, clock=lambda: now[0], max_bytes=1_000)

    for _ in range(100):
        with contextlib.suppress(MediaError):
            fetch("/a.png")

    assert len(home.asked) <= 3


def test_a_host_is_one_host_however_it_is_written():
    host = Dripper(b"", b"", 0.0)
    host.close()  # nobody answers
    fetch = MediaFetcher(f"http://127.0.0.1:{host.port}")
    names = [f"127.0.0.1{dots}:{zeros}{host.port}" for dots in ("", ".", "..") for zeros in ("", "0", "000")]

    reasons = []
    for name in names:
        with pytest.raises(MediaError) as caught:
            fetch(f"http://{name}/data/upload/a.png")
        reasons.append(str(caught.value))

    assert "cannot be read" in reasons[0]
    assert all("was silent or slow" in reason for reason in reasons[1:])


def test_a_host_that_is_always_a_little_too_slow_is_left_alone_for_longer_and_longer(home: Site):
    now = [0.0]
    home.answer = (200, {}, b"picture")
    home.slow = lambda: now.__setitem__(0, now[0] + 9.0)
    fetch = at_home(home, clock=lambda: now[0])

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
