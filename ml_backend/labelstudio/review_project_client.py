"""Review projects in Label Studio: create them, import and delete review tasks, write final answers back."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ml_backend.errors import LabelStudioError, NotFound
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.parsing import OWN_ANNOTATION_FIELDS, read_task
from ml_backend.labelstudio.projects import UNCERTAINTY
from ml_backend.labelstudio.transport import Json
from ml_backend.labelstudio.verified_writes import (
    HIGHEST_SCORE,
    create_once,
    create_prediction_once,
    create_single,
    of_version,
    read_tasks,
    restore_score,
)
from ml_backend.left_out import RequestRows
from ml_backend.records import Task

VERSION = "hitl-proposal"  # the model version of the proposed answers; their score is the urgency
_BAD_REQUEST, _CONFLICT = 400, 409
_NEWEST = 20  # more tasks than an import has, among which one whose answer was lost is looked for
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
    def score(self) -> float:
        """Return the urgency as Label Studio's score."""
        return self.urgency * HIGHEST_SCORE

    @property
    def proposal(self) -> Json:
        """Return the prediction that shows the proposed answer; its score is the urgency."""
        return {"result": list(self.result), "score": self.score, "model_version": VERSION}


def review_marker(project: str, tier: str) -> str:
    """Return what the description of a tier's review project ends with.

    >>> review_marker("7", "L2")
    '[hitl:7:L2]'
    """
    return f"[hitl:{project}:{tier}]"


def list_duplicate_review_projects(client: Client, project: str) -> dict[str, list[str]]:
    """Return the ids of the review projects of each tier that has more than one."""
    mark = re.compile(rf"\[hitl:{re.escape(project)}:([^\]]+)\]")
    found: dict[str, list[str]] = {}
    for row in client.projects():
        for tier in mark.findall(str(row.get("description") or ""))[-1:]:
            found.setdefault(tier, []).append(str(row["id"]))
    return {tier: sorted(ids, key=int) for tier, ids in found.items() if len(ids) > 1}


@dataclass(frozen=True, slots=True)
class ReviewProjectSettings:
    """What a review project shall be."""

    marker: str  # `review_marker`; finds it
    title: str
    label_config: str
    description: str
    instruction: tuple[str, bool] = ("", False)  # of the source project, and whether people see it before they label


@dataclass(frozen=True, slots=True)
class ReviewProject:
    """The review project of a marker in Label Studio."""

    id: str
    duplicates: tuple[str, ...] = ()  # other projects with the marker, which are not used and never deleted


def ensure_review_project(client: Client, settings: ReviewProjectSettings, *, known: str) -> ReviewProject:
    """Create or update the review project of a marker.

    `known` is the stored id, or "". The marker in the description finds a project whose id was not stored. Of several
    with the marker, one with tasks is used, then the known one, then the first; those that were created together with
    it are deleted.
    """
    marker, (instruction, is_shown) = settings.marker, settings.instruction
    fields = {**_SETTINGS, "expert_instruction": instruction, "show_instruction": is_shown}
    fields["label_config"] = settings.label_config
    text = f"{settings.description} {marker}".strip()
    others: list[Json] = []

    def list_all() -> list[Json]:
        found = [row for row in client.projects() if marker and marker in str(row.get("description") or "")]
        if known and all(str(row["id"]) != known for row in found):  # somebody may have changed its description
            with suppress(NotFound):
                found.append(client.project(known))
        found.sort(key=lambda row: (not row["task_number"], str(row["id"]) != known, row["id"]))
        others[:] = found[1:]
        return found

    def remove(extra: Json) -> None:
        if not client.project(str(extra["id"]))["task_number"]:
            client.delete_project(str(extra["id"]))
            others.remove(extra)

    title = settings.title[:50]
    body = create_single(list_all, lambda: client.create_project(title=title, description=text, **fields), remove)
    changed = {name: wanted for name, wanted in fields.items() if (body.get(name) or "") != (wanted or "")}
    if changed:
        client.patch_project(str(body["id"]), **changed)
    return ReviewProject(str(body["id"]), tuple(str(row["id"]) for row in others))


