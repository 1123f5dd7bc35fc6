"""Events: one version of one task, annotation or project each, in the same form from every source."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

import orjson

from feedback.errors import EventError
from ml_backend.errors import BodyError
from ml_backend.label_config import MAX_BYTES
from ml_backend.labelstudio.parsing import ParsedWebhook, utc
from ml_backend.left_out import describe_error
from ml_backend.number_format import format_count, format_seconds
from ml_backend.records import Annotation, Task

Entity = Literal["annotation", "task", "project"]
Action = Literal["saved", "deleted", "erased"]
Source = Literal["webhook", "poll", "sweep", "own"]

_ENTITIES = ("annotation", "task", "project")
_ACTIONS = ("saved", "deleted", "erased")
_SOURCES = ("webhook", "poll", "sweep", "own")
_BIGGEST_ID = 2**63 - 1  # the range of a database integer
_ID_FIELDS = ("task", "person", "parent_prediction")
_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
_LONGEST_PROJECT = 80
_LONGEST_TITLE = 200
AHEAD_S = 300.0  # how far a sender's clock may be ahead of ours
FUTURE = (  # one sentence, without the number of the annotation, so that it is recorded once
    f"a webhook is dated more than {format_seconds(AHEAD_S)} ahead of our clock, so it is not believed; the next poll "
    "reads the answer from Label Studio. Check the clocks of both hosts."
)
EVENT_FIELDS = ("project", "entity", "entity_id", "version", "action", "source", "seen_s")  # besides its bodies
_CONTENT = tuple(column.name for column in fields(Annotation) if column.name not in ("id", "project", "updated_at"))


@dataclass(frozen=True, slots=True)
class Event:
    """One version of one task, annotation or project. Checked here, once.

    The natural key is (project, entity, entity_id, version, action): webhook and poll of one version are one event.
    Label Studio may reuse the id of a deleted task or annotation. `created_at` distinguishes them, and is the version
    of a deletion if the source knows it.
    `seen_s` is the time of an API read, 0 for a webhook: Label Studio changes a few fields (is_labeled, overlap,
    ground_truth) without changing updated_at, so that the last read counts.

    >>> Event("1", "annotation", 5, "2026-01-01T00:00:00Z", "deleted", "webhook").version
    '2026-01-01T00:00:00.000000Z'
    """

    project: str
    entity: Entity
    entity_id: int
    version: str  # updated_at in UTC, of one fixed width; of a deletion created_at; "" where that is unknown
    action: Action
    source: Source
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    seen_s: float = 0.0
    content: bytes = field(default=b"", repr=False, compare=False)  # a task's data as canonical JSON, kept apart
    canonical: bytes = field(init=False, repr=False, compare=False)  # the body as canonical JSON

    def __post_init__(self) -> None:
        where = f"{self.entity} {self.entity_id}"
        if not isinstance(self.project, str) or not 0 < len(self.project) <= _LONGEST_PROJECT:
            raise EventError(f"{where} names no project.")
        if self.entity not in _ENTITIES or self.action not in _ACTIONS or self.source not in _SOURCES:
            raise EventError(f"no event is {self.entity}/{self.action} from {self.source}.")
        if not _is_id(self.entity_id):
            raise EventError(f"{self.entity} has an id that is no positive integer.")
        if not math.isfinite(self.seen_s):
            raise EventError(f"{where} was seen at {self.seen_s}; wanted seconds.")
        for name in _ID_FIELDS:
            value = self.body.get(name)
            if value is not None and not _is_id(value):
                raise EventError(f"{where} has a {name} that is no positive integer.")
        object.__setattr__(self, "version", canonical_time(self.version))
        object.__setattr__(self, "canonical", canonical_json(self.body))

    @property
    def key(self) -> tuple[str, int, str, str]:
        """Return the natural key inside a project."""
        return (self.entity, self.entity_id, self.version, self.action)


def events_from_webhook(
    intake: ParsedWebhook, *, now_s: float = math.inf, unread: list[str] | None = None
) -> list[Event]:
    """Return the events of one webhook body.

    Events that cannot be stored, and those dated in the future (by our clock, `now_s` epoch seconds), are left out; the
    reasons go to `unread`; a poll finds them by Label Studio's own clock. The deletion of a project is no event either:
    it would end all work on it, so a full sync asks Label Studio.

    >>> from ml_backend.labelstudio.parsing import Deleted
    >>> intake = ParsedWebhook("X", "1", deleted=(Deleted("task", 7),))
    >>> [event.action for event in events_from_webhook(intake)]
    ['deleted']
    """
    if not intake.project:
        return []
    project, found = intake.project, list[Event]()
    for task in intake.tasks:
        found += _try_event(unread, event_from_task, task, "webhook", project=project)
    for annotation in intake.annotations:
        found += _try_event(unread, event_from_annotation, annotation, "webhook", project=project)
    for deleted in intake.deleted:
        if deleted.entity == "project":
            return []
        found += _try_event(unread, Event, project, deleted.entity, deleted.id, "", "deleted", "webhook")
    if intake.label_config is not None and len(intake.label_config) > MAX_BYTES:
        if unread is not None:
            unread.append(
                f"the label config of a webhook has more than {format_count(MAX_BYTES)} characters; it is not stored."
            )
    elif intake.label_config is not None:
        found += _try_event(unread, event_from_project, project, intake.title or "", intake.label_config, "webhook")
    # the dates of their author order the votes
    believed = [e for e in found if not is_future(max(e.version, e.body.get("created_at") or ""), now_s)]
    if unread is not None:
        unread += [FUTURE] * (len(found) - len(believed))
    return believed


def is_future(time: str, now_s: float, *, ahead_s: float = AHEAD_S) -> bool:
    """Return whether a canonical time is more than `ahead_s` after `now_s` (epoch seconds); False for "".

    >>> is_future("9999-12-31T23:59:59.000000Z", 0.0), is_future("1970-01-01T00:04:00.000000Z", 0.0)
    (True, False)
    """
    return bool(time) and datetime.fromisoformat(time).timestamp() > now_s + ahead_s


def events_from_task(
    task: Task,
    annotations: Iterable[Annotation],
    *,
    source: Source = "poll",
    seen_s: float = 0.0,
    unread: list[str] | None = None,
) -> list[Event]:
    """Return the events of a task and its annotations from an API read; reasons of what is left out go to `unread`."""
    found = _try_event(unread, event_from_task, task, source, project=task.project, seen_s=seen_s)
    for annotation in annotations:
        project = annotation.project or task.project
        found += _try_event(unread, event_from_annotation, annotation, source, project=project, seen_s=seen_s)
    return found


def event_from_task(task: Task, source: Source, *, project: str = "", seen_s: float = 0.0) -> Event:
    """Return the event of a task alone. Its data are stored once for each content, not once for each version."""
    try:
        content = canonical_json(task.data)
    except EventError as error:
        raise EventError(f"task {task.id}: {error}") from error
    body = {
        "content": hashlib.sha256(content).hexdigest(),
        "created_at": canonical_time(task.created_at) or None,
        "is_labeled": task.is_labeled,
        "overlap": task.overlap,
    }
    return Event(
        project or task.project, "task", task.id, task.updated_at, "saved", source, body, seen_s, content=content
    )


def event_from_annotation(annotation: Annotation, source: Source, *, project: str = "", seen_s: float = 0.0) -> Event:
    """Return the event of one annotation version; a result that JSON cannot hold is replaced by the reason."""
    body = {name: getattr(annotation, name) for name in _CONTENT}
    body["created_at"] = canonical_time(annotation.created_at) or None
    try:
        canonical_json(body)
    except EventError as error:
        body["result"] = str(error)  # not a list: decoding reports the problem
    return Event(
        project or annotation.project, "annotation", annotation.id, annotation.updated_at, "saved", source, body, seen_s
    )


def event_from_project(project: str, title: str, label_config: str, source: Source, *, version: str = "") -> Event:
    """Return the event of a project's title and label config; without a version, the time of arrival orders it.

    A title has at most 200 characters: Label Studio allows 50, and it is printed and shown on every page.
    """
    if not project.isdecimal():
        raise EventError(f"project {project!r} is no number.")
    body = {"title": short_title(title), "label_config": label_config}
    return Event(project, "project", int(project), version, "saved", source, body)


def short_title(title: str) -> str:
    """Return a project's title as it is stored: at most 200 characters.

    >>> len(short_title("x" * 2_000_000))
    200
    """
    return title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…"


def deletions(project: str, entity: Entity, numbers: Iterable[int], *, source: Source = "sweep") -> list[Event]:
    """Return deletions of what an API read no longer showed; some deletions come with no event, convert-to-draft too.

    A mapping to created_at, as known before that read, says which ones: a newer annotation with the id is another.
    """
    created_at = numbers if isinstance(numbers, Mapping) else dict.fromkeys(numbers, "")
    return [Event(project, entity, number, created_at[number], "deleted", source) for number in sorted(created_at)]


def canonical_time(text: str) -> str:
    """Return a time in UTC and one fixed width, so that texts sort as times do; "" stays "". Else EventError.

    >>> canonical_time("2026-01-01T02:00:00+02:00") == canonical_time("2026-01-01T00:00:00Z")
    True
    """
    try:
        return utc(text) if text else ""
    except (BodyError, TypeError) as error:
        raise EventError(f"updated_at {text!r:.60} is not a time.") from error


def canonical_json(value: Any) -> bytes:
    """Return the one JSON text of a value: equal values give equal bytes, whatever the order of keys.

    >>> canonical_json({"b": 1, "a": "é"})
    b'{"a":"\\xc3\\xa9","b":1}'
    """
    try:
        return orjson.dumps(dict(value) if isinstance(value, Mapping) else value, option=_SORTED)
    except TypeError:
        pass  # an integer beyond 64 bits, a lone surrogate, or too deep for orjson
    try:
        finite = json.loads(
            json.dumps(value, ensure_ascii=False), parse_constant=lambda _name: None
        )  # NaN as orjson does
        text = json.dumps(finite, ensure_ascii=False).encode("utf-8", "replace")
        return orjson.dumps(orjson.loads(text), option=_SORTED)
    except (TypeError, ValueError, RecursionError) as error:
        raise EventError(f"a body cannot be written as JSON: {str(error)[:120]}.") from error


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _BIGGEST_ID


def _try_event(unread: list[str] | None, make: Callable[..., Event], *args: Any, **options: Any) -> list[Event]:
    """Return one event, or none where it cannot be stored, with the reason in `unread`."""
    try:
        return [make(*args, **options)]
    except Exception as error:  # noqa: BLE001 - whatever a record holds, the others are stored
        if unread is not None:
            unread.append(describe_error(error))
        return []
