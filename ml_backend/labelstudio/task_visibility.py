"""Hiding: keep a task out of the label stream, where Label Studio Community cannot refuse it to anyone."""

from __future__ import annotations

from collections.abc import Sequence

from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.parsing import read_task
from ml_backend.records import Task

_AT_ONCE = 300  # ids in one address line


def hide(client: Client, task: int) -> Task:
    """Mark a task as labelled, so that the label stream hands it to nobody; the task as it is now.

    Who has it open may still submit, and everybody may open it in the Data Manager.
    """
    return read_task(client.patch_task(task, is_labeled=True))


def servable_tasks(client: Client, project: str, tasks: Sequence[int]) -> list[int]:
    """Those of these tasks that the label stream may still hand out."""
    found: list[int] = []
    for start in range(0, len(tasks), _AT_ONCE):
        part = list(tasks[start : start + _AT_ONCE])
        named = {"filter": "filter:tasks:id", "operator": "in_list", "type": "Number", "value": part}
        rows = client.each_task(project, filters=[named], include=("id", "is_labeled"))
        found += [int(row["id"]) for row in rows if not row["is_labeled"]]
    return found
