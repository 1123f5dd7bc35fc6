"""What Label Studio serves next: write the queue window with its pre-annotations, hide tasks, and open them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_backend.codecs import get_codec
from ml_backend.errors import LabelStudioError
from ml_backend.label_config import Control
from ml_backend.labelstudio.client import Client, task_filter, version_filter
from ml_backend.labelstudio.parsing import read_task
from ml_backend.labelstudio.transport import Json
from ml_backend.records import Answer, Task

SCORE_SPAN = 1_000_000  # score = place / span: a window may grow without changing the scores of its places
_IDS_PER_REQUEST = 300  # they are part of the URL
_MAX_UNPAGED = 20_000  # predictions in one response without pages (2 s); with more, read pages of tasks


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One task in the queue, and its pre-annotation."""

    task: int
    place: float  # the lowest is next; below SCORE_SPAN
    result: tuple[Json, ...] = field(default=(), hash=False)  # () shows nothing: blind, or no prediction


@dataclass(frozen=True, slots=True)
class Written:
    """The queue rows in Label Studio after a write."""

    version: str
    predictions: Mapping[int, int] = field(hash=False)  # task -> prediction id, from earlier writes of the version, too
    failed: Mapping[int, str] = field(hash=False)  # task -> why it has no row, or an empty one
    complete: bool  # False where `stop` ended it early


def queue_row(
    task: int, place: float, answer: Answer | None, confidence: float | None, control: Control, *, blind: bool = False
) -> QueueRow:
    """Return the queue row of an answer; the region gets its confidence as score, the prediction its place."""
    if answer is None or blind:
        return QueueRow(task, place)
    return QueueRow(task, place, tuple(get_codec(answer.kind).encode(answer, control, confidence)))


def write_queue_window(
    client: Client,
    project: str,
    rows: Sequence[QueueRow],
    *,
    version: str,
    head: int = 25,
    stop: Callable[[], bool] = lambda: False,
) -> Written:
    """Write the queue: the first `head` rows one by one, then the switch to this version, then the rest in bulk.

    So the next tasks are ready early. Safe to repeat after an interruption: a task that has a row of this version,
    `M+qN`, gets no second one. A result that the label config does not allow is replaced by an empty one. Rows that a
    bulk request drops are written one by one. `stop` is asked before each write; True ends it.
    """
    settings = client.project(project)
    written = list_rows(client, project, version)
    ordered = sorted(rows, key=lambda row: row.place)
    bodies, failed = _bodies(ordered, version, str(settings["label_config"]))

    if not _write_each(client, project, bodies[:head], written, failed, stop):
        return Written(version, written, failed, complete=False)
    if stop() or not written:
        return Written(version, written, failed, complete=not stop())
    if settings["model_version"] != version:
        client.patch_project(project, model_version=version)
    rest = [body for body in bodies[head:] if body["task"] not in written]
    if rest and not stop():
        try:
            client.create_predictions(project, rest)
        except LabelStudioError as error:
            if error.status not in (400, None):
                raise
            # a deleted task makes Label Studio refuse the request or stop half-way; a lost response may be either
        written.update(list_rows(client, project, version))
        _write_each(client, project, rest, written, failed, stop)
    return Written(version, written, failed, complete=all(row.task in written or row.task in failed for row in ordered))


def list_rows(client: Client, project: str, version: str) -> dict[int, int]:
    """Return the rows of a version in Label Studio: task -> prediction id, the first where a task has several."""
    counts = {row["model_version"]: int(row["count"]) for row in client.model_versions(project)}
    if not counts.get(version):
        return {}
    if sum(counts.values()) <= _MAX_UNPAGED:
        rows: Iterable[Json] = client.predictions(project=project)
    else:
        tasks = client.each_task(project, filters=[version_filter(version)], include=("id", "predictions"))
        rows = ({**row, "task": task["id"]} for task in tasks for row in task["predictions"])
    found: dict[int, int] = {}
    for row in rows:
        if row["model_version"] == version:
            found[row["task"]] = min(row["id"], found.get(row["task"], row["id"]))
    return found


def hide_task(client: Client, task: int) -> Task:
    """Mark a task as labelled, so that the label stream does not serve it; return the changed task.

    A person who has it open can still submit, and all people can open it in the Data Manager.
    """
    return read_task(client.patch_task(task, is_labeled=True))


def reopen_task(client: Client, task: int, overlap: int) -> Task:
    """Serve a task again until it has `overlap` annotations; return the changed task.

    Label Studio needs both fields to serve it again, and closes it by itself at the last annotation.
    """
    return read_task(client.patch_task(task, overlap=overlap, is_labeled=False))


def servable_tasks(client: Client, project: str, tasks: Sequence[int]) -> list[int]:
    """Return those of these tasks that the label stream may still serve."""
    found: list[int] = []
    for start in range(0, len(tasks), _IDS_PER_REQUEST):
        part = task_filter("id", "in_list", list(tasks[start : start + _IDS_PER_REQUEST]))
        rows = client.each_task(project, filters=[part], include=("id", "is_labeled"))
        found += [int(row["id"]) for row in rows if not row["is_labeled"]]
    return found


def _write_each(
    client: Client,
    project: str,
    bodies: Sequence[Json],
    written: dict[int, int],
    failed: dict[int, str],
    stop: Callable[[], bool],
) -> bool:
    """Write the rows that are not written yet; False where `stop` ended it."""
    for body in bodies:
        if body["task"] in written:
            continue
        if stop():
            return False
        _write_row(client, project, body, written, failed)
    return True


def _write_row(client: Client, project: str, body: Json, written: dict[int, int], failed: dict[int, str]) -> None:
    task = body["task"]
    try:
        written[task] = int(client.create_prediction(**body, project=project)["id"])
    except LabelStudioError as error:
        if error.status is None:  # the response was lost: the row may have been written
            written.update(list_rows(client, project, body["model_version"]))
            if task in written:
                return
            raise
        if error.status >= 500 or error.status in (401, 403, 429):
            raise
        failed[task] = str(error)


def _bodies(rows: Sequence[QueueRow], version: str, label_config: str) -> tuple[list[Json], dict[int, str]]:
    """Turn rows into prediction bodies, and give the reason for each result that the label config does not allow."""
    # reason: the SDK takes half a second to import
    from label_studio_sdk.label_interface.interface import LabelInterface

    interface: Any = LabelInterface(label_config)
    bodies: list[Json] = []
    failed: dict[int, str] = {}
    for row in rows:
        body: Json = {
            "task": row.task,
            "result": list(row.result),
            "score": row.place / SCORE_SPAN,
            "model_version": version,
        }
        if row.result and (problems := interface.validate_prediction(body, return_errors=True)):
            failed[row.task] = f"shown empty: {'; '.join(map(str, problems))[:300]}"
            body["result"] = []
        bodies.append(body)
    return bodies, failed
