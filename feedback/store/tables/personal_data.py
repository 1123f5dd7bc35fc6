"""The one list of the tables that hold personal data, and how it is found and removed in JSON.

Subject access reads the list, and erasure deletes by it.
A test compares it with the schema, and names the tables without personal data with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from feedback.policy.schema import same_email
from feedback.store.tables import main_tables as tables
from feedback.store.tables import routing_tables
from feedback.store.tables.review_tables import case_event, override, review, review_case, review_task
from feedback.store.tables.routing_tables import task_key

DERIVED = ("agreement", "people")  # kinds of records that are computed again from the remaining data
_KEYED = {"gold": {"add", "drop", "retire"}}  # kind -> names of fields that hold task ids
_GONE: Any = object()


@dataclass(frozen=True, slots=True)
class DataSubject:
    """A person, or tasks and all data about them, in one project; a review project counts as another project."""

    project: str
    person: int | None = None
    emails: frozenset[str] = frozenset()  # addresses of the person
    tasks: frozenset[int] = frozenset()
    cases: frozenset[int] = frozenset()  # of these tasks, and of former tasks with their ids
    annotations: frozenset[int] = frozenset()  # that the person answered for, or that the tasks had

    @property
    def task_numbers(self) -> frozenset[int]:
        """Return the task ids as rows hold them; rows of former tasks have negative ids."""
        return self.tasks | {-task for task in self.tasks}


Columns = ReadOnlyColumnCollection[str, Column[Any]]
Where = Callable[[Columns, DataSubject], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class PersonalDataTable:
    """One table, and which of its rows are a person's or a task's; None where none are."""

    table: Table
    person: Where | None = None
    task: Where | None = None
    blank: Mapping[str, Any] = field(default_factory=dict, hash=False)  # what stays of a person's row; {}: nothing
    is_projection: bool = False  # from the log: the event "erased" erases it, and every rebuild does


def _of_person(row: Columns, subject: DataSubject) -> ColumnElement[bool]:
    return (row.project == subject.project) & ((row.person if "person" in row else row.id) == subject.person)


def _of_task(row: Columns, subject: DataSubject) -> ColumnElement[bool]:
    return (row.project == subject.project) & (row.task if "task" in row else row.id).in_(subject.task_numbers)


def _of_case(row: Columns, subject: DataSubject) -> ColumnElement[bool]:
    """Select the rows of a case; its review projects may be deleted."""
    return (row.case if "case" in row else row.id).in_(subject.cases)


def _of_reviewer(row: Columns, subject: DataSubject) -> ColumnElement[bool]:
    cases = select(review_case.c.id).where(review_case.c.project == subject.project)
    return row.case.in_(cases) & (row.person == subject.person)


def _signals_of_tasks(signal: Columns, subject: DataSubject) -> ColumnElement[bool]:
    """Select the signals of a task by its number, or by the name that other systems have for it."""
    key = task_key.c
    named = select(key.key).where(key.project == subject.project, key.task.in_(subject.tasks), key.key.is_not(None))
    return (signal.project == subject.project) & (signal.task.in_(subject.task_numbers) | signal.external.in_(named))


def task_contents(kept: Columns, subject: DataSubject) -> ColumnElement[bool]:
    """Select a task's data, but not those of another task that has the number now."""
    now = tables.task.c
    standing = select(now.content).where(now.project == subject.project, now.id == kept.task, ~now.is_deleted)
    return (kept.project == subject.project) & kept.task.in_(subject.tasks) & kept.hash.not_in(standing)


PERSONAL_DATA_TABLES: tuple[PersonalDataTable, ...] = (
    PersonalDataTable(tables.annotation, _of_person, _of_task, is_projection=True),
    PersonalDataTable(tables.vote, _of_person, _of_task, is_projection=True),
    PersonalDataTable(tables.person, _of_person, is_projection=True),
    PersonalDataTable(tables.excluded_answer, _of_person, _of_task),
    PersonalDataTable(tables.task, task=_of_task, is_projection=True),
    PersonalDataTable(tables.payload, is_projection=True),  # by the events of what is forgotten
    PersonalDataTable(tables.content, task=task_contents),
    PersonalDataTable(tables.window_row, task=_of_task),
    PersonalDataTable(routing_tables.decision, task=_of_task),
    PersonalDataTable(routing_tables.signal, task=_signals_of_tasks),
    PersonalDataTable(routing_tables.indicator, _of_person, _of_task),
    PersonalDataTable(task_key, task=_of_task),
    PersonalDataTable(routing_tables.hidden_task, task=_of_task),
    # the fact of a review stays, because its decision stays valid
    PersonalDataTable(
        review, _of_reviewer, _of_case, {"person": None, "comment": "", "feedback": "{}", "lead_time_s": None}
    ),
    PersonalDataTable(case_event, _of_reviewer, _of_case, {"person": None, "note": "", "body": "{}"}),
    PersonalDataTable(review_task, task=_of_case),
    PersonalDataTable(review_case, task=_of_case),
    PersonalDataTable(override, _of_person, _of_task),
    PersonalDataTable(tables.session, lambda row, subject: row.person == subject.person),
    PersonalDataTable(tables.record),  # JSON of many kinds: `mentions` finds them there
    PersonalDataTable(tables.project),  # the active policy names people; read and written as JSON, too
)


