"""Review projects: made once and kept in step, copies of tasks put in and taken out, the final answer written back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.own_annotations import OWN_ANNOTATION_FIELDS, own_unique_id
from ml_backend.labelstudio.parsing import read_task
from ml_backend.labelstudio.transport import Json
from ml_backend.records import Task

UNCERTAINTY = "Uncertainty sampling"
VERSION = "hitl-proposal"  # of what a reviewer finds filled in; its score is the urgency
_NOT_FOUND = 404
_MARK = "hitl"  # the key in a region's meta
_ACTIONS = (  # not TASKS_CREATED: nobody but us puts copies in
    *("ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED", "TASKS_DELETED"),
)

_SETTINGS: Mapping[str, Any] = {
    "sampling": UNCERTAINTY,  # the lowest score first: the most urgent case
    "show_collab_predictions": True,
    "evaluate_predictions_automatically": False,
    "maximum_annotations": 1,  # above 1 tasks come breadth-first; copies have their own overlap
    "show_skip_button": True,
    "enable_empty_annotation": True,
}


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """One task as a review project shows it."""

    data: Mapping[str, Any] = field(hash=False)
    result: tuple[Json, ...] = field(default=(), hash=False)  # what the reviewer finds filled in
    urgency: float = 0.5  # [0, 1]; 0 is next
    readers: int = 1


def ensure_project(
    client: Client, *, known: str, marker: str, title: str, label_config: str, description: str
) -> tuple[str, bool]:
    """Give the review project of a marker, and whether anything was changed: made, or its label config put in step.

    `known` is its number as far as we remember; a project that a killed run made is found by the marker.
    """
    body = _project(client, known) if known else None
    if body is None:
        body = next((one for one in client.projects() if marker in str(one.get("description") or "")), None)
    if body is None:
        text = f"{description} {marker}".strip()
        made = client.create_project(title=title[:50], label_config=label_config, description=text, **_SETTINGS)
        return str(made["id"]), True
    number = str(body["id"])
    changed = {name: wanted for name, wanted in _SETTINGS.items() if body.get(name) != wanted}
    if body["label_config"] != label_config:
        changed["label_config"] = label_config
    if changed:
        client.patch_project(number, **changed)
    return number, bool(changed)


def listen(client: Client, project: str, url: str, headers: Mapping[str, str]) -> None:
    """Have a review project tell us what people do there, by one webhook; ours are known by their headers."""
    wanted: Json = {"url": url, "headers": dict(headers), "actions": list(_ACTIONS), "send_for_all_actions": False}
    found = _ours(client, project, headers)
    for extra in found[1:]:
        client.delete_webhook(extra["id"])
    if not found:
        client.create_webhook(project, **wanted)
    elif any(found[0].get(name) != value for name, value in wanted.items()) or not found[0]["is_active"]:
        client.patch_webhook(found[0]["id"], is_active=True, send_payload=True, **wanted)


def stop_listening(client: Client, project: str, header: str) -> None:
    """Take the webhooks that carry a header of ours out of a review project; one that is gone is no error."""
    try:
        found = _ours(client, project, [header])
    except LabelStudioError as error:
        if error.status != _NOT_FOUND:
            raise
        return
    for webhook in found:
        client.delete_webhook(webhook["id"])


def _ours(client: Client, project: str, headers: Collection[str]) -> list[Json]:
    return [row for row in client.webhooks(project) if set(headers) <= set(row.get("headers") or ())]


def import_review_tasks(client: Client, project: str, copies: Sequence[ReviewTask]) -> list[Task]:
    """Import copies with what is filled in; the tasks in order, as they are now. The most urgent is handed out first.

    What they are is asked at once: Label Studio on SQLite may give them numbers of tasks that were deleted before.
    """
    if not copies:
        return []
    tasks = client.import_tasks(
        project,
        [
            {
                "data": dict(copy.data),
                "predictions": [{"result": list(copy.result), "score": copy.urgency, "model_version": VERSION}],
            }
            for copy in copies
        ],
    )
    for task, copy in zip(tasks, copies, strict=True):
        if copy.readers > 1:
            client.patch_task(task, overlap=copy.readers)
    _serve(client, project)
    now = client.each_task(project, filters=[_among(tasks)], include=_COPY_FIELDS)
    there = {task.id: task for task in (read_task(raw, project) for raw in now)}
    gone = (Task(number, copy.data, project) for number, copy in zip(tasks, copies, strict=True))
    return [there.get(one.id, one) for one in gone]


def complete(client: Client, project: str, task: int, copy: ReviewTask) -> None:
    """Give a copy whatever an import that was cut short left out: what is filled in, its urgency, its readers."""
    there = client.task(task)
    if not any(one["model_version"] == VERSION for one in there["predictions"]):
        client.create_prediction(
            task, result=list(copy.result), score=copy.urgency, model_version=VERSION, project=project
        )
    if there["overlap"] < copy.readers:
        client.patch_task(task, overlap=copy.readers)
    _serve(client, project)


def _serve(client: Client, project: str) -> None:
    """Have Label Studio hand copies out by their urgency, with what is filled in; it takes a version that there is."""
    if client.project(project)["model_version"] != VERSION:
        client.patch_project(project, model_version=VERSION)


def delete_review_task(client: Client, project: str, task: int, *, answered: bool = False) -> bool:
    """Remove a copy that nobody has answered (or any one); False where it stays. One that is gone already is no error.

    Its number is looked up first: on SQLite it may have passed to a task of another project.
    """
    try:
        there = client.task(task)
        if str(there["project"]) != project:
            return True
        if there["annotations"] and not answered:
            return False
        client.delete_task(task)
    except LabelStudioError as error:
        if error.status != _NOT_FOUND:
            raise
    return True


def unique_id(name: str) -> str:
    """The id by which an answer of ours is known, the same for the same name; Label Studio takes UUIDs only.

    >>> unique_id("case 1, round 1") == unique_id("case 1, round 1") != unique_id("case 1, round 2")
    True
    """
    return own_unique_id(f"review/{name}")


def write_final(
    client: Client, task: int, result: Sequence[Json], *, unique_id: str, ours: Collection[str] = ()
) -> tuple[int, bool]:
    """Write the final answer to a source task once; its annotation id, and whether it is the ground truth.

    Label Studio keeps one ground truth a task and takes the star from the others: a person's star stays, and the
    answer is written without one. `ours` are the unique ids of earlier answers of ours, whose star moves on.
    """
    there = client.annotations(task)
    for one in there:
        if unique_id in _marks(one):
            return int(one["id"]), bool(one.get("ground_truth"))
    starred = any(one.get("ground_truth") and not _marks(one) & {unique_id, *ours} for one in there)
    marked = [{**region, "meta": {**region.get("meta", {}), _MARK: unique_id}} for region in result]
    made = client.submit(task, marked, ground_truth=not starred, unique_id=unique_id, **OWN_ANNOTATION_FIELDS)
    return int(made["id"]), not starred


def _marks(annotation: Json) -> set[str]:
    """Whose regions these are: unique ids can be written by REST but not read, so ours stand in the regions, too."""
    regions = annotation.get("result")
    metas = [one.get("meta") for one in regions if isinstance(one, Mapping)] if isinstance(regions, list) else []
    return {str(meta[_MARK]) for meta in metas if isinstance(meta, Mapping) and _MARK in meta}


def first_drafts(client: Client, tasks: Sequence[int]) -> dict[int, tuple[int | None, str]]:
    """Who began a draft first, and when (ISO time), for those of these tasks that have one; a request each."""
    found: dict[int, tuple[int | None, str]] = {}
    for task in tasks:
        drafts = [one for one in client.drafts(task) if one.get("created_at")]
        if drafts:
            first = min(drafts, key=lambda one: str(one["created_at"]))
            user = first.get("user")
            found[task] = (_user(client, user), str(first["created_at"]))
    return found


def emails(client: Client) -> dict[int, str]:
    """Everybody's e-mail address by user id."""
    return {int(one["id"]): str(one.get("email") or "") for one in client.users()}


_COPY_FIELDS = ("id", "data", "project", "is_labeled", "overlap", "created_at", "updated_at")


def _among(tasks: Sequence[int]) -> Json:
    return {"filter": "filter:tasks:id", "operator": "in_list", "type": "Number", "value": list(tasks)}


def _user(client: Client, user: Any) -> int | None:
    """Label Studio names the user of a draft by e-mail address or by id."""
    if isinstance(user, int):
        return user
    wanted = str(user or "").split(",")[0].strip()
    return next((number for number, email in emails(client).items() if email == wanted), None)


def _project(client: Client, number: str) -> Json | None:
    try:
        return client.project(number)
    except LabelStudioError as error:
        if error.status == _NOT_FOUND:
            return None
        raise
