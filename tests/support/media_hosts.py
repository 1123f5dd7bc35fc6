"""Web servers on loopback from which media are fetched: a usual one, and one that drips."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ml_backend.features.media_fetcher import MediaFetcher

TOKEN = "Bearer token-of-ours"


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


def fetcher_for(home: Site, **options: object) -> MediaFetcher:
    return MediaFetcher(home.url, authorization=lambda: TOKEN, **options)  # type: ignore[arg-type]


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
        self._socket.shutdown(socket.SHUT_RDWR)  # or a thread that waits in accept keeps it open
        self._socket.close()
