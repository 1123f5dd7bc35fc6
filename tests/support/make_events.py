"""Short builders of annotations, skips, tasks and their events for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from feedback.store.log import events
from feedback.store.log.events import Event, Source
from ml_backend.records import Annotation, Task

DAY = "2026-01-01T00:00:{:09.6f}Z"


def at(second: float) -> str:
    """A time of one day, as Label Studio writes it."""
    return DAY.format(second)


def choice_result(label: str) -> tuple[dict[str, Any], ...]:
    """A result that chooses one label of the control "c"."""
    return ({"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": [label]}},)


def make_annotation(
    number: int,
    label: str = "A",
    *,
    task: int = 1,
    person: int | None = 1,
    second: float = 1,
    project: str = "1",
    **more: Any,
) -> Annotation:
    """One annotation; `label=""` for an empty result."""
    values = {"result": choice_result(label) if label else (), "updated_at": at(second), **more}
    return Annotation(id=number, task=task, project=project, person=person, **values)


def annotation_event(
    number: int, label: str = "A", *, source: Source = "webhook", seen_s: float = 0.0, **more: Any
) -> Event:
    """The event of `answer`."""
    one = make_annotation(number, label, **more)
    return events.event_from_annotation(one, source, seen_s=seen_s)


def skip_event(number: int, **more: Any) -> Event:
    """The event of a skip."""
    return annotation_event(number, "", was_cancelled=True, **more)


def deletion_event(number: int, *, entity: events.Entity = "annotation", project: str = "1") -> Event:
    """The event of a deletion, which names nothing but an id."""
    return Event(project, entity, number, "", "deleted", "webhook")


def task(number: int, text: str = "", *, project: str = "1", second: float = 0, **more: Any) -> Task:
    """A task with one text."""
    return Task(number, {"text": text or f"text {number}"}, project, updated_at=at(second), **more)


def task_events(*tasks: Task, source: Source = "webhook", seen_s: float = 0.0) -> list[Event]:
    """The events of tasks."""
    return [events.event_from_task(one, source, seen_s=seen_s) for one in tasks]


def labels(votes: Iterable[Any]) -> dict[tuple[int, int], str]:
    """Votes as (task, person) -> label."""
    return {(vote.task, vote.person): vote.answer.value[0] for vote in votes}
