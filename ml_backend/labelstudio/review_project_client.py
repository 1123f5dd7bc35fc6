"""Review projects in Label Studio: create them, import and delete review tasks, write final answers back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ml_backend.errors import NotFound
from ml_backend.labelstudio.client import Client, task_filter
from ml_backend.labelstudio.parsing import OWN_ANNOTATION_FIELDS, read_task
from ml_backend.labelstudio.projects import UNCERTAINTY
from ml_backend.labelstudio.transport import Json
from ml_backend.records import Task

VERSION = "hitl-proposal"  # the model version of the proposed answers; their score is the urgency
_MARK = "hitl"  # the key in a region's meta
# not TASKS_CREATED: only this service creates review tasks
_ACTIONS = ("ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED", "TASKS_DELETED")
_TASK_FIELDS = ("id", "data", "project", "is_labeled", "overlap", "created_at", "updated_at")
_SETTINGS: Mapping[str, Any] = {
    "sampling": UNCERTAINTY,  # the lowest score first: the most urgent case
    "show_collab_predictions": True,
    "evaluate_predictions_automatically": False,
    "maximum_annotations": 1,  # above 1 started tasks come first; review tasks have their own overlap
    "show_skip_button": True,
    "enable_empty_annotation": True,
}


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """One task of a review project."""

    data: Mapping[str, Any] = field(hash=False)
    result: tuple[Json, ...] = field(default=(), hash=False)  # the proposed answer that the reviewer sees
    urgency: float = 0.5  # [0, 1]; 0 is next
    n_reviewers: int = 1

    @property
    def proposal(self) -> Json:
        """Return the prediction that shows the proposed answer; its score is the urgency."""
        return {"result": list(self.result), "score": self.urgency, "model_version": VERSION}


def ensure_review_project(
    client: Client, *, known: str, marker: str, title: str, label_config: str, description: str
) -> tuple[str, bool]:
    """Create or update the review project of a marker; return its id, and whether anything was changed.

    `known` is the stored id, or "". The marker in the description finds a project whose id was not stored.
    """
    body = None
    with suppress(NotFound):
        body = client.project(known) if known else None
    if body is None:
        body = next((row for row in client.projects() if marker in str(row.get("description") or "")), None)
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


def ensure_webhook(client: Client, project: str, url: str, headers: Mapping[str, str]) -> None:
    """Set the webhook of a review project; webhooks with the same headers are ours, and extra ones are deleted."""
    wanted: Json = {"url": url, "headers": dict(headers), "actions": list(_ACTIONS), "send_for_all_actions": False}
    webhooks = _our_webhooks(client, project, headers)
    for extra in webhooks[1:]:
        client.delete_webhook(extra["id"])
    if not webhooks:
        client.create_webhook(project, **wanted)
    elif any(webhooks[0].get(name) != value for name, value in wanted.items()) or not webhooks[0]["is_active"]:
        client.patch_webhook(webhooks[0]["id"], is_active=True, send_payload=True, **wanted)


def delete_webhooks(client: Client, project: str, header: str) -> None:
    """Delete the webhooks of a review project that have our header; a deleted project is no error."""
    with suppress(NotFound):
        for webhook in _our_webhooks(client, project, [header]):
            client.delete_webhook(webhook["id"])


def _our_webhooks(client: Client, project: str, headers: Collection[str]) -> list[Json]:
    return [row for row in client.webhooks(project) if set(headers) <= set(row.get("headers") or ())]


def import_review_tasks(client: Client, project: str, review_tasks: Sequence[ReviewTask]) -> list[Task]:
    """Import review tasks with their proposed answers; return them as tasks, in order.

    They are read back, because Label Studio on SQLite may give them ids of tasks that were deleted before.
    """
    if not review_tasks:
        return []
    bodies = [{"data": dict(task.data), "predictions": [task.proposal]} for task in review_tasks]
    tasks = client.import_tasks(project, bodies)
    for task, review_task in zip(tasks, review_tasks, strict=True):
        if review_task.n_reviewers > 1:
            client.patch_task(task, overlap=review_task.n_reviewers)
    _serve_by_urgency(client, project)
    now = client.each_task(project, filters=[task_filter("id", "in_list", tasks)], include=_TASK_FIELDS)
    read_back = {task.id: task for task in (read_task(raw, project) for raw in now)}
    pairs = zip(tasks, review_tasks, strict=True)
    return [read_back.get(number) or Task(number, review_task.data, project) for number, review_task in pairs]


def complete_review_task(client: Client, project: str, task: int, review_task: ReviewTask) -> None:
    """Add what an interrupted import left out: the proposed answer, its urgency, the number of reviewers."""
    body = client.task(task)
    if not any(row["model_version"] == VERSION for row in body["predictions"]):
        client.create_prediction(task, **review_task.proposal, project=project)
    if body["overlap"] < review_task.n_reviewers:
        client.patch_task(task, overlap=review_task.n_reviewers)
    _serve_by_urgency(client, project)


def _serve_by_urgency(client: Client, project: str) -> None:
    """Set the model version of the proposed answers, so that urgent review tasks are served first.

    Label Studio accepts only a version that has predictions.
    """
    if client.project(project)["model_version"] != VERSION:
        client.patch_project(project, model_version=VERSION)


def delete_review_task(client: Client, project: str, task: int, *, answered: bool = False) -> bool:
    """Delete a review task without annotations (`answered`: also with); return False where it stays.

    The project is checked first, because on SQLite a task of another project may have the id now.
    """
    with suppress(NotFound):
        body = client.task(task)
        if str(body["project"]) != project:
            return True
        if body["annotations"] and not answered:
            return False
        client.delete_task(task)
    return True


def write_final_answer(
    client: Client, task: int, result: Sequence[Json], *, unique_id: str, ours: Collection[str] = ()
) -> tuple[int, bool]:
    """Write the final answer to a source task once; return its annotation id, and whether it is the ground truth.

    Label Studio keeps one ground truth per task. Where a person set it, the answer is written without it. `ours` are
    the unique ids of our earlier answers, which lose the ground truth to this one.
    """
    annotations = client.annotations(task)
    for annotation in annotations:
        if unique_id in _own_marks(annotation):
            return int(annotation["id"]), bool(annotation.get("ground_truth"))
    has_ground_truth = any(row.get("ground_truth") and not _own_marks(row) & {unique_id, *ours} for row in annotations)
    marked = [{**region, "meta": {**region.get("meta", {}), _MARK: unique_id}} for region in result]
    made = client.submit(task, marked, ground_truth=not has_ground_truth, unique_id=unique_id, **OWN_ANNOTATION_FIELDS)
    return int(made["id"]), not has_ground_truth


def _own_marks(annotation: Json) -> set[str]:
    """Return our unique ids in the regions of an annotation; REST accepts a unique_id, but never returns it."""
    regions = annotation.get("result")
    regions = regions if isinstance(regions, list) else []
    metas = [region.get("meta") for region in regions if isinstance(region, Mapping)]
    return {str(meta[_MARK]) for meta in metas if isinstance(meta, Mapping) and _MARK in meta}


def first_drafts(client: Client, tasks: Sequence[int]) -> dict[int, tuple[int | None, str]]:
    """Return the user and time (ISO) of the first draft of each task that has one; one request per task."""
    found: dict[int, tuple[int | None, str]] = {}
    for task in tasks:
        drafts = [draft for draft in client.drafts(task) if draft.get("created_at")]
        if drafts:
            first = min(drafts, key=lambda draft: str(draft["created_at"]))
            found[task] = (_user(client, first.get("user")), str(first["created_at"]))
    return found


def list_emails(client: Client) -> dict[int, str]:
    """Return the e-mail address of every user, by user id."""
    return {int(row["id"]): str(row.get("email") or "") for row in client.users()}


def _user(client: Client, user: Any) -> int | None:
    """Return the id of a draft's user, which Label Studio gives as an e-mail address or an id."""
    if isinstance(user, int):
        return user
    wanted = str(user or "").split(",")[0].strip()
    return next((number for number, email in list_emails(client).items() if email == wanted), None)
