"""Restore an earlier version of an annotation in Label Studio, as the answer of the person who gave it."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from feedback.errors import NotStored, StoreError
from feedback.store import AnnotationVersion, Store
from feedback.store.log import events
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.parsing import OWN_ANNOTATION_FIELDS, own_unique_id, read_annotation

_CONFLICT = 409


def restore(store: Store, client: Client, project: str, number: int) -> int:
    """Create an annotation from version `number`, as `hitl history` counts them; return its id in Label Studio.

    A person's answer counts as their vote again; an answer of ours or of an import stays no vote.

    Raises
    ------
    NotStored
        There is no such version, or its task or its content was deleted.
    StoreError
        The version was restored before: Label Studio refuses a second one by its unique_id.
    """
    version = _version(store, project, number)
    body: dict[str, Any] = dict(version.body or {})
    _check_task(store, project, body)
    by_person = store.annotations.is_by_person(project, version.annotation)
    name = f"restored/{project}/{number}"
    fields: dict[str, Any] = {
        "completed_by": body["person"],
        "lead_time": body.get("lead_time_s"),
        "ground_truth": bool(body.get("ground_truth")),
        # an answer that no person gave carries our mark: a kill after the write leaves no record of it here
        **(
            {"unique_id": str(uuid5(NAMESPACE_URL, name))}
            if by_person
            else {"unique_id": own_unique_id(name), **OWN_ANNOTATION_FIELDS}
        ),
    }
    shown = body.get("parent_prediction")
    if shown is not None and client.prediction(shown) is not None:  # Label Studio refuses one that is gone
        fields["parent_prediction"] = shown
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        made = client.submit(body["task"], body["result"], skip=bool(body.get("was_cancelled")), **given)
    except LabelStudioError as error:
        if error.status == _CONFLICT:
            raise StoreError(
                f"version {number} was restored before.",
                hint=f"`hitl history {project} {body['task']}` shows where it is.",
            ) from error
        raise
    saved = read_annotation(made, project, task=body["task"])
    with store.transaction():
        if not by_person:
            store.annotations.create_own_annotations(project, annotations=[saved.id])
        store.append([events.event_from_annotation(saved, "own", project=project)])
    return saved.id


def _check_task(store: Store, project: str, body: dict[str, Any]) -> None:
    number = body["task"]
    task = store.tasks.get_task(project, number)
    if task is None:
        raise NotStored(f"task {number} is gone, and its annotations with it.")
    if (body.get("created_at") or task.created_at) < task.created_at:
        raise NotStored(f"task {number} of that time is gone, and another task has its number.")


def _version(store: Store, project: str, number: int) -> AnnotationVersion:
    version = store.events.get_version(project, number)
    if version is None:
        raise NotStored(
            f"project {project} has no version {number} of an annotation.",
            hint=f"`hitl history {project} TASK` lists them.",
        )
    if version.action == "deleted":
        raise NotStored(f"version {number} is a deletion; restore the version before it.")
    if version.body is None:
        raise NotStored(f"version {number} was erased, for ever.")
    return version
