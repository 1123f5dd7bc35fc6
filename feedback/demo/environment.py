"""The environment of the demo: a real Label Studio and `hitl serve` on loopback, with a data directory of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from feedback.errors import ServiceError
from ml_backend.labelstudio.local_server import free_port

_START_S = 60.0
_STOP_S = 30.0


@contextmanager
def running_service(data_dir: Path, *, label_studio_url: str, api_key: str) -> Iterator[dict[str, str]]:
    """Run `hitl serve` while the block runs; yield the environment that it has.

    Raises
    ------
    ServiceError
        It does not answer; the message has the end of its log.
    """
    port = free_port()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HITL_", "LABEL_STUDIO_"))},
        "HITL_DATA_DIR": str(data_dir / "hitl"),
        "HITL_PORT": str(port),
        "HITL_TICK_S": "0.5",
        "LABEL_STUDIO_URL": label_studio_url,
        "LABEL_STUDIO_API_KEY": api_key,
    }
    log = data_dir / "hitl.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "feedback", "serve"], env=environ, stdout=out, stderr=out, start_new_session=True
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", log)
            yield environ
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def settings_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an environment that our settings read."""
    return {name: value for name, value in environ.items() if name.startswith(("HITL_", "LABEL_STUDIO_"))}


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(url, timeout=1.0, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    tail = " | ".join(log.read_text(errors="replace").splitlines()[-5:])
    raise ServiceError(f"hitl serve did not come up. The end of {log.name}: {tail}")
