"""The command of the web processes, and the folder in memory where they count, apart from the disk of the data."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from feedback.settings import Settings

_MEMORY = Path("/dev/shm")  # noqa: S108  # nosec B108  # used only as a folder of our own inside it, see below


def gunicorn_command(settings: Settings) -> list[str]:
    """Return the command of the web processes: threads for waiting, processes for computing, no preload."""
    return [
        sys.executable, "-m", "gunicorn", "feedback.app.web_app:create()",
        "--worker-class", "ml_backend.app.slow_client_worker.SlowClientWorker",
        "--workers", str(settings.web_workers),
        "--threads", str(settings.web_threads),
        "--bind", f"{settings.host}:{settings.port}",
        "--timeout", "120",
        "--graceful-timeout", "10",
        "--keep-alive", "15",
        "--no-control-socket",
        "--forwarder-headers", "",  # else a caller could move the paths by a SCRIPT_NAME header
        "--log-level", settings.log_level,
    ]  # fmt: skip


def empty_metrics_directory(data_dir: Path) -> Path:
    """Return an empty folder that only this user may read, the same one at each start for the same data directory.

    It is never on the disk of the data: prometheus-client maps its files into memory, and a write to a mapped page on a
    full disk kills the process (SIGBUS).
    """
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    name = hashlib.sha256(str(data_dir.absolute()).encode()).hexdigest()[:16]
    folder = parent / f"hitl-{os.getuid()}-{name}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not _is_own_folder(folder):  # another user took this name first, or it is a link
            return Path(tempfile.mkdtemp(prefix="hitl-", dir=parent))
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return folder


def _is_own_folder(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
