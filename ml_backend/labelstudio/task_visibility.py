"""Hide tasks from the label stream and open them again; Label Studio Community has no assignment for this."""

from __future__ import annotations

from collections.abc import Sequence

from ml_backend.labelstudio.client import Client, task_filter
from ml_backend.labelstudio.parsing import read_task
from ml_backend.records import Task

_IDS_PER_REQUEST = 300  # they are part of the URL


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
