"""The window: which tasks Label Studio hands out next, in our order, and what it shows with each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_backend.codecs import codec
from ml_backend.errors import BodyError, LabelStudioError
from ml_backend.label_config import Control
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.parsing import read_annotation, read_task
from ml_backend.labelstudio.transport import Json
from ml_backend.records import Annotation, Answer, Task

_SPAN = 10_000  # score = place / span: windows of one version may grow without a place changing its score
_LISTABLE = 20_000  # predictions that one unpaged answer may hold (2 s); beyond, tasks are paged
# reason: Label Studio applies the list to the annotations inside each task, too, so their fields are named as well
_TASK_FIELDS = (
    *("id", "data", "project", "is_labeled", "overlap", "created_at", "updated_at", "annotations"),
    *("task", "completed_by", "result", "was_cancelled", "ground_truth", "lead_time", "parent_prediction"),
    *("import_id", "bulk_created", "updated_by"),
)

Found = tuple[Task, tuple[Annotation, ...]]


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One task in the queue and what is shown with it."""

    task: int
    place: int  # 0 = next
    result: tuple[Json, ...] = field(default=(), hash=False)  # () shows nothing: blind, or no answer yet


@dataclass(frozen=True, slots=True)
class Written:
    """What Label Studio holds after a write."""

    version: str
    predictions: Mapping[int, int] = field(hash=False)  # task -> id of its row, older runs of the same version included
    failed: Mapping[int, str] = field(hash=False)  # task -> why it has no row, or an empty one
    complete: bool  # False when `stop` ended it early


def queue_row(
    task: int, place: int, answer: Answer | None, confidence: float | None, control: Control, *, blind: bool = False
) -> QueueRow:
    """Put an answer into the queue; its confidence stands on the region, the place becomes the score."""
    if answer is None or blind:
        return QueueRow(task, place)
    return QueueRow(task, place, tuple(codec(answer.kind).encode(answer, control, confidence)))


def write_queue_window(
    client: Client,
    project: str,
    rows: Sequence[QueueRow],
    *,
    version: str,
    head: int = 25,
    stop: Callable[[], bool] = lambda: False,
) -> Written:
    """Make these rows the queue: the head one by one, then the switch of the version, then the rest in one request.

    Safe to repeat after a kill anywhere: a task that has a row of this version gets no second one. What Label Studio
    would find wrong is shown empty, and rows that a bulk request drops are written again singly; both are in `failed`.
    """
    settings = client.project(project)
    have = held(client, project, version)
    ordered = sorted(rows, key=lambda row: row.place)
    bodies, failed = _bodies(ordered, version, str(settings["label_config"]))

    for body in bodies[:head]:
        if stop():
            return Written(version, have, failed, complete=False)
        if body["task"] not in have:
            _write_one(client, project, body, have, failed)
    if stop() or not have:
        return Written(version, have, failed, complete=not stop())
    if settings["model_version"] != version:
        client.patch_project(project, model_version=version)
    rest = [body for body in bodies[head:] if body["task"] not in have]
    if rest and not stop():
        _write_many(client, project, rest, version, have, failed, stop)
    return Written(version, have, failed, complete=all(row.task in have or row.task in failed for row in ordered))


def held(client: Client, project: str, version: str) -> dict[int, int]:
    """The rows of a version that Label Studio has: task -> prediction id (the first, where a task has several)."""
    counts = {row["model_version"]: int(row["count"]) for row in client.model_versions(project)}
    if not counts.get(version):
        return {}
    found: dict[int, int] = {}
    for row in _predictions(client, project, version, total=sum(counts.values())):
        found[row["task"]] = min(row["id"], found.get(row["task"], row["id"]))
    return found


def reopen(client: Client, task: int, overlap: int) -> Task:
    """Let a task be answered until it has `overlap` votes; the task as it is now.

    Label Studio serves it again only with both fields set; it closes it itself at the last vote.
    """
    return read_task(client.patch_task(task, overlap=overlap, is_labeled=False))


def shown(client: Client, prediction: int) -> tuple[str, list[Any]] | None:
    """What a prediction showed: its version and result; None when it is gone from Label Studio."""
    found = client.prediction(prediction)
    return None if found is None else (str(found["model_version"]), list(found["result"] or []))


def poll(
    client: Client, project: str, since: str, *, page: int = 200, skipped: list[str] | None = None
) -> Iterator[Found]:
    """Tasks that changed at or after `since` (ISO time; "" = all), oldest change first, each with its annotations.

    Follows the time of the last task seen, so that changes meanwhile skip nothing; a task may come twice. Why a record
    could not be read goes to `skipped`.
    """
    if not since:
        yield from sweep(client, project, page=page, skipped=skipped)
        return
    seen: set[tuple[int, str]] = set()
    number = 1
    while True:
        later = {
            "filter": "filter:tasks:updated_at",
            "operator": "greater_or_equal",
            "type": "Datetime",
            "value": since,
        }
        raws = client.tasks(
            project, filters=[later], ordering="tasks:updated_at", include=_TASK_FIELDS, page=number, page_size=page
        )
        fresh = [raw for raw in raws if (raw["id"], raw["updated_at"]) not in seen]
        yield from _records(fresh, project, skipped)
        if len(raws) < page:
            return
        last = raws[-1]["updated_at"]
        # reason: a whole page of one instant cannot move the mark, so the next page of the same mark is read
        number = number + 1 if last == since else 1
        seen = {(raw["id"], raw["updated_at"]) for raw in raws if raw["updated_at"] == last}
        since = last


