"""Read the tasks of a project that changed, or all of them, with their annotations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ml_backend.labelstudio.client import Client, task_filter
from ml_backend.labelstudio.parsing import read_annotation, read_task
from ml_backend.labelstudio.transport import Json
from ml_backend.left_out import describe_error
from ml_backend.records import Annotation, Task

# reason: Label Studio applies this list to the annotations inside each task, too, so it names their fields as well
_TASK_FIELDS = (
    *("id", "data", "project", "is_labeled", "overlap", "created_at", "updated_at", "annotations"),
    *("task", "completed_by", "result", "was_cancelled", "ground_truth", "lead_time", "parent_prediction"),
    *("import_id", "bulk_created", "updated_by"),
)

AnnotatedTask = tuple[Task, tuple[Annotation, ...]]


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page of a project's tasks, in order of id."""

    tasks: tuple[AnnotatedTask, ...]
    annotation_ids: Mapping[int, frozenset[int]] = field(hash=False)  # task -> its annotations, also unreadable ones
    next_above: int | None  # the next page is above this id; None at the end
    skipped: tuple[str, ...] = ()  # why single records could not be read


def poll_tasks(
    client: Client, project: str, since: str, *, page: int = 200, skipped: list[str] | None = None
) -> Iterator[AnnotatedTask]:
    """Yield tasks that changed at or after `since`, the oldest change first, each with its annotations.

    It continues from the time of the last task, so that no change during the poll is lost; a task may come twice.
    `since` is an ISO time; "" yields all tasks. `skipped` receives the reason for each record that cannot be read.
    """
    if not since:
        yield from _records(client.each_task(project, include=_TASK_FIELDS, page_size=page), project, skipped)
        return
    seen: set[tuple[int, str]] = set()
    number = 1
    while True:
        later = task_filter("updated_at", "greater_or_equal", since, kind="Datetime")
        raws = client.tasks(
            project, filters=[later], ordering="tasks:updated_at", include=_TASK_FIELDS, page=number, page_size=page
        )
        new = [raw for raw in raws if (raw["id"], raw["updated_at"]) not in seen]
        yield from _records(new, project, skipped)
        if len(raws) < page:
            return
        last = raws[-1]["updated_at"]
        # reason: where a whole page has one time, `since` cannot move on, so read its next page
        number = number + 1 if last == since else 1
        seen = {(raw["id"], raw["updated_at"]) for raw in raws if raw["updated_at"] == last}
        since = last


def get_task_page(client: Client, project: str, *, above: int, size: int = 500) -> TaskPage:
    """Return the first `size` tasks above an id, for a sweep that can stop and continue."""
    raws = client.tasks(project, above=above, include=_TASK_FIELDS, page_size=size)
    annotation_ids = {int(raw["id"]): frozenset(int(row["id"]) for row in raw.get("annotations") or ()) for raw in raws}
    skipped: list[str] = []
    tasks = tuple(_records(raws, project, skipped))
    return TaskPage(tasks, annotation_ids, max(annotation_ids) if len(raws) >= size else None, tuple(skipped))


def newest_change(client: Client, project: str) -> str:
    """Return the time of the last change of any task (ISO time); "" in an empty project."""
    found = client.tasks(project, ordering="-tasks:updated_at", include=("id", "updated_at"), page_size=1)
    return str(found[0]["updated_at"]) if found else ""


def _records(raws: Iterable[Json], project: str, skipped: list[str] | None) -> Iterator[AnnotatedTask]:
    reasons = [] if skipped is None else skipped
    for raw in raws:
        try:
            task = read_task(raw, project)
            given = list(raw.get("annotations") or ())
        except Exception as error:  # noqa: BLE001 - whatever a record holds, the others are read
            reasons.append(describe_error(error))
            continue
        annotations = []
        for annotation in given:
            try:
                annotations.append(read_annotation(annotation, project, task=task.id))
            except Exception as error:  # noqa: BLE001 - the same
                reasons.append(describe_error(error))
        yield task, tuple(annotations)
