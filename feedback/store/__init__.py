"""The store: an append-only log of what people did, what follows from it, and what the service remembers."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from feedback.errors import SchemaError, StoreError
from feedback.store.database.drivers import Durability
from feedback.store.database.engine import WAIT_S, Database
from feedback.store.log import erase, replay
from feedback.store.log.event_log import Log
from feedback.store.log.events import Event, Source, of_one_task
from feedback.store.log.inbox import Inbox, inbox_url
from feedback.store.log.replay import Progress
from feedback.store.migrations import migrate
from feedback.store.repositories.case_rows import CaseEvent, CaseRow, OverrideRow, ReviewRow
from feedback.store.repositories.cases import Cases
from feedback.store.repositories.counts import Counts, OverrideCount, ProjectCounts, QueueCounts
from feedback.store.repositories.decisions import Decision, Decisions, Standing
from feedback.store.repositories.event_queries import Lookups
from feedback.store.repositories.external_names import External
from feedback.store.repositories.indicator_values import Fact, Indicators, drop_facts
from feedback.store.repositories.models import Models
from feedback.store.repositories.overlap_votes import Crowd, CrowdVote
from feedback.store.repositories.projects import Projects
from feedback.store.repositories.records import Records
from feedback.store.repositories.secrets import Secrets
from feedback.store.repositories.sessions import SessionRow, Sessions
from feedback.store.repositories.signal_rows import Newest, Signal, Signals
from feedback.store.repositories.votes import Reads
from feedback.store.repositories.work import Works
from feedback.store.rows import (
    Appended,
    Checked,
    Forgotten,
    Person,
    Problem,
    ProjectRow,
    Record,
    Skip,
    Stats,
    TaskRow,
    Version,
    Vote,
    Waiting,
    WindowRow,
    Work,
    WorkRow,
)
from feedback.store.tables.personal_data import Whom
from ml_backend.records import Task

__all__ = [
    "Appended",
    "CaseEvent",
    "CaseRow",
    "Checked",
    "CrowdVote",
    "Decision",
    "Fact",
    "Forgotten",
    "Newest",
    "OverrideCount",
    "OverrideRow",
    "Person",
    "Problem",
    "ProjectCounts",
    "ProjectRow",
    "QueueCounts",
    "Record",
    "ReviewRow",
    "SessionRow",
    "Signal",
    "Skip",
    "Standing",
    "Stats",
    "Store",
    "TaskRow",
    "Version",
    "Vote",
    "Waiting",
    "Whom",
    "WindowRow",
    "Work",
    "WorkRow",
    "open_store",
]

_LOG = logging.getLogger(__name__)
_LOOK_AGAIN_S = 2.0  # for a database that was away


def open_store(
    url: str,
    *,
    clock: Callable[[], float] = time.time,
    durability: Durability = "full",
    wait_s: float = WAIT_S,
    patient: bool = False,
) -> Store:
    """Open a store, creating or upgrading its tables: `sqlite:////path/to/file` or `postgresql+psycopg://…`.

    `durability="normal"` survives a killed process, not a power cut. `wait_s` is for a lock that somebody else holds.
    `patient` opens also where the database is away: every use raises StoreError until it is back, which is looked for.
    Open it after forking, once in each process.
    """
    database = Database(url, clock=clock, durability=durability, wait_s=wait_s)
    beside = inbox_url(url)
    box = Database(beside, clock=clock, durability=durability, wait_s=wait_s) if beside else database
    store = Store(database, box)
    try:
        store.prepare()
    except BaseException as error:
        if not patient or not isinstance(error, StoreError) or isinstance(error, SchemaError):
            store.close()
            raise
        _LOG.error("the store is away: %s %s", error, error.hint)
        threading.Thread(target=_prepare_later, args=(store,), name="migrate", daemon=True).start()
    return store


def _prepare_later(store: Store) -> None:
    while True:
        time.sleep(_LOOK_AGAIN_S)
        try:
            store.prepare()
        except StoreError as error:
            _LOG.warning("the store is still away: %s", error)
        else:
            _LOG.info("the store is back")
            return


class Store(
    Reads,
    Lookups,
    Records,
    Projects,
    Secrets,
    Works,
    Decisions,
    Signals,
    External,
    Cases,
    Indicators,
    Counts,
    Crowd,
    Sessions,
):
    """Everything that is kept, behind one name; each part has its own file in this folder.

    Whatever changes something returns once it is durable. Inside `transaction`, that is when the block ends.
    """

    def __init__(self, database: Database, box: Database) -> None:
        self._database, self._box = database, box
        self._log = Log(database, on_change=self._wanted)
        self._inbox = Inbox(box, database, self._log.fold)
        self._turns_at = {}
        self.registry = Models(database, self)

    def prepare(self) -> None:
        """Create or upgrade the tables."""
        migrate(self._database)
        self._inbox.prepare()

    def append(self, events: Iterable[Event], *, want: str | None = "turn") -> Appended:
        """Store the events that are new, and ask for work where they change what can be learned or asked.

        Loses nothing, orders by nothing: the newest version wins, and deletion wins, until Label Studio gives the
        number to another thing or shows this one again. Our own annotations, bots' annotations, and tasks of which
        only updated_at moved ask for no work. A number that passed on without a deletion asks for a sweep, too.
        """
        if not self._database.writing:  # what came before is known before
            self.take_in()
        return self._log.append(events, want=want)

    def receive(self, events: Iterable[Event], *, want: str | None = "turn") -> None:
        """Keep events durably, within a millisecond or two; `take_in` appends them, soon."""
        self._inbox.receive(events, want=want)

    def take_in(self, *, again: bool = False) -> int:
        """Append all that was received; gives how many deliveries. `again` also tries those that failed before."""
        if again:
            self._inbox.try_again()
        return self._inbox.take_in()

    def waiting(self) -> Waiting:
        """What was received and is not taken in yet."""
        return self._inbox.waiting()

    def append_tasks(self, tasks: Iterable[Task], *, source: Source) -> Appended:
        """Store tasks as Label Studio has just answered them; asks for no work."""
        seen_s = self._database.clock()
        return self._log.append([of_one_task(task, source, seen_s=seen_s) for task in tasks])

    def transaction(self, work: Work | None = None) -> AbstractContextManager[object]:
        """Make the writes of a block one: all are kept or none. With `work`, LeaseLost where it is no longer held."""
        return self._database.write() if work is None else self.fenced(work)

    def verify(self, project: str | None = None) -> dict[str, Any]:
        """Prove log and projections: {"events": N, "chain": "ok", "projection": "ok"}, or the first break in words."""
        self.take_in()
        return replay.verify(self._database, project)

    def rebuild(
        self, *, check: bool = False, project: str | None = None, tell: Progress = lambda _project, _done, _total: None
    ) -> Checked:
        """Derive the projections anew from the log; with `check`, only compare them with the stored ones.

        Needed after a new codec can read what an older one could not. Writers wait meanwhile, on SQLite those of every
        project: about ten seconds for 100,000 events. `tell` hears how far each project is: name, done, of how many.
        """
        self.take_in()
        with self._database.read() as connection:
            names = replay.projects(connection) if project is None else [project]
        done = [self._check(name, tell) if check else self._rebuild(name, tell) for name in names]
        differs = next((one.differs for one in done if not one.ok), "")
        return Checked(not differs, hashlib.sha256("".join(one.digest for one in done).encode()).hexdigest(), differs)

    def projection_hash(self, project: str) -> str:
        """Hash what is known of a project: equal wherever the same is known, in whatever order it came."""
        self.take_in()
        with self._database.read() as connection:
            return replay.digest(connection, project)

    def forget(
        self,
        project: str,
        *,
        person: int | None = None,
        task: int | None = None,
        annotation: int | None = None,
        until: str = "",
        emails: Iterable[str] = (),
    ) -> Forgotten:
        """Erase what a person said, or a task and all that was said of it, for ever; the chain still verifies.

        In one project; `feedback.privacy.erasure` also reaches its review projects. `emails` are theirs.
        `until`: of all things that had the number one after another, those that were created until then.
        """
        self._inbox.forget(project, person=person, task=task)
        forgotten = erase.forget(
            self._database,
            self._log,
            project,
            person=person,
            task=task,
            annotation=annotation,
            until=until,
            emails=emails,
        )
        self.want(project, "turn")
        return forgotten

    def retell(self, project: str, task: Task) -> int:
        """Give a standing task other data, and erase for ever those that it had; gives how many payloads went."""
        self._inbox.forget(project, task=task.id)
        return erase.retell(self._database, self._log, project, task)

    def backup(self, path: str | Path) -> None:
        """Copy the whole store into a file while it is in use (SQLite; PostgreSQL has pg_dump)."""
        self.take_in()  # the inbox is in no backup
        self._database.backup(Path(path), beside=self._box)

    def probe(self) -> None:
        """Write something small durably; StoreError says why that is not possible now."""
        self.set_secret("probe", f"{self._database.clock():.3f}")
        self._inbox.probe()

    def close(self) -> None:
        """Give all connections back."""
        self._database.close()
        self._box.close()

    def _wanted(self, connection: Connection, project: str, kind: str) -> None:
        at = self.turns_at(project, connection)
        row = self.project(at) if kind == "sweep" else None
        if kind != "sweep":
            self.want(at, kind, connection=connection)
        elif row is not None and row.connected:  # nobody sweeps what is not connected
            self.want(project, kind, connection=connection)

    def _rebuild(self, project: str, tell: Progress) -> Checked:
        with self._database.write() as connection:
            drop_facts(connection, project)
            return replay.rebuild(self._database, project, tell)  # joins this transaction

    def _check(self, project: str, tell: Progress) -> Checked:
        with self._database.read() as connection:
            return replay.check(connection, project, tell)
