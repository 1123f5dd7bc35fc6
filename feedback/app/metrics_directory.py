"""The metrics directory: a folder in memory where the web processes count, apart from the disk of the data."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108  # nosec B108  # used only as a folder of our own inside it, see below


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