def sweep(client: Client, project: str, *, page: int = 200, skipped: list[str] | None = None) -> Iterator[Found]:
    """Every task with its annotations, by id; what a store holds beyond these is gone from Label Studio."""
    yield from _records(client.each_task(project, include=_TASK_FIELDS, page_size=page), project, skipped)


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a project's tasks, in order of id."""

    found: tuple[Found, ...]
    shown: Mapping[int, frozenset[int]] = field(hash=False)  # task -> its annotations, those that we cannot read too
    last: int | None  # the id that the next stretch begins above; None at the end
    unread: tuple[str, ...] = ()  # why records could not be read


def page(client: Client, project: str, *, above: int, size: int = 500) -> Page:
    """The first `size` tasks above an id: what a sweep that can stop and go on reads one after another."""
    raws = client.tasks_above(project, above, include=_TASK_FIELDS, page_size=size)
    shown = {int(raw["id"]): frozenset(int(one["id"]) for one in raw.get("annotations") or ()) for raw in raws}
    skipped: list[str] = []
    found = tuple(_records(raws, project, skipped))
    return Page(found, shown, max(shown) if len(raws) >= size else None, tuple(skipped))


def newest(client: Client, project: str) -> str:
    """When the last change of any task was (ISO time); "" in an empty project."""
    found = client.tasks(project, ordering="-tasks:updated_at", include=("id", "updated_at"), page_size=1)
    return str(found[0]["updated_at"]) if found else ""


def _records(raws: Iterable[Json], project: str, skipped: list[str] | None) -> Iterator[Found]:
    reasons = [] if skipped is None else skipped
    for raw in raws:
        try:
            task = read_task(raw, project)
        except BodyError as error:
            reasons.append(str(error))
            continue
        annotations = []
        for annotation in raw.get("annotations") or ():
            try:
                annotations.append(read_annotation(annotation, project, task=task.id))
            except BodyError as error:
                reasons.append(str(error))
        yield task, tuple(annotations)


def _predictions(client: Client, project: str, version: str, *, total: int) -> Iterator[Json]:
    if total <= _LISTABLE:
        rows: Iterable[Json] = client.predictions(project=project)
    else:
        named = {"filter": "filter:tasks:predictions_model_versions", "operator": "contains", "type": "String"}
        tasks = client.each_task(project, filters=[{**named, "value": version}], include=("id", "predictions"))
        rows = ({**row, "task": task["id"]} for task in tasks for row in task["predictions"])
    return (row for row in rows if row["model_version"] == version)


def _write_one(client: Client, project: str, body: Json, have: dict[int, int], failed: dict[int, str]) -> None:
    task = body["task"]
    try:
        have[task] = int(client.create_prediction(**body, project=project)["id"])
    except LabelStudioError as error:
        if error.status is None:  # the answer was lost: it may have been written
            have.update(held(client, project, body["model_version"]))
            if task in have:
                return
            raise
        if error.status >= 500 or error.status in (401, 403, 429):
            raise
        failed[task] = str(error)


def _write_many(
    client: Client,
    project: str,
    bodies: list[Json],
    version: str,
    have: dict[int, int],
    failed: dict[int, str],
    stop: Callable[[], bool],
) -> None:
    try:
        client.create_predictions(project, bodies)
    except LabelStudioError as error:
        if error.status not in (400, None):
            raise
        # a task deleted meanwhile refuses the whole request or ends it half-way; a lost answer may be either
    have.update(held(client, project, version))
    missing = [body for body in bodies if body["task"] not in have]
    for body in missing:
        if stop():
            return
        _write_one(client, project, body, have, failed)


def _bodies(rows: Sequence[QueueRow], version: str, label_config: str) -> tuple[list[Json], dict[int, str]]:
    """Turn rows into predictions; a result that the label config does not allow is left out and named."""
    # reason: the SDK takes half a second to import
    from label_studio_sdk.label_interface.interface import LabelInterface

    span = max(_SPAN, 1 + max((row.place for row in rows), default=0))
    interface: Any = LabelInterface(label_config)
    bodies: list[Json] = []
    failed: dict[int, str] = {}
    for row in rows:
        body: Json = {"task": row.task, "result": list(row.result), "score": row.place / span, "model_version": version}
        if row.result and (problems := interface.validate_prediction(body, return_errors=True)):
            failed[row.task] = f"shown empty: {'; '.join(map(str, problems))[:300]}"
            body["result"] = []
        bodies.append(body)
    return bodies, failed
