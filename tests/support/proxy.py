"""A proxy in front of Label Studio that breaks in the ways in which one is found broken, and loses answers."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal
from urllib.parse import SplitResult, urlsplit

_OURS = ("transfer-encoding", "content-length", "connection", "date", "server")
Mode = Literal["well", "down", "500", "html", "slow", "revoked", "locked"]
_PAGE = b"<!doctype html><html><body>502 Bad Gateway nginx</body></html>"
_LOCKED = b'{"status_code": 500, "detail": "database is locked"}'
_DEAD = b'{"detail": "Token is blacklisted", "code": "token_not_valid"}'
_BROKEN: Mapping[Mode, list[tuple[int, str, bytes]]] = {
    "500": [(500, "text/plain", b"boom")],
    "html": [(200, "text/html", _PAGE)],
    "revoked": [(401, "application/json", _DEAD)],
    "locked": [(500, "application/json", _LOCKED)],
}


class Proxy:
    """Passes requests on while `mode` is "well".

    `lose` is asked about each answer, by method and path: all but "well" takes its place, though the work was done.
    `change` may change the body of a request: (method, path, body) -> body.
    """

    def __init__(self, target: str) -> None:
        self.mode: Mode = "well"
        self.lose: Callable[[str, str], Mode] = lambda _method, _path: "well"
        self.change: Callable[[str, str, bytes], bytes] = lambda _method, _path, body: body
        self.asked = 0
        handler = type("Handler", (_Handler,), {"proxy": self, "there": urlsplit(target)})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    there: SplitResult

    def do_GET(self) -> None:
        proxy = self.proxy
        proxy.asked += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._is_broken(proxy.mode):
            return
        body = proxy.change(self.command, self.path, body)
        kept = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        with closing(http.client.HTTPConnection(self.there.hostname or "", self.there.port, timeout=60)) as onward:
            onward.request(self.command, self.path, body or None, kept)
            answer = onward.getresponse()
            content = answer.read()
            if not self._is_broken(proxy.lose(self.command, self.path)):
                self._pass_on(answer.status, answer.getheaders(), content)

    def _is_broken(self, mode: Mode) -> bool:
        """Break in this way; False where nothing is broken."""
        self.close_connection |= mode == "down"  # hangs up without a word
        time.sleep(2.0 * (mode == "slow"))
        for answer in _BROKEN.get(mode, ()):
            self._answer(*answer)
        return mode == "down" or mode in _BROKEN

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
