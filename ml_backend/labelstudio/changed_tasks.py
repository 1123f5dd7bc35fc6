"""Read the tasks of a project that changed, or all of them, with their annotations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client, task_filter
from ml_backend.labelstudio.parsing import read_annotation, read_task
from ml_backend.labelstudio.transport import Json
from ml_backend.left_out import describe_error, halve, is_server_error
from ml_backend.records import Annotation, Task

# reason: Label Studio applies this list to the annotations inside each task, too, so it names their fields as well
_TASK_FIELDS = (
    *("id", "data", "project", "is_labeled", "overlap", "created_at", "updated_at", "annotations"),
    *("task", "completed_by", "result", "was_cancelled", "ground_truth", "lead_time", "parent_prediction"),
    *("import_id", "bulk_created", "updated_by"),
)
_LISTED_FIELDS = ("id", "updated_at", "annotations")  # of annotations, too: nothing that somebody wrote
_MOST_REQUESTS = 400  # to find the tasks of a page that Label Studio cannot show: about 30 of 500

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
    reasons = [] if skipped is None else skipped
    if not since:
        above: int | None = 0
        while above is not None:
            found = get_task_page(client, project, above=above, size=page)
            reasons += found.skipped
            yield from found.tasks
            above = found.next_above
        return
    seen: set[tuple[int, str]] = set()
    number = 1
    while True:
        later = task_filter("updated_at", "greater_or_equal", since, kind="Datetime")
        raws, listed = _read_page(
            client, project, reasons, filters=[later], ordering="tasks:updated_at", page=number, page_size=page
        )
        new = [raw for raw in raws if (raw["id"], raw["updated_at"]) not in seen]
        yield from _records(new, project, reasons)
        if len(listed) < page:
            return
        last = listed[-1]["updated_at"]
        # reason: where a whole page has one time, `since` cannot move on, so read its next page
        number = number + 1 if last == since else 1
        seen = {(raw["id"], raw["updated_at"]) for raw in listed if raw["updated_at"] == last}
        since = last


def get_task_page(client: Client, project: str, *, above: int, size: int = 500) -> TaskPage:
    """Return the first `size` tasks above an id, for a sweep that can stop and continue."""
    skipped: list[str] = []
    raws, listed = _read_page(client, project, skipped, above=above, page_size=size)
    annotation_ids = {
        int(raw["id"]): frozenset(int(row["id"]) for row in raw.get("annotations") or ()) for raw in listed
    }
    tasks = tuple(_records(raws, project, skipped))
    return TaskPage(tasks, annotation_ids, max(annotation_ids) if len(listed) >= size else None, tuple(skipped))


def count_imported_answers(client: Client, project: str, *, most: int) -> int:
    """Return how many of the first `most` annotated tasks came with their answers."""
    annotated = task_filter("total_annotations", "greater", 0)
    raws = client.tasks(project, filters=[annotated], include=_TASK_FIELDS, page_size=most)
    return sum(any(answer.imported for answer in given) for _task, given in _records(raws, project, []))


def newest_change(client: Client, project: str) -> str:
    """Return the time of the last change of any task (ISO time); "" in an empty project."""
    found = client.tasks(project, ordering="-tasks:updated_at", include=("id", "updated_at"), page_size=1)
    return str(found[0]["updated_at"]) if found else ""


def _read_page(client: Client, project: str, reasons: list[str], **page: Any) -> tuple[list[Json], list[Json]]:
    """Return the tasks of a page, and a list of all that it has, with the ids of their annotations, in the same order.

    One task that Label Studio cannot show, such as a text with half a surrogate pair on SQLite, makes it fail at the
    whole page. Halves are then read until such tasks are alone; they are left out, each with a reason. Raises the error
    where Label Studio fails at the list, too, or at so many tasks that they are hardly the cause.
    """
    try:
        raws = client.tasks(project, include=_TASK_FIELDS, **page)
    except LabelStudioError as error:
        if not is_server_error(error):
            raise
        failed = error
    else:
        return raws, raws
    listed = client.tasks(project, include=_LISTED_FIELDS, **page)
    n_requests, unreadable = 0, list[str]()

    def read(part: Sequence[int]) -> list[Json | None]:
        nonlocal n_requests
        if len(part) == len(listed) > 1:
            raise failed  # it has just been asked
        n_requests += 1
        wanted = task_filter("id", "in_list", list(part))
        found = client.tasks(project, filters=[wanted], include=_TASK_FIELDS, page_size=len(part))
        by_id = {int(raw["id"]): raw for raw in found}
        return [by_id.get(number) for number in part]  # None: deleted meanwhile

    def is_of_service(error: Exception) -> bool:
        return not is_server_error(error) or n_requests >= _MOST_REQUESTS

    def leave_out_task(number: int, error: Exception) -> None:
        if is_of_service(error):
            raise error
        unreadable.append(f"task {number}: {describe_error(error)}")

    found = halve([int(raw["id"]) for raw in listed], read, leave_out_task, is_of_service)
    if unreadable:
        client.tasks(project, include=("id",), page_size=1)  # else Label Studio went down meanwhile
    reasons += unreadable
    return [raw for raw in found if raw is not None], listed


def _records(raws: Iterable[Json], project: str, reasons: list[str]) -> Iterator[AnnotatedTask]:
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
