"""The job rows: what is to be done for each project; many requests are one run, and no request is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select

from feedback.errors import LeaseLost
from feedback.store.database.drivers import JobListener, notify_workers
from feedback.store.database.engine import plain
from feedback.store.database.prepared_statements import Prepared
from feedback.store.repositories.repository import Repository
from feedback.store.tables import main_tables

_FIRST_BACK_OFF_S = 2.0
_MOST_TRIES = 5  # then it is parked
_PARKED_S = 900.0  # a parked job is tried once more each time that this has passed, so that it may recover by itself
_LONGEST_S = 3600.0  # times further away than this were written by a clock that has since gone back
_TABLE = main_tables.job
_C = main_tables.job.c
_NEVER_RUN: dict[str, Any] = {
    **dict.fromkeys(("finished", "running", "token", "tries"), 0),
    **dict.fromkeys(("lease_s", "lease_until_s", "due_s"), 0.0),
    "parked": False,
    "reason": "",
}
_WANT = Prepared(
    _TABLE.update()
    .where(_C.project == bindparam("of_project"), _C.kind == bindparam("of_kind"))
    .values(requested=_C.requested + 1, requested_s=bindparam("now_s"))
)


@dataclass(frozen=True, slots=True)
class JobClaim:
    """A claim on a job of one kind and project; `token` is its fence."""

    project: str
    kind: str
    owner: str
    token: int
    tries: int  # failures before this run
    lease_s: float


@dataclass(frozen=True, slots=True)
class JobRow:
    """The state of the job of one kind and project."""

    project: str
    kind: str
    state: Literal["idle", "wanted", "running", "parked"]
    owner: str
    tries: int
    due_s: float
    reason: str  # of the last failure


class JobsRepository(Repository):
    """Requests, claims and their fences. `token` grows with each claim; an older token has lost the job."""

    def request_job(self, project: str, kind: str, *, connection: Connection | None = None) -> None:
        """Ask for a run that begins after now. A run that is under way does not count: another one follows it."""
        if connection is None:
            with self._database.write() as own:
                self.request_job(project, kind, connection=own)
            return
        self._notify(connection)
        now_s = self._database.clock()
        named = {"of_project": project, "of_kind": kind, "now_s": now_s}
        if _WANT.run(connection, named):
            return
        # the first time only: another process may insert it, too
        self._database.lock(connection, f"job {project} {kind}")
        if not _WANT.run(connection, named):
            connection.execute(
                _TABLE.insert(), [{"project": project, "kind": kind, "requested": 1, "requested_s": now_s} | _NEVER_RUN]
            )

    def claim_job(
        self, owner: str, *, lease_s: float, kinds: Sequence[str] | None = None, project: str | None = None
    ) -> JobClaim | None:
        """Claim the job that has waited longest, for `lease_s` seconds; None where nothing is due."""
        now_s = self._database.clock()
        free = or_(_C.owner.is_(None), _C.lease_until_s <= now_s, _C.lease_until_s > now_s + 2 * _C.lease_s)
        due = or_(_C.due_s <= now_s, _C.due_s > now_s + _LONGEST_S)
        query = select(_TABLE).where(_C.requested > _C.finished, free, due)
        if kinds is not None:
            query = query.where(_C.kind.in_(list(kinds)))
        if project is not None:
            query = query.where(_C.project == project)
        query = query.order_by(_C.requested_s, _C.project, _C.kind).limit(1)
        with self._database.read() as connection:  # most looks find nothing, and should not wait for a writer
            if connection.execute(query).one_or_none() is None:
                return None
        with self._database.write() as connection:
            row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            died = row.owner is not None  # with its last owner: that is a failure too
            claim = JobClaim(row.project, row.kind, owner, row.token + 1, row.tries + died, lease_s)
            values: dict[str, Any] = {
                "owner": owner,
                "token": claim.token,
                "running": row.requested,
                "lease_s": lease_s,
                "lease_until_s": now_s + lease_s,
                "tries": claim.tries,
            }
            is_parked = died and claim.tries >= _MOST_TRIES
            if is_parked:
                reason = f"{claim.tries} workers died or were lost while they ran it"
                values |= {"owner": None, "parked": True, "reason": reason, "due_s": now_s + _PARKED_S}
            _update(connection, claim, **values)
            return None if is_parked else claim

    def renew_lease(self, claim: JobClaim) -> None:
        """Renew a lease; LeaseLost if another process has claimed the job."""
        with self.fence(claim) as connection:
            _update(connection, claim, lease_until_s=self._database.clock() + claim.lease_s)

    def finish_job(self, claim: JobClaim) -> None:
        """Finish a run; requests that arrived during the run stay open."""
        with self.fence(claim) as connection:
            _update(connection, claim, owner=None, finished=_C.running, tries=0, parked=False, reason="")

    def fail_job(self, claim: JobClaim, reason: str) -> None:
        """Record a failed run: it is tried again later and later, and parked after a few times, with the reason."""
        with self._database.write() as connection:
            tries = self._lock_claimed_row(connection, claim).tries + 1
            parked = tries >= _MOST_TRIES
            due_s = self._database.clock() + (_PARKED_S if parked else _FIRST_BACK_OFF_S * 2.0 ** (tries - 1))
            _update(connection, claim, owner=None, tries=tries, parked=parked, due_s=due_s, reason=plain(reason)[:2000])

    def unpark_job(self, project: str, kind: str) -> bool:
        """Let a parked job be tried again now; return False where none was parked."""
        with self._database.write() as connection:
            self._notify(connection)
            values = {"parked": False, "tries": 0, "due_s": 0.0}
            return bool(
                connection.execute(_TABLE.update().where(_is(project, kind), _C.parked).values(**values)).rowcount
            )

    def holds_lease(self, claim: JobClaim) -> bool:
        """Return whether no other process has claimed the job since."""
        query = select(_C.token).where(_is(claim.project, claim.kind), _C.owner == claim.owner)
        return bool(self._get_value(query) == claim.token)

    @contextmanager
    def fence(self, claim: JobClaim) -> Iterator[Connection]:
        """Open a transaction that commits only while the claim is valid; LeaseLost undoes what was written inside."""
        with self._database.write() as connection:
            self._lock_claimed_row(connection, claim)
            yield connection

    def list_jobs(self) -> list[JobRow]:
        """Return the state of all jobs, for people to read."""
        now_s = self._database.clock()
        rows = self._list_rows(select(_TABLE).order_by(_C.project, _C.kind))
        return [
            JobRow(row.project, row.kind, _state(row, now_s), row.owner or "", row.tries, row.due_s, row.reason)
            for row in rows
        ]

    def make_listener(self) -> JobListener | None:
        """Return the listener for committed job requests; None on SQLite, where workers poll."""
        return None if self._database.sqlite else JobListener(self._database.engine.url)

    def _notify(self, connection: Connection) -> None:
        if not self._database.sqlite:
            notify_workers(connection)

    def _lock_claimed_row(self, connection: Connection, claim: JobClaim) -> Any:
        """Return the row of a claim, locked until the transaction ends."""
        query = select(_TABLE).where(_is(claim.project, claim.kind)).with_for_update()
        row = connection.execute(query).one_or_none()
        if row is None or row.token != claim.token or row.owner != claim.owner:
            raise LeaseLost(f"{claim.kind} of project {claim.project} is no longer held by {claim.owner}.")
        return row


def _is(project: str, kind: str) -> ColumnElement[bool]:
    return and_(_C.project == project, _C.kind == kind)


def _update(connection: Connection, claim: JobClaim, **values: Any) -> None:
    connection.execute(_TABLE.update().where(_is(claim.project, claim.kind)).values(**values))


def _state(row: Any, now_s: float) -> Literal["idle", "wanted", "running", "parked"]:
    if row.parked:
        return "parked"
    if row.owner is not None and row.lease_until_s > now_s:
        return "running"
    return "wanted" if row.requested > row.finished else "idle"
