"""Scratch: a folder in memory for what the web processes count, apart from the disk of the data."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108  # nosec B108  # used only as a folder of our own inside it, see below


def empty_scratch(data_dir: Path) -> Path:
    """Give an empty folder of this user's own, the same at each start for the same data.

    Never on the disk of the data: counts are mapped into memory, and a write to a mapped page that finds the disk full
    kills the process (SIGBUS); a service must outlive its full disk.
    """
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    name = hashlib.sha256(str(data_dir.absolute()).encode()).hexdigest()[:16]
    folder = parent / f"hitl-{os.getuid()}-{name}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not _is_ours(folder):  # somebody else was first with this name, or it is a link
            return Path(tempfile.mkdtemp(prefix="hitl-", dir=parent))
        for one in folder.iterdir():
            shutil.rmtree(one) if one.is_dir() else one.unlink()
    return folder


def _is_ours(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
