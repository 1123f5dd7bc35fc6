"""The projector: reads the rows that events may change, folds the events, and writes what changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, Table, bindparam, select

from feedback.store.database.engine import Database, chunks
from feedback.store.database.prepared_statements import Prepared
from feedback.store.log.events import Event
from feedback.store.log.projections import (
    AnnotationState,
    AnnotatorCounts,
    LoggedEvent,
    PeopleCounts,
    ProjectState,
    TaskState,
    columns,
)
from feedback.store.tables import main_tables

State = AnnotationState | TaskState | ProjectState
_Kind = TypeVar("_Kind", AnnotationState, TaskState, AnnotatorCounts)


class Projector:
    """The projected rows of one project during one transaction."""

    def __init__(self, database: Database, connection: Connection, project: str) -> None:
        self._database, self._connection, self._project = database, connection, project
        self.head: tuple[int, str] | None = None  # number and hash of the last event; None before the first
        self._annotations: dict[int, AnnotationState] = {}
        self._tasks: dict[int, TaskState] = {}
        self._described = ProjectState()
        self._people = PeopleCounts()
        self._own: set[int] = set()
        self._bots: set[int] = set()
        self._old: dict[tuple[str, int], dict[str, Any]] = {}

    def load(self, events: Sequence[Event]) -> None:
        """Read every row that these events may change: a few queries, however many events there are."""
        for head in _HEAD.rows(self._connection, {"project": self._project}):  # one, or none
            self.head = (head["chain_seq"], head["chain_hash"])
            self._bots = set(orjson.loads(head["bots"])) if head["bots"] else set()
            if head["seq"] is not None:
                self._described = ProjectState(**{name: head[name] for name in columns(self._described)})
        annotations = _ids(events, "annotation")
        self._annotations = self._read(AnnotationState, main_tables.annotation, annotations)
        self._tasks = self._read(TaskState, main_tables.task, _ids(events, "task"))
        people = {state.person for state in self._annotations.values()} | {event.body.get("person") for event in events}
        self._people = PeopleCounts(
            self._read(AnnotatorCounts, main_tables.person, sorted(person for person in people if person is not None))
        )
        shown_by_api = {
            event.entity_id for event in events if event.source != "webhook"
        }  # a webhook brings our unique_id itself
        self._own = self._read_own(
            [number for number in annotations if number in shown_by_api or number in self._annotations]
        )

    def state(self, event: Event) -> State:
        """Return the state of the task, annotation or project of an event."""
        if event.entity == "annotation":
            return self._annotations.setdefault(event.entity_id, AnnotationState(event.entity_id))
        if event.entity == "task":
            return self._tasks.setdefault(event.entity_id, TaskState(event.entity_id))
        return self._described

    def fold(self, state: State, seen: LoggedEvent) -> bool:
        """Apply one event; return whether it changes training data or the queue."""
        self._keep_old(state)
        before = _matters(state)
        if isinstance(state, AnnotationState):
            counted_work = state.counted_work()
            state.fold(seen)
            self._people.note_time(seen)
            self._people.count_move(counted_work, state.counted_work())
            ours = state.source == "own" or state.id in self._own or state.person in self._bots
            return not ours and before != _matters(state)
        state.fold(seen)
        return before != _matters(state)

    def decode_answers(self) -> None:
        """Decode the changed annotations; the last read before `write`."""
        annotations = self._touched()
        self._read_bodies(annotations)
        for state in annotations:
            state.decode_answers()

    def write(self) -> None:
        """Write the rows that changed; no statement looks at the result of another."""
        annotations = self._touched()
        changed = [state for state in annotations if self._old["annotation", state.id] != columns(state)]
        self._write(main_tables.annotation, changed)
        self._write_votes(changed)
        tasks = [state for state in self._tasks.values() if ("task", state.id) in self._old]
        self._write(main_tables.task, [task for task in tasks if self._old["task", task.id] != columns(task)])
        if ("project", 0) in self._old:
            self._write(main_tables.project_description, [self._described])
        self._write(main_tables.person, list(self._people.states.values()))

    def _touched(self) -> list[AnnotationState]:
        return [state for state in self._annotations.values() if ("annotation", state.id) in self._old]

    def _read_bodies(self, states: Iterable[AnnotationState]) -> None:
        """Read the winning bodies that no event of this commit brought."""
        wanted = {state.seq: state for state in states if state.body is None and state.seq and not state.is_deleted}
        for part in chunks(sorted(wanted)):
            for row in _SELECT_BODIES.rows(self._connection, {"project": self._project, "seqs": part}):
                wanted[row["seq"]].body = orjson.loads(row["body"])

    def _write_votes(self, states: Sequence[AnnotationState]) -> None:
        known = sorted(state.id for state in states if self._old["annotation", state.id]["seq"])
        for part in chunks(known):
            _DELETE_VOTES.run(self._connection, {"project": self._project, "ids": part})
        votes = [{"project": self._project, **vote} for state in states for vote in state.votes()]
        _INSERT_VOTES.many(self._connection, votes)

    def _write(self, table: Table, states: Sequence[State | AnnotatorCounts]) -> None:
        self._database.upsert(
            self._connection, table, [{"project": self._project, **columns(state)} for state in states]
        )

    def _keep_old(self, state: State) -> None:
        key = _name(state)
        if key not in self._old:
            self._old[key] = columns(state)

    def _read(self, kind: type[_Kind], table: Table, ids: Sequence[int]) -> dict[int, _Kind]:
        states: dict[int, _Kind] = {}
        for part in chunks(ids):
            for row in _by_id(table).rows(self._connection, {"project": self._project, "ids": part}):
                del row["project"]
                state = kind(**row)
                states[state.id] = state
        return states

    def _read_own(self, annotations: Sequence[int]) -> set[int]:
        own: set[int] = set()
        for part in chunks(annotations):
            rows = _by_id(main_tables.own_annotation).rows(self._connection, {"project": self._project, "ids": part})
            own.update(row["id"] for row in rows)
        return own


@cache
def _by_id(table: Table) -> Prepared:
    return Prepared(
        select(table).where(table.c.project == bindparam("project"), table.c.id.in_(bindparam("ids", expanding=True)))
    )


_CHAIN, _PROJECT = main_tables.chain.c, main_tables.project.c
_DESCRIPTION, _PAYLOAD, _VOTE = main_tables.project_description.c, main_tables.payload.c, main_tables.vote.c
_HEAD = Prepared(
    select(
        _CHAIN.seq.label("chain_seq"),
        _CHAIN.hash.label("chain_hash"),
        _PROJECT.bots,
        *(column for column in _DESCRIPTION if column.name != "project"),
    )
    .outerjoin_from(main_tables.chain, main_tables.project, _PROJECT.id == _CHAIN.project)
    .outerjoin(main_tables.project_description, _DESCRIPTION.project == _CHAIN.project)
    .where(_CHAIN.project == bindparam("project"))
)
_SELECT_BODIES = Prepared(
    select(_PAYLOAD.seq, _PAYLOAD.body).where(
        _PAYLOAD.project == bindparam("project"), _PAYLOAD.seq.in_(bindparam("seqs", expanding=True))
    )
)
_INSERT_VOTES = Prepared(main_tables.vote.insert())
_DELETE_VOTES = Prepared(
    main_tables.vote.delete().where(
        _VOTE.project == bindparam("project"), _VOTE.annotation.in_(bindparam("ids", expanding=True))
    )
)


def _ids(events: Sequence[Event], entity: str) -> list[int]:
    return sorted({event.entity_id for event in events if event.entity == entity})


def _name(state: State) -> tuple[str, int]:
    if isinstance(state, ProjectState):
        return "project", 0
    return ("annotation" if isinstance(state, AnnotationState) else "task"), state.id


def _matters(state: State) -> tuple[Any, ...]:
    """Return the values whose change needs a turn of the loop."""
    if isinstance(state, AnnotationState):
        return state.rank, state.created_at, state.is_deleted
    if isinstance(state, TaskState):
        return state.content, state.created_at, state.is_deleted
    return state.label_config, state.is_deleted
