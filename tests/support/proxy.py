"""A proxy in front of Label Studio that breaks in the ways in which one is found broken."""

from __future__ import annotations

import http.client
import threading
import time
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal
from urllib.parse import urlsplit

_OURS = ("transfer-encoding", "content-length", "connection", "date", "server")
Mode = Literal["well", "down", "500", "html", "slow", "revoked"]
_PAGE = b"<!doctype html><html><body>502 Bad Gateway nginx</body></html>"
_DEAD = b'{"detail": "Token is blacklisted", "code": "token_not_valid"}'


class Proxy:
    """Passes requests on while `mode` is "well"."""

    def __init__(self, target: str) -> None:
        self.mode: Mode = "well"
        self.asked = 0
        proxy, there = self, urlsplit(target)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                proxy.asked += 1
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if proxy.mode == "down":
                    self.close_connection = True
                    return  # hangs up without a word
                if proxy.mode == "slow":
                    time.sleep(2.0)
                broken = {"500": (500, "text/plain", b"boom"), "html": (200, "text/html", _PAGE)}
                broken["revoked"] = (401, "application/json", _DEAD)
                if proxy.mode in broken:
                    self._answer(*broken[proxy.mode])
                    return
                with closing(http.client.HTTPConnection(there.hostname or "", there.port, timeout=60)) as onward:
                    onward.request(self.command, self.path, body or None, dict(self.headers))
                    answer = onward.getresponse()
                    self._pass_on(answer.status, answer.getheaders(), answer.read())

            do_POST = do_PATCH = do_DELETE = do_PUT = do_GET  # noqa: N815

            def _pass_on(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
                kept = [one for one in headers if one[0].lower() not in _OURS]
                self._send(status, kept, content)

            def _answer(self, status: int, kind: str, content: bytes) -> None:
                self._send(status, [("Content-Type", kind)], content)

            def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
                with suppress(BrokenPipeError, ConnectionResetError):  # the worker may have been stopped meanwhile
                    self.send_response(status)
                    for name, value in [*headers, ("Content-Length", str(len(content)))]:
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
