"""What Label Studio serves next: write the queue window with its pre-annotations, hide tasks, and open them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ml_backend.codecs import get_codec
from ml_backend.errors import LabelStudioError
from ml_backend.label_config import Control, make_label_interface
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.imported_predictions import ImportedPrediction, ImportedVersions
from ml_backend.labelstudio.parsing import read_task
from ml_backend.labelstudio.transport import Json
from ml_backend.labelstudio.verified_writes import (
    HIGHEST_SCORE,
    create_prediction_once,
    of_version,
    read_predictions,
    read_tasks,
    restore_score,
)
from ml_backend.left_out import RequestRows, describe_error
from ml_backend.records import Answer, Task

_NOTHING: Mapping[int, int] = MappingProxyType({})
_BAD_REQUEST = 400
PLACES = 2**20  # score = place / PLACES * HIGHEST_SCORE: a window may grow without changing the scores of its places


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One task in the queue, and its pre-annotation."""

    task: int
    place: float  # the lowest is next; below PLACES
    result: tuple[Json, ...] = field(default=(), hash=False)  # () shows nothing of ours: blind, or no prediction
    serves: str = ""  # the control for which `result` replaces predictions that are not ours; "": it gives way to them
    with_imported: bool = False  # whether predictions that are not ours may be shown: never on a blind task

    @property
    def score(self) -> float:
        """Return the place as Label Studio's score."""
        return self.place / PLACES * HIGHEST_SCORE


@dataclass(frozen=True, slots=True)
class Written:
    """The queue rows in Label Studio after a write."""

    version: str
    predictions: Mapping[int, int] = field(hash=False)  # task -> prediction id, from earlier writes of the version, too
    failed: Mapping[int, str] = field(hash=False)  # task -> why it has no row, or an empty one
    complete: bool  # False where `stop` ended it early
    imported: Mapping[int, ImportedPrediction] = field(default_factory=dict, hash=False)  # task -> what is shown of it


def queue_row(
    task: int,
    place: float,
    answer: Answer | None,
    confidence: float | None,
    control: Control,
    *,
    blind: bool = False,
    gives_way: bool = False,
) -> QueueRow:
    """Return the queue row of an answer; the region gets its confidence as score, the prediction its place.

    An answer that `gives_way` is shown only where no other prediction has regions of its control.
    """
    if answer is None or blind:
        return QueueRow(task, place, with_imported=not blind)
    result = tuple(get_codec(answer.kind).encode(answer, control, confidence))
    return QueueRow(task, place, result, "" if gives_way else control.name, with_imported=True)


def write_queue_window(
    client: Client,
    project: str,
    rows: Sequence[QueueRow],
    *,
    version: str,
    head: int = 25,
    stop: Callable[[], bool] = lambda: False,
    known: Mapping[int, int] = _NOTHING,
    imported: ImportedVersions | None = None,
) -> Written:
    """Write the queue: the first `head` rows one by one, then the switch to this version, then the rest in bulk.

    So the next tasks are ready early. Safe to repeat after an interruption: a task that has a row of this version,
    `M+qN`, gets no second one; `known` are those that need not be looked up (task -> prediction id). A result of ours
    that the label config does not allow is left out. Where `imported` is given, predictions that are not ours stay
    visible in our rows. Everything written is read back: rows that Label Studio lost are written one by one, and lost
    scores are restored. `stop` is asked before each write; True ends it.
    """
    settings = client.project(project)
    ordered = sorted(rows, key=lambda row: row.place)
    found = read_predictions(client, project, [row.task for row in ordered if row.task not in known])
    written = {row.task: known[row.task] for row in ordered if row.task in known}
    scores = {row.task: row.score for row in ordered}
    _adopt(client, found, version, scores, written)
    shown = _choose_imported(ordered, found, imported)
    refused = dict[int, str]()
    bodies, invalid, singly = _bodies(ordered, shown, version, str(settings["label_config"]))
    new = [body["task"] for body in bodies if body["task"] not in written]

    def written_so_far(*, complete: bool) -> Written:
        visible = {task: row for task, row in shown.items() if task in written and task not in refused}
        return Written(version, written, {**invalid, **refused}, complete, visible)

    requests = RequestRows("write the queue")
    for start in range(0, len(bodies), max(1, head)):
        part = bodies[start : start + max(1, head)]
        if not _write_each(client, project, part, written, refused, stop, requests):
            return written_so_far(complete=False)
        if written:
            break  # else the first rows are all refused; Label Studio can only switch to a version that has a row
    if stop() or not written:
        return written_so_far(complete=not stop())
    if settings["model_version"] != version:
        client.patch_project(project, model_version=version)
    rest = [body for body in bodies[head:] if body["task"] not in written and body["task"] not in singly]
    doubt = _write_bulk(client, project, rest) if rest and not stop() else None
    if new:
        held = dict[int, int]()
        _adopt(client, read_predictions(client, project, new), version, scores, held)
        for task in new:  # also what was written one by one
            written.pop(task, None)
        written.update(held)
        if doubt is not None and doubt.status is None and not any(body["task"] in written for body in rest):
            raise doubt  # no answer at all; after an error of Label Studio's, single rows show which one it is about
        lost = [body for body in bodies if body["task"] not in refused]
        _write_each(client, project, lost, written, refused, stop, requests)
    return written_so_far(complete=all(row.task in written or row.task in refused for row in ordered))


