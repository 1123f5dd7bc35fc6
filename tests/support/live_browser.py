"""A browser that stays open: pages that never come to rest, asked through the DevTools protocol over two pipes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.browser import QUIET, program

_PATIENCE_S = 60.0
_PAUSE_S = 0.2


class LiveBrowser:
    """One tab of a Chromium without a window; a context manager that ends it.

    The protocol: https://chromedevtools.github.io/devtools-protocol. Over `--remote-debugging-pipe` it needs no
    WebSocket client: commands go to file descriptor 3, answers come from 4, each with a zero byte at its end.
    """

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="browser-")
        to_browser, self._send_end = os.pipe()
        self._read_end, from_browser = os.pipe()

        def connect() -> None:
            first, second = os.dup(to_browser), os.dup(from_browser)  # neither may be overwritten by the other
            os.dup2(first, 3)
            os.dup2(second, 4)

        command = [program() or "chromium", *QUIET, "--window-size=1400,1200", "--remote-debugging-pipe"]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={self._folder}", "about:blank"],
            close_fds=False,
            preexec_fn=connect,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._rest, self._number = b"", 0
        tab = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]

    def __enter__(self) -> LiveBrowser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._send_end)
        os.close(self._read_end)
        shutil.rmtree(self._folder, ignore_errors=True)

    def set_cookies(self, url: str, cookies: Mapping[str, str]) -> None:
        for name, value in cookies.items():
            self._page("Network.setCookie", url=url, name=name, value=value)

    def open(self, url: str) -> None:
        self._page("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; None where it throws."""
        return self._page("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait_for(self, expression: str, *, patience_s: float = _PATIENCE_S) -> bool:
        """Whether an expression becomes true in time."""
        deadline = time.monotonic() + patience_s
        while not (found := bool(self.evaluate(expression))) and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
        return found

    def screenshot(self, path: Path) -> None:
        import base64

        path.write_bytes(base64.b64decode(self._page("Page.captureScreenshot")["data"]))

    def _page(self, method: str, **params: Any) -> dict[str, Any]:
        return self._call(method, session=self._session, **params)

    def _call(self, method: str, *, session: str = "", **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": session} if session else {}
        os.write(self._send_end, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        found: dict[str, Any] = answer["result"]
        return found

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._read_end, 1 << 16)
            if not part:
                raise RuntimeError("the browser has ended")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found
