"""Parse Label Studio's JSON into records: webhook bodies, tasks, annotations, their fields, and marks of our own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from ml_backend.errors import BodyError
from ml_backend.left_out import describe_error
from ml_backend.records import Annotation, Task

Entity = Literal["annotation", "task", "project"]
_Record = TypeVar("_Record")

SECRET_HEADER = "X-Hitl-Secret"  # noqa: S105 - of our webhooks: the name, not a secret
MAX_ID = 2**63 - 1  # a database integer; orjson turns larger ones into floats
_PROJECT = re.compile(r"([0-9A-Za-z][0-9A-Za-z_-]{0,63})(\.[0-9]{1,20})?")  # "12", or "12.1795148243" in ML requests

_CANONICAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_JSON_TYPES = {dict: "an object", list: "a list", str: "a text", bool: "true or false"} | dict.fromkeys(
    (int, float), "a number"
)
_OWN_PREFIX = "6869746c-"  # "hitl" in ASCII
_OWN_VERSION = "8"  # of RFC 9562, free for own use; Label Studio's random ids have version 4
# Label Studio's field for annotations that were not made in its editor. REST always shows it, but only webhooks show a
# unique_id: without this field, a write whose webhook was lost and whose writer was killed would count as a person's.
OWN_ANNOTATION_FIELDS: Mapping[str, Any] = {"bulk_created": True}
# Label Studio sets `updated_by` since the end of 2022. Large installations may never have filled it in for annotations
# that people had made before; their lead time tells them from imports.
_UPDATED_BY_SINCE = "2024"
_MAX_DURATION_S = 1e9  # 30 years: no person worked longer; sums of larger ones overflow
_MAX_REASONS = 20  # a body of a million broken records gives twenty reasons and a count


@dataclass(frozen=True, slots=True)
class Deleted:
    """Something that was deleted in Label Studio."""

    entity: Entity
    id: int


@dataclass(frozen=True, slots=True)
class ParsedWebhook:
    """One webhook body as records; records that could not be read are named in `skipped`.

    Secrets of the project (token, task_data_login, task_data_password) have no field here, so they are dropped.
    """

    action: str
    project: str = ""  # "" only where the body names none
    annotations: tuple[Annotation, ...] = ()
    tasks: tuple[Task, ...] = ()
    deleted: tuple[Deleted, ...] = ()
    label_config: str | None = None
    title: str | None = None
    ignored: str = ""  # why the whole body is ignored; "" otherwise
    skipped: tuple[str, ...] = ()  # why single records were left out


def read_webhook(body: Any) -> ParsedWebhook:
    """Parse a webhook body of Label Studio 1.23, or a START_TRAINING request.

    Unknown events and bodies without payload are `ignored`. BodyError for a body that no Label Studio sends.

    >>> read_webhook({"action": "TASKS_DELETED", "tasks": [{"id": 7}], "project": {"id": 1}}).deleted
    (Deleted(entity='task', id=7),)
    """
    if not isinstance(body, Mapping):
        raise BodyError(f"the body is {json_type(body)}; wanted an object.", hint="Label Studio sends {'action': ...}.")
    action = body.get("action")
    if not isinstance(action, str) or not action.strip():
        raise BodyError("the body has no action.", hint="Wanted an event name such as ANNOTATION_CREATED in 'action'.")
    read = _EVENTS.get(action)
    if read is None:
        project = ""
        with suppress(BodyError):
            project = _project_of(body)
        return ParsedWebhook(action[:64], project, ignored=f"unknown event {action[:64]!r}")
    if not body.keys() - {"action"}:
        why = f"{action} without payload: turn on 'Send payload' in the webhook's settings"
        return ParsedWebhook(action, ignored=why)
    skipped: list[str] = []
    project = _project_of(body)
    found = {**_config_of(body), **read(project, body, skipped)}
    return ParsedWebhook(action, project, **found, skipped=tuple(skipped))


def read_task(raw: Any, project: str = "") -> Task:
    """Parse a task of a webhook, the REST API or a prediction request; BodyError says what is missing."""
    if not isinstance(raw, Mapping):
        raise BodyError(f"a task is {json_type(raw)}; wanted an object.")
    number = read_id(raw.get("id"), "task")
    data = raw.get("data")
    if not isinstance(data, Mapping):
        raise BodyError(f"task {number} has no data; wanted an object in 'data'.")
    return Task(
        id=number,
        data=data,
        project=_same_project(raw, project, f"task {number}"),
        is_labeled=raw.get("is_labeled") is True,
        overlap=positive_int_or_none(raw.get("overlap")) or 1,
        created_at=time_or_empty(raw.get("created_at")),
        updated_at=time_or_empty(raw.get("updated_at")),
    )


def read_annotation(raw: Any, project: str, *, task: int | None = None) -> Annotation:
    """Parse an annotation of a webhook or the REST API; BodyError says what is missing.

    `task` is its task where the record names none. `result` is not checked: `ml_backend.codecs.decode_result` does.
    """
    if not isinstance(raw, Mapping):
        raise BodyError(f"an annotation is {json_type(raw)}; wanted an object.")
    number = read_id(raw.get("id"), "annotation")
    owner = id_or_none(raw.get("task")) or task
    if owner is None:
        raise BodyError(f"annotation {number} names no task.")
    created_at, updated_at = time_or_empty(raw.get("created_at")), time_or_empty(raw.get("updated_at"))
    if not updated_at:
        raise BodyError(f"annotation {number} has no updated_at; with the id it names one version.")
    result = raw.get("result")
    unique_id = raw.get("unique_id")
    lead_time_s = duration_or_none(raw.get("lead_time"))
    return Annotation(
        id=number,
        task=owner,
        project=_same_project(raw, project, f"annotation {number}"),
        person=id_or_none(raw.get("completed_by")),
        # what is not a list is kept, so that decoding reports a problem and not an empty answer
        result=() if result is None else tuple(result) if isinstance(result, list) else (result,),
        updated_at=updated_at,
        created_at=created_at,
        was_cancelled=raw.get("was_cancelled") is True,
        ground_truth=raw.get("ground_truth") is True,
        lead_time_s=lead_time_s,
        parent_prediction=id_or_none(raw.get("parent_prediction")),
        unique_id=unique_id if isinstance(unique_id, str) and unique_id else None,
        imported=_imported(raw, created_at, lead_time_s),
    )


def _imported(raw: Mapping[str, Any], created_at: str, lead_time_s: float | None) -> bool:
    """Return whether an annotation was not made in the editor: imported, or created from predictions in bulk.

    Label Studio does not set `updated_by` for such annotations, and an import of an export also has an `import_id`.
    Only the record is used, so that webhook and poll give the same result; it no longer tells once somebody edited an
    import, which the event log then remembers.
    """
    if raw.get("import_id") is not None or raw.get("bulk_created") is True:
        return True
    is_old = lead_time_s is not None and created_at < _UPDATED_BY_SINCE
    return "updated_by" in raw and raw["updated_by"] is None and not is_old


_Fields = dict[str, Any]  # of a ParsedWebhook


def _saved(project: str, body: Mapping[str, Any], skipped: list[str]) -> _Fields:
    """Read annotation and task, or lists of them: ANNOTATIONS_CREATED uses the same singular keys."""
    tasks = _read_each(_as_list(body.get("task")), lambda raw: read_task(raw, project), skipped)
    only = tasks[0].id if len(tasks) == 1 else None
    raws = _as_list(body.get("annotation"))
    if not raws:
        skipped.append(f"{body['action']} without annotation")
    annotations = _read_each(raws, lambda raw: read_annotation(raw, project, task=only), skipped)
    return {"annotations": annotations, "tasks": tasks}


def _tasks_created(project: str, body: Mapping[str, Any], skipped: list[str]) -> _Fields:
    return {"tasks": _read_each(_as_list(body.get("tasks")), lambda raw: read_task(raw, project), skipped)}


def _deleted(entity: Literal["annotation", "task"], key: str) -> Callable[[str, Mapping[str, Any], list[str]], _Fields]:
    def read_deleted(raw: Any) -> Deleted:
        return Deleted(entity, read_id(raw.get("id") if isinstance(raw, Mapping) else raw, entity))

    return lambda _project, body, skipped: {"deleted": _read_each(_as_list(body.get(key)), read_deleted, skipped)}


def _project_saved(_project: str, _body: Mapping[str, Any], _skipped: list[str]) -> _Fields:
    return {}  # read_webhook reads the config of every event


def _project_deleted(project: str, _body: Mapping[str, Any], _skipped: list[str]) -> _Fields:
    return {"deleted": (Deleted("project", int(project)),), "label_config": None, "title": None}


_EVENTS: Mapping[str, Callable[[str, Mapping[str, Any], list[str]], _Fields]] = {
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


def _read_each(raws: list[Any], read: Callable[[Any], _Record], skipped: list[str]) -> tuple[_Record, ...]:
    """Read all records that can be read; add the first reasons for failures to `skipped`, and how many more."""
    records: list[_Record] = []
    reasons: list[str] = []
    for raw in raws:
        try:
            records.append(read(raw))
        except Exception as error:  # noqa: BLE001 - whatever a record holds, the others are read
            reasons.append(describe_error(error))
    skipped += reasons[:_MAX_REASONS]
    if len(reasons) > _MAX_REASONS:
        skipped.append(f"and {len(reasons) - _MAX_REASONS} more like these")
    return tuple(records)


def _as_list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else [] if raw is None else [raw]


def _project_of(body: Mapping[str, Any]) -> str:
    """Return the project id of an event, as digits, from the body or else from its records."""
    raw = body.get("project")
    if raw is None:
        records = [*_as_list(body.get("annotation")), *_as_list(body.get("task")), *_as_list(body.get("tasks"))]
        ids = (record.get("project") for record in records if isinstance(record, Mapping))
        raw = next((project for project in ids if project is not None), None)
    project = read_project_id(raw.get("id") if isinstance(raw, Mapping) else raw)
    if not project.isdecimal() or not 0 < int(project) <= MAX_ID:
        raise BodyError(f"the project is {project[:32]!r}; wanted its number.", hint="Label Studio sends project.id.")
    return project


def _same_project(raw: Mapping[str, Any], project: str, who: str) -> str:
    """Return the project of a record; BodyError where it names another one than its body."""
    own = id_or_none(raw.get("project"))
    if own is not None and project.isdecimal() and str(own) != project:
        raise BodyError(f"{who} belongs to project {own}, but came with project {project}.")
    return project or str(own or "")


def _config_of(body: Mapping[str, Any]) -> _Fields:
    project = body.get("project")
    known = project if isinstance(project, Mapping) else {}
    return {name: known[name] for name in ("label_config", "title") if isinstance(known.get(name), str)}


def read_project_id(raw: Any) -> str:
    """Return the project id as text: "12" for "12.1795148243", "12" and 12.

    BodyError for anything else, such as a path: ids become keys and file names.
    """
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 < raw <= MAX_ID:
        return str(raw)
    match = _PROJECT.fullmatch(raw) if isinstance(raw, str) else None
    if match is None:
        shown = f"{raw[:32]!r}" if isinstance(raw, str) else json_type(raw)
        raise BodyError(f"the project is {shown}; wanted its id.", hint='Label Studio sends "12" or "12.1795148243".')
    return match[1]


def utc(text: str) -> str:
    """Return a time in UTC with a fixed width, so that texts sort like times.

    Label Studio omits a fraction of zero, and "…27Z" would sort after "…27.8Z". BodyError for what is not a time.

    >>> utc("2026-11-20T04:23:27Z"), utc("2026-11-20T06:23:27.5+02:00")
    ('2026-11-20T04:23:27.000000Z', '2026-11-20T04:23:27.500000Z')
    """
    try:
        moment = datetime.fromisoformat(text)
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BodyError(f"{text[:40]!r} is not a time; wanted ISO 8601.") from error
    if _CANONICAL.fullmatch(text):  # the usual form; faster, because each event has eight times
        return text
    return aware.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def read_id(raw: Any, what: str) -> int:
    """Return the id of a record; BodyError names `what` has none."""
    number = positive_int_or_none(raw)
    if number is None:
        raise BodyError(f"the id of this {what} is {json_type(raw)} or out of range; wanted a positive integer.")
    return number


def id_or_none(raw: Any) -> int | None:
    """Return an id, or that of an object (the REST API expands some); None where there is none."""
    return positive_int_or_none(raw.get("id") if isinstance(raw, Mapping) else raw)


def positive_int_or_none(raw: Any) -> int | None:
    """Return an integer in [1, 2**63 - 1]; None for anything else."""
    return raw if isinstance(raw, int) and not isinstance(raw, bool) and 0 < raw <= MAX_ID else None


def duration_or_none(raw: Any) -> float | None:
    """Return a duration in seconds; None for anything else, such as a negative number."""
    try:
        number = float(raw) if isinstance(raw, (int, float)) and not isinstance(raw, bool) else None
    except OverflowError:  # an integer of 400 digits
        return None
    return number if number is not None and 0 <= number < _MAX_DURATION_S else None


def time_or_empty(raw: Any) -> str:
    """Return what `utc` returns, or "" where there is no valid time."""
    if not isinstance(raw, str):
        return ""
    try:
        return utc(raw)
    except BodyError:
        return ""


def own_unique_id(name: str) -> str:
    """Return the unique_id of an annotation of ours, the same for the same name; Label Studio accepts UUIDs only.

    >>> own_unique_id("case 1, round 1")
    '6869746c-ce3b-858c-b728-6b3058ab5823'
    """
    uuid = str(uuid5(NAMESPACE_URL, f"hitl/{name}"))
    return _OWN_PREFIX + uuid[9:14] + _OWN_VERSION + uuid[15:]


def is_own_annotation(unique_id: str | None) -> bool:
    """Return whether an annotation with this unique_id was written by us.

    >>> [is_own_annotation(id) for id in (own_unique_id("x"), "7745cdff-e1ae-4291-8644-30a02232d4f7", None)]
    [True, False, False]
    """
    if unique_id is None or not unique_id.startswith(_OWN_PREFIX):
        return False
    try:
        return str(UUID(unique_id))[14] == _OWN_VERSION
    except ValueError:
        return False


def json_type(raw: Any) -> str:
    """Return the type of a JSON value for a message, which never shows its content, because that may be private."""
    return _JSON_TYPES.get(type(raw), "missing")