def ensure_webhook(client: Client, project: str, url: str, headers: Mapping[str, str]) -> None:
    """Set the webhook of a review project; webhooks with the same headers are ours, and extra ones are deleted."""
    wanted: Json = {"url": url, "headers": dict(headers), "actions": list(_ACTIONS), "send_for_all_actions": False}
    for extra in _our_webhooks(client, project, headers)[1:]:
        client.delete_webhook(extra["id"])
    webhook = create_single(
        lambda: _our_webhooks(client, project, headers),
        lambda: client.create_webhook(project, **wanted),
        lambda extra: client.delete_webhook(extra["id"]),
    )
    if any(webhook.get(name) != value for name, value in wanted.items()) or not webhook["is_active"]:
        client.patch_webhook(webhook["id"], is_active=True, send_payload=True, **wanted)


def delete_webhooks(client: Client, project: str, header: str) -> None:
    """Delete the webhooks of a review project that have our header; a deleted project is no error."""
    with suppress(NotFound):
        for webhook in _our_webhooks(client, project, [header]):
            client.delete_webhook(webhook["id"])


def _our_webhooks(client: Client, project: str, headers: Collection[str]) -> list[Json]:
    return [row for row in client.webhooks(project) if set(headers) <= set(row.get("headers") or ())]


def import_review_tasks(client: Client, project: str, review_tasks: Sequence[ReviewTask]) -> list[Task]:
    """Import review tasks with their proposed answers; return them as tasks, in order.

    An unanswered task with the same data is not imported again: an earlier import may have lost its answer. They are
    read back with their predictions, because Label Studio on SQLite may give them ids of tasks that were deleted
    before, and imports tasks without predictions where its database was locked in between.
    """
    if not review_tasks:
        return []
    tasks = _import_once(client, project, review_tasks)
    complete_review_tasks(client, project, dict(zip(tasks, review_tasks, strict=True)))
    now = read_tasks(client, project, tasks, include=_TASK_FIELDS)
    read_back = {task.id: task for task in (read_task(raw, project) for raw in now)}
    pairs = zip(tasks, review_tasks, strict=True)
    return [read_back.get(number) or Task(number, review_task.data, project) for number, review_task in pairs]


def _import_once(client: Client, project: str, review_tasks: Sequence[ReviewTask]) -> list[int]:
    """Return the ids of these review tasks, in order; those that are there already are not imported again."""
    ids: dict[int, int] = {}  # position -> task id

    def missing() -> list[int]:
        return [at for at in range(len(review_tasks)) if at not in ids]

    def find() -> dict[int, int] | None:
        fields, size = ("id", "data", "is_labeled", "total_annotations"), _NEWEST + 2 * len(review_tasks)
        there: dict[str, list[int]] = {}
        for row in client.tasks(project, ordering="-tasks:id", include=fields, page_size=size):
            if not row["is_labeled"] and not row["total_annotations"] and row["id"] not in ids.values():
                there.setdefault(_content(row["data"]), []).append(int(row["id"]))
        ids.update({at: found.pop() for at in missing() if (found := there.get(_content(review_tasks[at].data)))})
        return None if missing() else ids

    def create() -> dict[int, int]:
        bodies = [{"data": dict(review_tasks[at].data)} for at in missing()]
        proposals = [{"predictions": [review_tasks[at].proposal]} for at in missing()]
        try:
            made = client.import_tasks(project, [a | b for a, b in zip(bodies, proposals, strict=True)])
        except LabelStudioError as error:
            if error.status != _BAD_REQUEST:
                raise
            made = client.import_tasks(project, bodies)  # one proposal that it does not accept must not stop the others
        ids.update(zip(missing(), made, strict=True))
        return ids

    create_once(find, create)
    return [ids[at] for at in range(len(review_tasks))]


