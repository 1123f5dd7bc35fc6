"""The store of one database: it opens, appends, verifies, rebuilds, backs up and erases; repositories do the rest."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from feedback.errors import SchemaError, StoreError
from feedback.store.database.drivers import Durability
from feedback.store.database.engine import WAIT_S, Database, stream
from feedback.store.log import replay
from feedback.store.log.event_erasure import Erasure
from feedback.store.log.event_log import Appended, Log
from feedback.store.log.events import Event, Source, event_from_task
from feedback.store.log.inbox import Inbox, InboxStatus, inbox_url
from feedback.store.log.replay import Progress, ProjectionCheck
from feedback.store.migrations import migrate
from feedback.store.repositories.annotations import AnnotationsRepository, VotesRepository
from feedback.store.repositories.cases import CasesRepository
from feedback.store.repositories.decisions import DecisionsRepository
from feedback.store.repositories.event_queries import EventsRepository
from feedback.store.repositories.indicators import IndicatorsRepository, delete_indicators
from feedback.store.repositories.jobs import JobClaim, JobsRepository
from feedback.store.repositories.liveness import LivenessRepository
from feedback.store.repositories.models import ModelsRepository
from feedback.store.repositories.policies import PoliciesRepository
from feedback.store.repositories.projects import ProjectsRepository
from feedback.store.repositories.records import RecordsRepository
from feedback.store.repositories.reviews import OverridesRepository, ReviewProjectsRepository, ReviewsRepository
from feedback.store.repositories.sessions import SecretsRepository, SessionsRepository
from feedback.store.repositories.signals import SignalsRepository
from feedback.store.repositories.tasks import TasksRepository
from feedback.store.repositories.uncounted import UncountedRepository
from feedback.store.repositories.windows import WindowsRepository
from feedback.store.tables import main_tables
from feedback.store.tables.personal_data import DataSubject, mentions, places
from ml_backend.records import Task

_LOG = logging.getLogger(__name__)
_RETRY_S = 2.0  # for a database that was away
_SECRET = ("digest",)  # of a session: it allows to act as the person
_JSON = ("feedback", "body", "answer", "shown", "problems", "value")


@dataclass(frozen=True, slots=True)
class StoreStats:
    """The number of rows of each kind, and the size of the database."""

    events: int
    tasks: int
    annotations: int
    votes: int
    models: int
    bytes: int


def open_store(
    url: str,
    *,
    clock: Callable[[], float] = time.time,
    durability: Durability = "full",
    wait_s: float = WAIT_S,
    patient: bool = False,
) -> Store:
    """Open a store, creating or upgrading its tables: `sqlite:////path/to/file` or `postgresql+psycopg://…`.

    `durability="normal"` survives a killed process, not a power cut. `wait_s` is the longest wait for a lock.
    `patient` opens also where the database is away: every use raises StoreError until it is back, which is looked for.
    Open it after forking, once in each process.
    """
    database = Database(url, clock=clock, durability=durability, wait_s=wait_s)
    inbox = inbox_url(url)
    box = Database(inbox, clock=clock, durability=durability, wait_s=wait_s) if inbox else database
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
        time.sleep(_RETRY_S)
        try:
            store.prepare()
        except StoreError as error:
            _LOG.warning("the store is still away: %s", error)
        else:
            _LOG.info("the store is back")
            return


class Store:
    """One database with a repository for each kind of row: `store.votes`, `store.tasks`, `store.cases` and so on.

    A method that changes something returns once the change is durable; inside `transaction`, once the block ends.
    """

    def __init__(self, database: Database, box: Database) -> None:
        self._database, self._box = database, box
        self._log = Log(database, on_change=self._request_job)
        self._inbox = Inbox(box, database, self._log.fold)
        self.annotations = AnnotationsRepository(database)
        self.cases = CasesRepository(database)
        self.decisions = DecisionsRepository(database)
        self.events = EventsRepository(database)
        self.indicators = IndicatorsRepository(database)
        self.jobs = JobsRepository(database)
        self.liveness = LivenessRepository(database)
        self.overrides = OverridesRepository(database)
        self.projects = ProjectsRepository(database, self._log)
        self.records = RecordsRepository(database)
        self.reviews = ReviewsRepository(database)
        self.secrets = SecretsRepository(database)
        self.sessions = SessionsRepository(database)
        self.signals = SignalsRepository(database)
        self.tasks = TasksRepository(database)
        self.uncounted = UncountedRepository(database)
        self.votes = VotesRepository(database)
        self.windows = WindowsRepository(database)
        self.policies = PoliciesRepository(database, self.projects, self.records, self.jobs)
        self.erasure = Erasure(database, self._log, self._inbox, cases=self.cases, records=self.records, jobs=self.jobs)
        self.registry = ModelsRepository(database, self.records)
        self.review_projects = ReviewProjectsRepository(database)

    def prepare(self) -> None:
        """Create or upgrade the tables."""
        migrate(self._database)
        self._inbox.prepare()

    def append(self, events: Iterable[Event], *, want: str | None = "turn") -> Appended:
        """Store the events that are new, and request work where they change what can be learned or asked.

        Order does not matter: the newest version wins, and a deletion wins until Label Studio reuses the id
        or shows the thing again. Our own annotations, bots' annotations, and tasks of which
        only updated_at moved ask for no work. An id that is reused without a deletion requests a sweep, too.
        """
        if not self._database.writing:  # what came before is known before
            self.ingest_inbox()
        return self._log.append(events, want=want)

    def receive(self, events: Iterable[Event], *, want: str | None = "turn") -> None:
        """Store events durably within a millisecond or two; `ingest_inbox` appends them later."""
        self._inbox.receive(events, want=want)

    def ingest_inbox(self, *, retry_failed: bool = False) -> int:
        """Append all deliveries that were received, with `retry_failed` also failed ones; return how many."""
        if retry_failed:
            self._inbox.retry_failed()
        return self._inbox.ingest()

    def get_inbox_status(self) -> InboxStatus:
        """Return the deliveries that are not ingested yet."""
        return self._inbox.get_status()

    def append_tasks(self, tasks: Iterable[Task], *, source: Source) -> Appended:
        """Store tasks from an API read of now; request no work."""
        seen_s = self._database.clock()
        return self._log.append([event_from_task(task, source, seen_s=seen_s) for task in tasks])

    def transaction(self, claim: JobClaim | None = None) -> AbstractContextManager[object]:
        """Run a block as one transaction. With `claim`, raise LeaseLost where the claim is no longer held."""
        return self._database.write() if claim is None else self.jobs.fence(claim)

    def verify(self, project: str | None = None) -> dict[str, Any]:
        """Return {"events": N, "chain": "ok", "projection": "ok"}, or a sentence about the first break for "ok"."""
        self.ingest_inbox()
        return replay.verify(self._database, project)

    def rebuild(
        self, *, check: bool = False, on_progress: Progress = lambda _project, _done, _total: None
    ) -> ProjectionCheck:
        """Rebuild the projections from the log; with `check`, only compare them with the stored ones.

        Needed after a new codec can read what an older one could not. Writers wait meanwhile, on SQLite those of every
        project: about ten seconds for 100,000 events. `on_progress` gets a project, the events done, and of how many.
        """
        self.ingest_inbox()
        with self._database.read() as connection:
            names = replay.projects(connection)
        done = [self._check(name, on_progress) if check else self._rebuild(name, on_progress) for name in names]
        differs = next((check.differs for check in done if not check.ok), "")
        return ProjectionCheck(
            not differs, hashlib.sha256("".join(check.digest for check in done).encode()).hexdigest(), differs
        )

    def backup(self, path: str | Path, *, may_replace: Callable[[], object] = lambda: None) -> None:
        """Copy the whole store into a file while it is in use (SQLite only; PostgreSQL has pg_dump).

        `may_replace` is called before an existing file is replaced; it raises where that is not wanted.
        """
        self.ingest_inbox()  # the inbox is in no backup
        self._database.backup(Path(path), inbox=self._box, may_replace=may_replace)

    def get_stats(self) -> StoreStats:
        """Count what the store holds."""
        event, task, annotation = main_tables.event, main_tables.task, main_tables.annotation
        vote, model = main_tables.vote, main_tables.model
        counted = {
            "events": select(func.count()).select_from(event),
            "tasks": select(func.count()).select_from(task).where(~task.c.is_deleted),
            "annotations": select(func.count()).select_from(annotation).where(~annotation.c.is_deleted),
            "votes": select(func.count()).select_from(vote).where(vote.c.source == "person"),
            "models": select(func.count()).select_from(model),
        }
        with self._database.read() as connection:
            found = {name: int(connection.execute(query).scalar_one()) for name, query in counted.items()}
        return StoreStats(**found, bytes=self._database.size())

    def list_personal_data(self, subject: DataSubject) -> dict[str, list[dict[str, Any]]]:
        """Return every row that holds data of the subject, by table; see `store.tables.personal_data`."""
        found: dict[str, list[dict[str, Any]]] = {}
        with self._database.read() as connection:
            for place, where in places(subject):
                rows = connection.execute(select(place.table).where(where).order_by(*place.table.primary_key))
                found[place.table.name] = [_read(row._asdict()) for row in rows]
            table, project = main_tables.record, main_tables.project.c
            options = select(project.options).where(project.id == subject.project)
            records = stream(connection, select(table).where(table.c.project == subject.project).order_by(table.c.id))
            read = (_read(row._asdict()) for row in records)
            found[table.name] = [row for row in read if mentions(row["body"], subject)]
            policy = orjson.loads(connection.execute(options).scalar() or "{}").get("policy") or {}
            people: Mapping[str, Any] = policy.get("people", {})
            found["policy"] = [
                {"email": name, **person} for name, person in people.items() if mentions({name: person}, subject)
            ]
        return {name: rows for name, rows in found.items() if rows}

    def check_writable(self, *, inbox_only: bool = False) -> None:
        """Write something small durably; raise StoreError with the reason where that is not possible now.

        With `inbox_only`, only take the lock that a webhook needs; a long write of the worker does not hold that up.
        """
        if not inbox_only:
            self.secrets.save_secret("probe", f"{self._database.clock():.3f}")
        self._inbox.check_writable()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()
        self._box.close()

    def _request_job(self, connection: Connection, project: str, kind: str) -> None:
        at = self.projects.get_source_project(project, connection)
        if kind == "sweep":
            row = self.projects.get_project(at)
            if row is None or not row.connected:  # nothing is swept before a project is connected
                return
            at = project
        self.jobs.request_job(at, kind, connection=connection)

    def _rebuild(self, project: str, on_progress: Progress) -> ProjectionCheck:
        with self._database.write() as connection:
            delete_indicators(connection, project)
            checked = replay.rebuild(self._database, project, on_progress)  # joins this transaction
            self.records.create_record(project, "rebuilt", {"differs": checked.differs})  # caches are rebuilt
            return checked

    def _check(self, project: str, on_progress: Progress) -> ProjectionCheck:
        with self._database.read() as connection:
            return replay.check(connection, project, on_progress)


def _read(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as plain JSON."""
    return {name: _plain(name, value) for name, value in row.items() if name not in _SECRET}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, bytes) or (name in _JSON and value and isinstance(value, str)):  # a vote's `shown` is a number
        return orjson.loads(value)
    return value