def places(subject: DataSubject) -> list[tuple[PersonalDataTable, ColumnElement[bool]]]:
    """Return the tables that can hold rows of a person or of tasks, each with the condition that finds them."""
    found = []
    for place in PERSONAL_DATA_TABLES:
        where = place.person if subject.person is not None else place.task
        if where is not None:
            found.append((place, where(place.table.c, subject)))
    return found


def mentions(body: Any, subject: DataSubject) -> bool:
    """Return whether a body holds something about the data subject.

    >>> subject = DataSubject("1", person=7)
    >>> mentions({"note": "x", "rows": [{"person": 7}]}, subject), mentions({"task": 7}, subject)
    (True, False)
    """
    return bool(redact(body, subject) != body)


def redact(body: Any, subject: DataSubject, kind: str = "") -> Any:
    """Return a body without the data of a subject; None if it holds nothing else.

    An action stays recorded without its person: `{"action": "pause", "person": None}`.

    >>> redact({"votes": 3, "rows": [{"person": 7, "share": 0.5}, {"person": 8}]}, DataSubject("1", person=7))
    {'votes': 3, 'rows': [{'person': 8}]}
    >>> redact({"task": 5, "text": "private"}, DataSubject("1", tasks=frozenset({5}))) is None
    True
    """
    if kind == "action" and isinstance(body, Mapping):
        return {**body, "person": None} if _is_person(body, subject) else body
    found = _without(body, subject)
    if found is _GONE:
        return None
    if isinstance(found, dict):
        for name in found.keys() & _KEYED.get(kind, set()):
            found[name] = _without_numbers(found[name], subject.tasks)
        if kind == "relabel":
            found["versions"] = [
                version for version in found.get("versions", ()) if version[0] not in subject.annotations
            ]
    return found


def _without(value: Any, subject: DataSubject) -> Any:
    if isinstance(value, str):
        return "" if value and _is_address(value, subject) else value
    if isinstance(value, list):
        return [item for item in (_without(item, subject) for item in value) if item is not _GONE]
    if not isinstance(value, Mapping):
        return value
    if _is_person(value, subject) or _is_task(value, subject):
        return _GONE
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        if _is_address(str(name), subject):
            continue
        if name == "people" and subject.person is not None:
            inner = _without_numbers(inner, frozenset({subject.person}))  # a table or list by their numbers
        rest = _without(inner, subject)
        if rest is not _GONE:
            kept[name] = rest
        elif name == "payload":  # a notification about one task
            return _GONE
    return kept


def _is_person(body: Mapping[str, Any], subject: DataSubject) -> bool:
    return subject.person is not None and _in(body.get("person"), frozenset({subject.person}))


def _is_task(body: Mapping[str, Any], subject: DataSubject) -> bool:
    if _in(body.get("annotation"), subject.annotations):
        return True
    if "review_project" in body:  # of a copy in a review project, which has a number of its own
        return _in(body.get("case"), subject.cases)
    return _in(body.get("task"), subject.tasks)


def _in(value: Any, numbers: frozenset[int]) -> bool:
    return type(value) is int and value in numbers  # True equals 1


def _is_address(text: str, subject: DataSubject) -> bool:
    return any(same_email(text, email) for email in subject.emails)


def _without_numbers(value: Any, numbers: frozenset[int]) -> Any:
    """Return a table keyed by numbers as texts, or a list of numbers, without these numbers."""
    if isinstance(value, Mapping):
        names = set(map(str, numbers))
        return {name: item for name, item in value.items() if str(name) not in names}
    if isinstance(value, list):
        return [item for item in value if not _in(item, numbers)]
    return value