def _content(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True)


def complete_review_tasks(client: Client, project: str, review_tasks: Mapping[int, ReviewTask]) -> int:
    """Add what review tasks lack: the proposed answer, its urgency, the number of reviewers; return how many lacked it.

    Two requests for 300 complete tasks. A review task that was deleted is left out.
    """
    incomplete, requests = 0, RequestRows("complete the review task")
    rows = read_tasks(client, project, review_tasks, include=("id", "overlap", "predictions"))
    for row in rows:
        task, review_task = int(row["id"]), review_tasks[int(row["id"])]
        is_complete = False
        with requests.row(f"review task {task}"):
            proposal = of_version(row["predictions"], VERSION)
            if proposal is None:
                _propose(client, project, task, review_task)
            is_complete = proposal is not None and restore_score(client, proposal, review_task.score)
            if row["overlap"] < review_task.n_reviewers:
                client.patch_task(task, overlap=review_task.n_reviewers)
                is_complete = False
        incomplete += not is_complete
    if rows:
        _serve_by_urgency(client, project)
    return incomplete


def update_proposal(client: Client, project: str, task: int, review_task: ReviewTask) -> None:
    """Replace the proposed answer and the urgency of a review task; its prediction keeps its number.

    Somebody may have the task open, and a submit that names a deleted prediction fails.
    """
    proposal = of_version(client.task(task)["predictions"], VERSION)
    if proposal is None:
        _propose(client, project, task, review_task)
    else:
        client.patch_prediction(int(proposal["id"]), result=list(review_task.result), score=review_task.score)


def _propose(client: Client, project: str, task: int, review_task: ReviewTask) -> None:
    """Write the proposed answer of a review task; without regions where Label Studio does not accept them."""
    body = {"task": task, **review_task.proposal}
    try:
        create_prediction_once(client, project, body)
    except LabelStudioError as error:
        if error.status != _BAD_REQUEST or not review_task.result:
            raise
        create_prediction_once(client, project, body | {"result": []})


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
    marked = [{**region, "meta": {**region.get("meta", {}), _MARK: unique_id}} for region in result]
    rows: list[Json] = []

    def find() -> Json | None:
        rows[:] = client.annotations(task)
        return next((row for row in rows if unique_id in _own_marks(row)), None)

    def create() -> Json:
        is_first = not any(row.get("ground_truth") and not _own_marks(row) & {unique_id, *ours} for row in rows)
        fields = {"ground_truth": is_first, "unique_id": unique_id, **OWN_ANNOTATION_FIELDS}
        try:
            return client.submit(task, marked, **fields)
        except LabelStudioError as error:
            # its unique_id is taken, so it is written: an answer without regions has no place for our mark
            unmarked = [row for row in rows if not row["result"] and row.get("bulk_created")]
            if error.status != _CONFLICT or marked or not unmarked:
                raise
            return max(unmarked, key=lambda row: int(row["id"]))

    made = create_once(find, create)
    return int(made["id"]), bool(made.get("ground_truth"))


def _own_marks(annotation: Json) -> set[str]:
    """Return our unique ids in the regions of an annotation; REST accepts a unique_id, but never returns it."""
    regions = annotation.get("result")
    regions = regions if isinstance(regions, list) else []
    metas = [region.get("meta") for region in regions if isinstance(region, Mapping)]
    return {str(meta[_MARK]) for meta in metas if isinstance(meta, Mapping) and _MARK in meta}


def first_drafts(client: Client, tasks: Sequence[int]) -> dict[int, tuple[int | None, str]]:
    """Return the user and time (ISO) of the first draft of each task that has one; one request per task."""
    found: dict[int, tuple[int | None, str]] = {}
    requests = RequestRows("read the drafts")
    for task in tasks:
        with requests.row(f"task {task}"):
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
