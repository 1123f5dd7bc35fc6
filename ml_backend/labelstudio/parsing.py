"""What Label Studio says, read into our records: webhook bodies, tasks and annotations, checked once, here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from ml_backend.errors import BodyError
from ml_backend.labelstudio.json_fields import (
    BIGGEST_ID,
    kind,
    positive,
    read_id,
    read_project_id,
    reference,
    seconds,
    time_or_empty,
    utc,
)
from ml_backend.records import Annotation, Task

__all__ = ["Gone", "Intake", "read_annotation", "read_project_id", "read_task", "read_webhook", "utc"]

Entity = Literal["annotation", "task", "project"]
_Record = TypeVar("_Record")

_MOST_REASONS = 20  # a body of a million broken records gives twenty reasons and a count


@dataclass(frozen=True, slots=True)
class Deleted:
    """Something that no longer exists in Label Studio."""

    entity: Entity
    id: int


@dataclass(frozen=True, slots=True)
class ParsedWebhook:
    """One webhook body as records; what could not be read stands in `skipped`, its neighbours are unharmed.

    Secrets of the project (token, task_data_login, task_data_password) have no field here, so they go no further.
    """

    action: str
    project: str = ""  # "" only where nothing in the body names one
    annotations: tuple[Annotation, ...] = ()
    tasks: tuple[Task, ...] = ()
    gone: tuple[Deleted, ...] = ()
    label_config: str | None = None
    title: str | None = None
    ignored: str = ""  # why the whole body means nothing to us; "" otherwise
    skipped: tuple[str, ...] = ()  # why single records were left out


def read_webhook(body: Any) -> ParsedWebhook:
    """Read one webhook body of Label Studio 1.23, or a START_TRAINING request.

    BodyError for what no Label Studio sends: not an object, no action, a project id that is none. Unknown events and
    bodies without payload are `ignored`, with the reason.

    >>> read_webhook({"action": "TASKS_DELETED", "tasks": [{"id": 7}], "project": {"id": 1}}).gone
    (Gone(entity='task', id=7),)
    """
    if not isinstance(body, Mapping):
        raise BodyError(f"the body is {kind(body)}; wanted an object.", hint="Label Studio sends {'action': ...}.")
    action = body.get("action")
    if not isinstance(action, str) or not action.strip():
        raise BodyError("the body has no action.", hint="Wanted an event name such as ANNOTATION_CREATED in 'action'.")
    read = _EVENTS.get(action)
    if read is None:
        return ParsedWebhook(action[:64], _project_or_none(body), ignored=f"unknown event {action[:64]!r}")
    if not body.keys() - {"action"}:
        return ParsedWebhook(
            action, ignored=f"{action} without payload: turn on 'Send payload' in the webhook's settings"
        )
    return read(action, _project_of(body), body)


def read_task(raw: Any, project: str = "") -> Task:
    """Read one task of a webhook, of the REST API or of a prediction request; BodyError says what is missing.

    >>> read_task({"id": 7, "data": {"text": "hi"}}).data
    {'text': 'hi'}
    """
    if not isinstance(raw, Mapping):
        raise BodyError(f"a task is {kind(raw)}; wanted an object.")
    number = read_id(raw.get("id"), "task")
    data = raw.get("data")
    if not isinstance(data, Mapping):
        raise BodyError(f"task {number} has no data; wanted an object in 'data'.")
    return Task(
        id=number,
        data=data,
        project=_same_project(raw, project, f"task {number}"),
        is_labeled=raw.get("is_labeled") is True,
        overlap=positive(raw.get("overlap")) or 1,
        created_at=time_or_empty(raw.get("created_at")),
        updated_at=time_or_empty(raw.get("updated_at")),
    )


def read_annotation(raw: Any, project: str, *, task: int | None = None) -> Annotation:
    """Read one annotation of a webhook or of the REST API; BodyError says what is missing.

    `task` names its task where the record does not. `result` stays as it is, garbage included: decoding it has its own
    place, where one bad region costs only itself.

    >>> raw = {"id": 5, "task": 7, "result": [], "was_cancelled": True, "updated_at": "2026-01-01T00:00:00Z"}
    >>> read_annotation(raw, "1").updated_at
    '2026-01-01T00:00:00.000000Z'
    """
    if not isinstance(raw, Mapping):
        raise BodyError(f"an annotation is {kind(raw)}; wanted an object.")
    number = read_id(raw.get("id"), "annotation")
    owner = reference(raw.get("task")) or task
    if owner is None:
        raise BodyError(f"annotation {number} names no task.")
    updated_at = time_or_empty(raw.get("updated_at"))
    if not updated_at:
        raise BodyError(f"annotation {number} has no updated_at; with the id it names one version.")
    result = raw.get("result")
    unique_id = raw.get("unique_id")
    lead_time_s = seconds(raw.get("lead_time"))
    return Annotation(
        id=number,
        task=owner,
        project=_same_project(raw, project, f"annotation {number}"),
        person=reference(raw.get("completed_by")),
        # what is no list is kept whole, so that decoding names it as a problem instead of seeing an empty answer
        result=() if result is None else tuple(result) if isinstance(result, list) else (result,),
        updated_at=updated_at,
        created_at=time_or_empty(raw.get("created_at")),
        was_cancelled=raw.get("was_cancelled") is True,
        ground_truth=raw.get("ground_truth") is True,
        lead_time_s=lead_time_s,
        parent_prediction=reference(raw.get("parent_prediction")),
        unique_id=unique_id if isinstance(unique_id, str) and unique_id else None,
        imported=_imported(raw, lead_time_s),
    )


def _imported(raw: Mapping[str, Any], lead_time_s: float | None) -> bool:
    """True for what nobody labelled in the editor: imports, and annotations made from predictions in one click.

    Label Studio writes those rows in bulk, past the code that fills `updated_by`; an import also keeps the id of the
    file in `import_id`. A lead time proves a person (projects older than `updated_by` have it null everywhere). Read
    from the record alone, so that webhook and poll agree.
    """
    if raw.get("import_id") is not None or raw.get("bulk_created") is True:
        return True
    return "updated_by" in raw and raw["updated_by"] is None and lead_time_s is None


def _saved(action: str, project: str, body: Mapping[str, Any]) -> ParsedWebhook:
    """Annotation and task, one or (ANNOTATIONS_CREATED: under the same singular keys) lists of them."""
    skipped: list[str] = []
    tasks = _each(_many(body.get("task")), lambda raw: read_task(raw, project), skipped)
    only = tasks[0].id if len(tasks) == 1 else None
    raws = _many(body.get("annotation"))
    if not raws:
        skipped.append(f"{action} without annotation")
    annotations = _each(raws, lambda raw: read_annotation(raw, project, task=only), skipped)
    label_config, title = _config_of(body)
    return ParsedWebhook(action, project, annotations, tasks, (), label_config, title, skipped=tuple(skipped))


def _tasks_created(action: str, project: str, body: Mapping[str, Any]) -> ParsedWebhook:
    skipped: list[str] = []
    tasks = _each(_many(body.get("tasks")), lambda raw: read_task(raw, project), skipped)
    label_config, title = _config_of(body)
    return ParsedWebhook(action, project, (), tasks, (), label_config, title, skipped=tuple(skipped))


def _deleted(entity: Literal["annotation", "task"], key: str) -> Callable[[str, str, Mapping[str, Any]], ParsedWebhook]:
    def read(action: str, project: str, body: Mapping[str, Any]) -> ParsedWebhook:
        skipped: list[str] = []

        def one(raw: Any) -> Deleted:
            return Deleted(entity, read_id(raw.get("id") if isinstance(raw, Mapping) else raw, entity))

        gone = _each(_many(body.get(key)), one, skipped)
        label_config, title = _config_of(body)
        return ParsedWebhook(action, project, (), (), gone, label_config, title, skipped=tuple(skipped))

    return read


def _project_saved(action: str, project: str, body: Mapping[str, Any]) -> ParsedWebhook:
    label_config, title = _config_of(body)
    return ParsedWebhook(action, project, label_config=label_config, title=title)


def _project_deleted(action: str, project: str, _body: Mapping[str, Any]) -> ParsedWebhook:
    return ParsedWebhook(action, project, gone=(Deleted("project", int(project)),))


_EVENTS: Mapping[str, Callable[[str, str, Mapping[str, Any]], ParsedWebhook]] = {
    "ANNOTATION_CREATED": _saved,
    "ANNOTATION_UPDATED": _saved,
    "ANNOTATIONS_CREATED": _saved,
    "ANNOTATIONS_DELETED": _deleted("annotation", "annotations"),
    "TASKS_CREATED": _tasks_created,
    "TASKS_DELETED": _deleted("task", "tasks"),
    "PROJECT_CREATED": _project_saved,
    "PROJECT_UPDATED": _project_saved,
    "PROJECT_DELETED": _project_deleted,
    "START_TRAINING": _project_saved,  # not a webhook: the "Start training" button, posted to the ML backend
}


def _each(raws: list[Any], read: Callable[[Any], _Record], skipped: list[str]) -> tuple[_Record, ...]:
    """Read all that can be read; the reasons of failures go to `skipped`, the first few in words."""
    records: list[_Record] = []
    reasons: list[str] = []
    for raw in raws:
        try:
            records.append(read(raw))
        except BodyError as error:
            reasons.append(str(error))
    skipped += reasons[:_MOST_REASONS]
    if len(reasons) > _MOST_REASONS:
        skipped.append(f"and {len(reasons) - _MOST_REASONS} more like these")
    return tuple(records)


def _many(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else [] if raw is None else [raw]


def _project_of(body: Mapping[str, Any]) -> str:
    """The project of an event, as digits; its records name it where the body itself does not."""
    raw = body.get("project")
    if raw is None:
        records = [*_many(body.get("annotation")), *_many(body.get("task")), *_many(body.get("tasks"))]
        named = (record.get("project") for record in records if isinstance(record, Mapping))
        raw = next((project for project in named if project is not None), None)
    project = read_project_id(raw.get("id") if isinstance(raw, Mapping) else raw)
    if not project.isdecimal() or not 0 < int(project) <= BIGGEST_ID:
        raise BodyError(f"the project is {project[:32]!r}; wanted its number.", hint="Label Studio sends project.id.")
    return project


def _project_or_none(body: Mapping[str, Any]) -> str:
    try:
        return _project_of(body)
    except BodyError:
        return ""


def _same_project(raw: Mapping[str, Any], project: str, who: str) -> str:
    """The project that a record came with, which must be its own where it names one."""
    own = reference(raw.get("project"))
    if own is not None and project.isdecimal() and str(own) != project:
        raise BodyError(f"{who} is of project {own}, but came with project {project}.")
    return project or str(own or "")


def _config_of(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    project = body.get("project")
    if not isinstance(project, Mapping):
        return None, None
    label_config, title = project.get("label_config"), project.get("title")
    return (
        label_config if isinstance(label_config, str) else None,
        title if isinstance(title, str) else None,
    )
