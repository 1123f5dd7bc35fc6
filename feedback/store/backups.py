"""Restore of an SQLite backup: only an undamaged one, into a store that is not in use, with erasures repeated."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feedback.errors import FeedbackError, FileError, StoreError
from feedback.store.database.drivers import make_private
from feedback.store.log.inbox import inbox_url
from feedback.store.store import Store, open_store

_WANTED = "Give a file that `hitl backup` wrote."


@dataclass(frozen=True, slots=True)
class Restored:
    """The restored events, the replaced database, and what was erased again."""

    events: int
    kept: Path | None  # the database that was replaced
    forgotten: int | None  # objects erased after the backup, and now again; None: unknown


def restore(backup: Path, target: Path, *, erase: Callable[[Store, str, int], object]) -> Restored:
    """Replace a store by a backup; the replaced store is kept in the same folder under another name.

    FileError where the file is no backup, and StoreError where the backup is broken or a process still has the store
    open; nothing is changed then. A sweep of every project is wanted: Label Studio knows what happened since. `erase`
    takes a person out of a project, wherever that reaches.
    """
    if not backup.is_file():
        raise FileError(f"there is no file {backup}.", hint=_WANTED)
    _check_is_backup(backup)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = target.with_name(target.name + ".restoring")
    _remove(part)
    try:
        make_private(part)
        shutil.copyfile(backup, part)
        with closing(_opened(part, backup)) as store:  # brings an older backup to our revision
            found = _verified(store, "the backup is damaged")
            n_erased = _repeat_erasures(target, store, erase) if target.exists() else 0
            if n_erased:
                found = _verified(store, "the backup cannot be used with what was erased since")
            for row in store.projects.list_projects():
                store.jobs.request_job(row.id, "sweep")
        kept = _rename_replaced(target) if target.exists() else None
        part.replace(target)
        _sync(target.parent)
    finally:
        _remove(part)
    return Restored(int(found["events"]), kept, n_erased)


def _verified(store: Store, problem: str) -> Mapping[str, Any]:
    """Return what a check of the whole store found; StoreError where something is wrong."""
    found = store.verify()
    if (found["chain"], found["projection"]) != ("ok", "ok"):
        raise StoreError(f"{problem}: {found['chain']}, {found['projection']}.")
    return found


def _check_is_backup(backup: Path) -> None:
    """Raise FileError for a file that is no store; opening it would make an empty store of an empty file."""
    try:
        with closing(sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise FileError(f"{backup} is not a backup: {error}.", hint=_WANTED) from None
    if "event" not in tables or "payload" not in tables:
        raise FileError(f"{backup} is not a backup: it has no event log.", hint=_WANTED)


def _opened(path: Path, backup: Path) -> Store:
    try:
        return open_store(f"sqlite:///{path.absolute()}")
    except FeedbackError as error:
        raise FileError(f"{backup} is not a backup: {error}", hint=_WANTED) from error


def _repeat_erasures(target: Path, store: Store, erase: Callable[[Store, str, int], object]) -> int | None:
    """Repeat the erasures made after the backup; return how many, None if unknown."""
    try:
        with closing(open_store(f"sqlite:///{target.absolute()}")) as replaced:
            wanted = set(replaced.events.list_erased()) - set(store.events.list_erased())
            people = set(replaced.events.list_erased_people()) - set(store.events.list_erased_people())
    except FeedbackError:
        return None  # the replaced store cannot be read; perhaps it is restored for that reason
    for project, person in sorted(people):  # first: their annotations lead to the copies of their answers
        erase(store, project, person)
    for project, entity, number, until in sorted(wanted):
        task, annotation = (number, None) if entity == "task" else (None, number)
        store.erasure.erase_data(project, task=task, annotation=annotation, until=until)
    return len(wanted)


def _rename_replaced(target: Path) -> Path:
    """Rename the replaced store, once no process has it open; it keeps its old name until the new store takes it."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(target, timeout=1.0)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=DELETE")  # needs the file for itself, and empties the -wal into it
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise StoreError(
                    f"{target} is in use.", hint="Stop `hitl serve`, web and worker, then restore again."
                ) from error
            raise
    kept = target.with_name(f"{target.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    for ending in ("-wal", "-shm"):  # left only where the file could not be opened
        rest = target.with_name(target.name + ending)
        if rest.exists():
            rest.replace(kept.with_name(kept.name + ending))
    try:
        os.link(target, kept)  # a kill at any point leaves one of the two stores in place
    except OSError:  # not every file system can
        target.replace(kept)
    return kept


def _remove(path: Path) -> None:
    inbox = Path(inbox_url(f"sqlite:///{path.absolute()}").removeprefix("sqlite:///"))  # opening a store makes one
    for database in (path, inbox):
        for ending in ("", "-wal", "-shm"):
            database.with_name(database.name + ending).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Make the new name itself durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