def _write_bulk(client: Client, project: str, bodies: Sequence[Json]) -> LabelStudioError | None:
    """Write rows in one request; return the error after which some of them, or all, may be written."""
    try:
        client.create_predictions(project, bodies)
    except LabelStudioError as error:
        if error.status == _BAD_REQUEST:
            return None  # a deleted task makes Label Studio refuse the request or stop half-way
        if error.is_doubtful:
            return error
        raise
    return None


def _adopt(
    client: Client,
    found: Mapping[int, Sequence[Json]],
    version: str,
    scores: Mapping[int, float],
    written: dict[int, int],
) -> None:
    """Add the rows that exist to `written`, and restore their scores."""
    requests = RequestRows("restore the place in the queue")
    for task, predictions in found.items():
        row = of_version(predictions, version)
        if row is not None:
            written[task] = int(row["id"])
            with requests.row(f"task {task}"):
                restore_score(client, row, scores[task])


def _choose_imported(
    rows: Sequence[QueueRow], found: Mapping[int, Sequence[Json]], imported: ImportedVersions | None
) -> dict[int, ImportedPrediction]:
    """Return what each row shows of predictions that are not ours: all but the control that we serve."""
    shown = dict[int, ImportedPrediction]()
    if imported is None:
        return shown
    for row in rows:
        chosen = imported.choose(found.get(row.task, ())) if row.with_imported else None
        if chosen is not None and (result := chosen.without(row.serves) if row.serves else chosen.result):
            shown[row.task] = replace(chosen, result=result)
    return shown


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
    rows = read_tasks(client, project, tasks, include=("id", "is_labeled"))
    return [int(row["id"]) for row in rows if not row["is_labeled"]]


def _write_each(
    client: Client,
    project: str,
    bodies: Sequence[Json],
    written: dict[int, int],
    failed: dict[int, str],
    stop: Callable[[], bool],
    requests: RequestRows,
) -> bool:
    """Write the rows that are not written yet; False where `stop` ended it."""
    for body in bodies:
        if body["task"] in written:
            continue
        if stop():
            return False
        with requests.row(f"task {body['task']}"):
            _write_row(client, project, body, written, failed)
        if body["task"] not in written:
            failed.setdefault(body["task"], "Label Studio failed")
    return True


def _write_row(client: Client, project: str, body: Json, written: dict[int, int], failed: dict[int, str]) -> None:
    """Write one row; an empty one where Label Studio refuses its result, so that the task keeps its place."""
    task = body["task"]
    try:
        written[task] = create_prediction_once(client, project, body)
    except LabelStudioError as error:
        if not error.is_refusal or error.status in (401, 403, 429):
            raise
        failed[task] = str(error)
        if body["result"]:
            _write_row(client, project, {**body, "result": []}, written, failed)
            if task in written:
                failed[task] = f"shown empty: {error}"


def _bodies(
    rows: Sequence[QueueRow],
    imported: Mapping[int, ImportedPrediction],
    version: str,
    label_config: str,
) -> tuple[list[Json], dict[int, str], set[int]]:
    """Turn rows into prediction bodies.

    Also returns the reason for each result that the label config does not allow, and the tasks whose result its editor
    takes and Label Studio's bulk import drops. Regions that are not ours are copied as they are: people saw them
    before, whatever the label config says.
    """
    interface, editor = make_label_interface(label_config), None
    bodies: list[Json] = []
    failed: dict[int, str] = {}
    singly: set[int] = set()
    for row in rows:
        body: Json = {
            "task": row.task,
            "result": list(row.result),
            "score": row.score,
            "model_version": version,
        }
        if row.result and _find_problems(interface, body):
            editor = editor or _as_the_editor(label_config)
            problems = _find_problems(editor, {**body, "result": list(map(_without_paths, row.result))})
            if problems:
                failed[row.task] = f"shown empty: {'; '.join(map(str, problems))[:300]}"
                body["result"] = []
            else:
                singly.add(row.task)
        if (other := imported.get(row.task)) is not None:
            controls = other.controls()
            own = [region for region in body["result"] if region["from_name"] not in controls]
            body["result"] = [*other.result, *own]
        bodies.append(body)
    return bodies, failed, singly


def _as_the_editor(label_config: str) -> Any:
    """Return the SDK's interface without the labels of controls to which each task adds its own."""
    interface = make_label_interface(label_config)
    for control in interface.controls:
        if control.dynamic_value:
            control.set_labels([])
    return interface


def _find_problems(interface: Any, body: Json) -> Sequence[object]:
    """Return what the SDK has against a prediction; its bulk import uses the same check."""
    try:
        return interface.validate_prediction(body, return_errors=True)  # type: ignore[no-any-return]
    except Exception as error:  # noqa: BLE001 - of the SDK, over one result
        return [describe_error(error)]


def _without_paths(region: Json) -> Json:
    """Return a region with the last label of each path of a nested list: the SDK knows no paths of Choices."""
    chosen = region["value"].get("choices")
    if not chosen or isinstance(chosen[0], str):
        return region
    return {**region, "value": {**region["value"], "choices": [path[-1] for path in chosen]}}
