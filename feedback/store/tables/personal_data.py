"""Where what people said, and what tasks hold, is kept: one list, which `access` reads and `forget` erases by.

A test holds it against the schema: a new table belongs here, or into TABLES_WITHOUT_PERSONAL_DATA with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Table, select

from feedback.store.tables import main_tables as tables
from feedback.store.tables import routing_tables
from feedback.store.tables.indicator_tables import indicator, task_key
from feedback.store.tables.review_tables import case_event, override, review, review_case
from feedback.store.tables.session_tables import login_attempt, session


@dataclass(frozen=True, slots=True)
class DataSubject:
    """A person, or tasks and all that was said of them, in one project; a review project is a project of its own."""

    project: str
    person: int | None = None
    emails: frozenset[str] = frozenset()  # addresses of the person
    tasks: frozenset[int] = frozenset()
    cases: frozenset[int] = frozenset()  # of these tasks, also of former ones with their numbers
    annotations: frozenset[int] = frozenset()  # that the person answered for, or that the tasks had

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers of the tasks as rows have them: what was set aside has a negative one."""
        return self.tasks | {-task for task in self.tasks}


Where = Callable[[DataSubject], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class PersonalDataTable:
    """One table, and which of its rows are a person's or a task's; None where none are."""

    table: Table
    person: Where | None = None
    task: Where | None = None
    blank: Mapping[str, Any] = field(default_factory=dict, hash=False)  # what stays of a person's row; {}: nothing
    follows: bool = False  # from the log: the event "forgotten" erases it, and every rebuild does


def _of(table: Table) -> Where:
    return lambda whom: (table.c.project == whom.project) & (table.c.person == whom.person)


def _about(table: Table, column: str = "task") -> Where:
    return lambda whom: (table.c.project == whom.project) & table.c[column].in_(whom.numbers)


def _under_review(table: Table) -> Where:
    """Rows by case; the cases of a source project, whose review projects may be gone."""
    return lambda whom: table.c.case_id.in_(whom.cases)


def _reviewer(table: Table) -> Where:
    def where(whom: DataSubject) -> ColumnElement[bool]:
        cases = select(review_case.c.id).where(review_case.c.project == whom.project)
        return table.c.case_id.in_(cases) & (table.c.person == whom.person)

    return where


def _signals(whom: DataSubject) -> ColumnElement[bool]:
    """Of a task by its number, or by the name that others have for it."""
    told, key = routing_tables.signal.c, task_key.c
    named = select(key.key).where(key.project == whom.project, key.task.in_(whom.tasks), key.key.is_not(None))
    return (told.project == whom.project) & (told.task.in_(whom.numbers) | told.external.in_(named))


def data_of(whom: DataSubject) -> ColumnElement[bool]:
    """A task's data, but not those of another task that has the number now."""
    kept, now = tables.content.c, tables.task.c
    standing = select(now.content).where(now.project == whom.project, now.id == kept.task, ~now.gone)
    return (kept.project == whom.project) & kept.task.in_(whom.tasks) & kept.hash.not_in(standing)


PERSONAL_DATA_TABLES: tuple[PersonalDataTable, ...] = (
    PersonalDataTable(tables.annotation, _of(tables.annotation), _about(tables.annotation), follows=True),
    PersonalDataTable(tables.vote, _of(tables.vote), _about(tables.vote), follows=True),
    PersonalDataTable(tables.person, lambda whom: (tables.person.c.project == whom.project) & (tables.person.c.id == whom.person),
          follows=True),
    PersonalDataTable(tables.task, task=_about(tables.task, "id"), follows=True),
    PersonalDataTable(tables.payload, follows=True),  # by the events of what is forgotten
    PersonalDataTable(tables.content, task=data_of),
    PersonalDataTable(tables.window_row, task=_about(tables.window_row)),
    PersonalDataTable(routing_tables.decision, task=_about(routing_tables.decision)),
    PersonalDataTable(routing_tables.signal, task=_signals),
    PersonalDataTable(indicator, _of(indicator), _about(indicator)),
    PersonalDataTable(task_key, task=_about(task_key)),
    PersonalDataTable(routing_tables.hidden_task, task=_about(routing_tables.hidden_task)),
    # that somebody looked stays: what they decided stands
    PersonalDataTable(review, _reviewer(review), _under_review(review),
          blank={"person": None, "comment": "", "feedback": "{}", "lead_time_s": None}),
    PersonalDataTable(case_event, _reviewer(case_event), _under_review(case_event), blank={"person": None, "note": "", "body": "{}"}),
    PersonalDataTable(review_case, task=lambda whom: review_case.c.id.in_(whom.cases)),
    PersonalDataTable(override, _of(override), _about(override)),
    PersonalDataTable(session, lambda whom: session.c.person == whom.person),
    PersonalDataTable(tables.record),  # JSON of many kinds: feedback/store/tables/json_redaction.py finds them there
    PersonalDataTable(tables.project),  # the active policy names people; read and written as JSON, too
)  # fmt: skip

TABLES_WITHOUT_PERSONAL_DATA: Mapping[str, str] = {
    "alias": "versions of models",
    "chain": "hashes of salted payloads: nothing without the salt, which goes with the payload",
    "project_description": "the project's title and label config",
    "event": "numbers, times and hashes of salted payloads",
    "indicator_head": "how far logs were read",
    "model": "what was learned from all; the ones that learned from somebody are named when they are forgotten",
    "own_annotation": "numbers of what the service wrote",
    "own_unique": "names of what the service wrote",
    "review_project": "ids of review projects",
    "secret": "the service's own",
    "ingested_delivery": "random names of deliveries; the inbox itself is taken in and rewritten before anybody is forgotten",
    "window": "versions of queues",
    "job": "counts, and the reason of a failure",
    login_attempt.name: "addresses that guessed wrong, for as long as they have to wait",
}


def places(whom: DataSubject) -> list[tuple[PersonalDataTable, ColumnElement[bool]]]:
    """Give the places in which rows of a person or of tasks can stand, each with the condition that finds them."""
    found = []
    for place in PERSONAL_DATA_TABLES:
        where = place.person if whom.person is not None else place.task
        if where is not None:
            found.append((place, where(whom)))
    return found
