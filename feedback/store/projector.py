"""The projector: reads the rows that some events may change, folds the events in, writes what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, Table, select

from feedback.events import Event
from feedback.store import schema
from feedback.store.engine import Database, chunks
from feedback.store.projections import AnnotationState, People, PersonState, ProjectState, Seen, TaskState, columns

State = AnnotationState | TaskState | ProjectState
_Kind = TypeVar("_Kind", AnnotationState, TaskState, PersonState)


class Projector:
    """The projected rows of one project during one transaction."""

    def __init__(self, database: Database, connection: Connection, project: str) -> None:
        self._database, self._connection, self._project = database, connection, project
        self._annotations: dict[int, AnnotationState] = {}
        self._tasks: dict[int, TaskState] = {}
        self._described = ProjectState()
        self._people = People()
        self._own: set[int] = set()
        self._bots: set[int] = set()
        self._old: dict[tuple[str, int], dict[str, Any]] = {}

    def load(self, events: Sequence[Event]) -> None:
        """Read every row that these events may change: a few queries, however many events there are."""
        annotations = _ids(events, "annotation")
        self._annotations = self._read(AnnotationState, schema.annotation, annotations)
        self._tasks = self._read(TaskState, schema.task, _ids(events, "task"))
        people = {state.person for state in self._annotations.values()} | {one.body.get("person") for one in events}
        self._people = People(self._read(PersonState, schema.person, sorted(one for one in people if one is not None)))
        found = self._connection.execute(
            select(schema.described).where(schema.described.c.project == self._project)
        ).one_or_none()
        if found is not None:
            self._described = ProjectState(**_without_project(found._asdict()))
        self._own = self._read_own(annotations)
        bots = select(schema.project.c.bots).where(schema.project.c.id == self._project)
        self._bots = set(orjson.loads(self._connection.execute(bots).scalar() or "[]"))

    def state(self, event: Event) -> State:
        """What stands of the thing that an event is about."""
        if event.entity == "annotation":
            return self._annotations.setdefault(event.entity_id, AnnotationState(event.entity_id))
        if event.entity == "task":
            return self._tasks.setdefault(event.entity_id, TaskState(event.entity_id))
        return self._described

    def fold(self, state: State, seen: Seen) -> bool:
        """Take one event in; gives whether that changes what can be learned or asked."""
        self._remember(state)
        before = _matters(state)
        if isinstance(state, AnnotationState):
            standing = state.standing()
            state.fold(seen)
            self._people.saw(seen)
            self._people.moved(standing, state.standing())
            ours = state.source == "own" or state.id in self._own or state.person in self._bots
            return not ours and before != _matters(state)
        state.fold(seen)
        return before != _matters(state)

    def write(self) -> None:
        """Write the rows that changed."""
        annotations = [state for state in self._annotations.values() if ("annotation", state.id) in self._old]
        self._bring_bodies(annotations)
        for state in annotations:
            state.settle()
        moved = [state for state in annotations if self._old["annotation", state.id] != columns(state)]
        self._write(schema.annotation, moved)
        self._write_votes(moved)
        tasks = [state for state in self._tasks.values() if ("task", state.id) in self._old]
        for task in tasks:
            task.settle()
        self._write(schema.task, [task for task in tasks if self._old["task", task.id] != columns(task)])
        if ("project", 0) in self._old:
            self._write(schema.described, [self._described])
        self._write(schema.person, list(self._people.states.values()))

    def _bring_bodies(self, states: Iterable[AnnotationState]) -> None:
        """Read the winning bodies that no event of this commit brought."""
        wanted = {state.seq: state for state in states if state.body is None and state.seq and not state.gone}
        table = schema.payload.c
        for part in chunks(sorted(wanted)):
            query = select(table.seq, table.body).where(table.project == self._project, table.seq.in_(part))
            for row in self._connection.execute(query):
                wanted[row.seq].body = orjson.loads(row.body)

    def _write_votes(self, states: Sequence[AnnotationState]) -> None:
        table = schema.vote
        for part in chunks(sorted(state.id for state in states)):
            self._connection.execute(
                table.delete().where(table.c.project == self._project, table.c.annotation.in_(part))
            )
        votes = [{"project": self._project, **vote} for state in states for vote in state.votes()]
        if votes:
            self._connection.execute(table.insert(), votes)

    def _write(self, table: Table, states: Sequence[State | PersonState]) -> None:
        self._database.upsert(
            self._connection, table, [{"project": self._project, **columns(state)} for state in states]
        )

    def _remember(self, state: State) -> None:
        key = _name(state)
        if key not in self._old:
            self._old[key] = columns(state)

    def _read(self, kind: type[_Kind], table: Table, ids: Sequence[int]) -> dict[int, _Kind]:
        states: dict[int, _Kind] = {}
        for part in chunks(ids):
            query = select(table).where(table.c.project == self._project, table.c.id.in_(part))
            for row in self._connection.execute(query):
                state = kind(**_without_project(row._asdict()))
                states[state.id] = state
        return states

    def _read_own(self, annotations: Sequence[int]) -> set[int]:
        table = schema.own_annotation.c
        own: set[int] = set()
        for part in chunks(annotations):
            query = select(table.id).where(table.project == self._project, table.id.in_(part))
            own.update(self._connection.execute(query).scalars())
        return own


def _ids(events: Sequence[Event], entity: str) -> list[int]:
    return sorted({one.entity_id for one in events if one.entity == entity})


def _name(state: State) -> tuple[str, int]:
    if isinstance(state, ProjectState):
        return "project", 0
    return ("annotation" if isinstance(state, AnnotationState) else "task"), state.id


def _matters(state: State) -> tuple[Any, ...]:
    """What of a state is worth a turn of the loop."""
    if isinstance(state, AnnotationState):
        return state.rank, state.gone
    if isinstance(state, TaskState):
        return state.content, state.gone
    return state.label_config, state.gone


def _without_project(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "project"}
