"""A real Label Studio on loopback, without browser and network calls, for the demo and the end-to-end tests."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import httpx

from ml_backend.child_processes import start_process, stop_process
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.accounts import Account, log_in

BULK_FLAG = "fflag_fix_back_4620_memory_efficient_predictions_import_08012025_short"

_LOCAL = {
    "LATEST_VERSION_CHECK": "false",  # it sends nothing to the internet
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "COLLECT_ANALYTICS": "false",
    "USE_DEFAULT_BANNED_SUBNETS": "false",  # its SSRF guard stays for private networks, but does not block loopback
    "USER_ADDITIONAL_BANNED_SUBNETS": "10.0.0.0/8,100.64.0.0/10,169.254.0.0/16,172.16.0.0/12,192.168.0.0/16",
}
_PASSED_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT")  # others would configure it
_START_S = 180.0  # a cold start takes 25 s on an idle machine, a minute on a busy one
_STOP_S = 15.0


class LocalLabelStudio:
    """One Label Studio process with its own data directory; a context manager that stops it.

    Legacy tokens are off (the default), so `admin.token` is a personal access token. `fast_bulk` sets the flag that
    makes bulk predictions fast.
    """

    def __init__(self, data_dir: Path, *, port: int | None = None, fast_bulk: bool = True) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.email = "admin@example.com"
        self.fast_bulk = fast_bulk
        self.log_path = data_dir / "label-studio.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._admin: Account | None = None

    @property
    def password(self) -> str:
        """Return the administrator's password, which is created once and stored in the data directory."""
        path = self.data_dir / "admin.password"
        if not path.exists():
            self.data_dir.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(12))
        return path.read_text()

    @property
    def admin(self) -> Account:
        """Return the administrator with a new personal access token."""
        if self._admin is None:
            self._admin = log_in(self.url, self.email, self.password, replace_token=True)
        return self._admin

    def __enter__(self) -> LocalLabelStudio:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until `/health` answers; LabelStudioError shows the end of the log where it does not."""
        if self._process is not None:
            return
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) == 0:  # Label Studio would silently use the next port
                raise LabelStudioError(f"port {self.port} is taken.", hint="Choose another port, or stop what uses it.")
        program = Path(sys.executable).with_name("label-studio")
        if not program.exists():
            raise LabelStudioError(
                f"label-studio is not installed in {program.parent}.",
                hint="Install it: pip install 'label-studio-hitl[demo]'.",
            )
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._log = self.log_path.open("ab")
        command = [str(program), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(self.port)]
        self._process = start_process(
            [*command, "--data-dir", str(self.data_dir)], env=self._environment(), output=self._log
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process: SIGTERM, then SIGKILL after a while. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            stop_process(process, timeout_s=_STOP_S)
        if self._log is not None:
            self._log.close()
            self._log = None

    def _environment(self) -> dict[str, str]:
        """Return only what Label Studio needs: a DATABASE_* or proxy variable of this process must not reach it."""
        return {
            **{name: os.environ[name] for name in _PASSED_VARIABLES if name in os.environ},
            **_LOCAL,
            "HOME": str(self.data_dir),
            "LABEL_STUDIO_HOST": self.url,
            "LABEL_STUDIO_USERNAME": self.email,
            "LABEL_STUDIO_PASSWORD": self.password,  # not on the command line, which all users can read
            "TASK_LOCK_TTL": "900",  # seconds that an opened task stays with a person
            BULK_FLAG: "true" if self.fast_bulk else "false",
        }

    def _wait(self) -> None:
        if self._process is None or is_healthy(self._process, self.url, timeout_s=_START_S):
            return
        status = self._process.poll()
        what = f"stopped while starting (exit {status})"
        if status is None:
            what = f"did not answer within {_START_S:.0f} s"
        raise LabelStudioError(f"Label Studio {what}. {describe_log_end(self.log_path)}")


def is_healthy(process: subprocess.Popen[bytes], url: str, *, timeout_s: float) -> bool:
    """Wait until a server that was just started answers /health; return False when it ends or takes too long."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=2.0, trust_env=False).status_code == httpx.codes.OK:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    return False


def describe_log_end(path: Path) -> str:
    """Return a sentence with the last five lines of a log."""
    lines = path.read_text(errors="replace").splitlines()[-5:] if path.exists() else []
    return f"The end of {path.name}: {' | '.join(lines) or 'it is empty'}"


def free_port() -> int:
    """Return a free TCP port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
