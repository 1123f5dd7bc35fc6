"""Who else may write the data directory: such a person can replace answers, models and secrets."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from ml_backend.labelstudio.doctor import Finding
from ml_backend.left_out import name_some


def find_writable_by_others(folder: Path) -> list[Path]:
    """Return the parts of a data directory that others than this user and root may write or replace; POSIX only.

    Looked at are the directory, everything directly in it, and the directories above it, in which it could be
    replaced. A sticky bit (as /tmp has) prevents that; a group of which nobody else is a member is no danger.
    """
    if os.name != "posix":
        return []
    place = folder.resolve()
    found = [path for path in (place, *_list(place)) if _may_others_write(path)]
    return found + [path for path in place.parents if _may_others_write(path) and not _is_sticky(path)]


def access_findings(folder: Path) -> list[Finding]:
    """Return a warning where others may write the data directory."""
    found = find_writable_by_others(folder)
    if not found:
        return []
    what = f"others may write the data directory, and with it answers, models and secrets: {name_some(found)}."
    fix = "Let it belong to the user of the service, and run `chmod go-w` on these paths."
    return [Finding("file access", "warning", what, fix)]


def _list(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if not path.is_symlink())
    return []


def _may_others_write(path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False  # not there yet, or not ours to see: the store says what is wrong
    if status.st_uid not in (os.geteuid(), 0):
        return True  # its owner may always write it
    return bool(status.st_mode & stat.S_IWOTH) or (
        bool(status.st_mode & stat.S_IWGRP) and not _is_own_group(status.st_gid)
    )


def _is_sticky(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_ISVTX)


def _is_own_group(group: int) -> bool:
    """Return whether a group is root's, or that which many systems make for each user."""
    import grp
    import pwd

    try:
        entry, user = grp.getgrgid(group), pwd.getpwuid(os.geteuid())
    except KeyError:  # a container may run as a user without a name
        return group == 0
    return group == 0 or (entry.gr_name == user.pw_name and not set(entry.gr_mem) - {user.pw_name})
