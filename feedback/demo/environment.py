"""The environment of the demo: a real Label Studio and `hitl serve` on loopback, with a data directory of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from feedback.errors import ServiceError
from ml_backend.labelstudio.local_server import describe_log_end, free_port, is_healthy, stop_process

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
            if not is_healthy(process, f"http://127.0.0.1:{port}", timeout_s=_START_S):
                raise ServiceError(f"hitl serve did not come up. {describe_log_end(log)}")
            yield environ
        finally:
            stop_process(process, timeout_s=_STOP_S)


def settings_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an environment that our settings read."""
    return {name: value for name, value in environ.items() if name.startswith(("HITL_", "LABEL_STUDIO_"))}
