"""Full sync: compare all of a project with Label Studio, page by page, so that it may stop anywhere and resume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from feedback.ingest.polling import append_events, record_missed_changes, record_unreadable
from feedback.labelling_platform.interface import LabellingPlatform
from feedback.store import Store
from feedback.store.log import events
from feedback.store.log.events import Event
from ml_backend.errors import NotFound
from ml_backend.left_out import contained

_PAGE = 500  # tasks in memory, and in one transaction
_STORED = 4 * _PAGE  # stored tasks per page: of a range that was deleted there may be many more than Label Studio shows
_STALE_S = 86_400.0  # a full sync that stopped longer ago starts again
_BIGGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class FullSyncProgress:
    """How far a full sync came."""

    tasks: int  # compared since its beginning
    missed: int  # changes that no webhook or poll had brought
    complete: bool
    above: int = 0  # task id after which it resumes
    started_s: float = 0.0  # epoch seconds
    newest: str = ""  # time of the last change when it began: polling resumes from there


def run_full_sync(
    store: Store,
    platform: LabellingPlatform,
    project: str,
    *,
    clock: Callable[[], float],
    go_on: Callable[[], bool] = lambda: True,
    size: int = _PAGE,
) -> FullSyncProgress:
    """Make the store equal to Label Studio, resuming an interrupted full sync. Safe to repeat, or to kill anywhere.

    What the store held before a page was read and the page does not show was deleted: no clock decides that. A page has
    `size` tasks, and memory holds one page; after each, `go_on` says whether to continue. `clock` gives epoch seconds.
    """
    try:
        description = platform.describe_project(project)
    except NotFound:
        if not platform.is_known_instance():
            raise
        store.append(events.deletions(project, "project", [int(project)]))
        return FullSyncProgress(0, 1, complete=True)
    progress = _load_last(store, project, clock(), within_s=_STALE_S)
    if progress is None or progress.complete:
        newest = platform.get_last_change_time(project)
        progress = FullSyncProgress(0, 0, complete=False, started_s=clock(), newest=newest)
    changed = store.append(
        [events.event_from_project(project, str(description["title"]), str(description["label_config"]), "sweep")]
    ).changed
    while not progress.complete:
        progress = _sync_page(store, platform, project, progress, changed, seen_s=clock(), size=size)
        changed = 0
        if not go_on():
            break
    if progress.complete and progress.newest and store.records.get_latest_record(project, "cursor") is None:
        store.records.create_record(project, "cursor", {"since": progress.newest})
    return progress


def is_full_sync_due(store: Store, project: str, *, every_s: float, now_s: float) -> bool:
    """Return whether the last full sync is unfinished or began `every_s` ago; also after the clock went back."""
    last = _load_last(store, project, now_s, within_s=every_s)
    return last is None or not last.complete


def _load_last(store: Store, project: str, now_s: float, *, within_s: float) -> FullSyncProgress | None:
    """Return the last full sync; None where it began more than `within_s` ago, or after `now_s`."""
    last = store.records.get_latest_record(project, "sweep")
    if last is None or not 0 <= now_s - last.body["started_s"] < within_s:
        return None
    return FullSyncProgress(**last.body)


def _sync_page(
    store: Store,
    platform: LabellingPlatform,
    project: str,
    progress: FullSyncProgress,
    changed: int,
    *,
    seen_s: float,
    size: int,
) -> FullSyncProgress:
    """Compare one page; the stored state is read before Label Studio is asked, never after."""
    limit = max(_STORED, size)
    stored = store.tasks.list_task_creation_times(project, above=progress.above, limit=limit)
    last_stored = max(stored, default=progress.above)
    cut = last_stored if len(stored) >= limit else None  # more is stored than one page compares
    annotations = store.annotations.list_annotation_creation_times(
        project, above=progress.above, upto=last_stored if cut else _BIGGEST_ID
    )
    page = platform.get_tasks_page(project, above=progress.above, size=size)
    ends = [end for end in (page.next_above, cut) if end is not None]
    upto = min(ends) if ends else None  # last task id that is compared; None: to the end of the project

    def is_compared(task: int) -> bool:
        return upto is None or task <= upto

    batch, unreadable = list[Event](), list(page.skipped)
    for task, given in page.tasks:
        with contained("sweep", f"task {task.id}"):
            batch += events.events_from_task(task, given, source="sweep", seen_s=seen_s, unread=unreadable)
    # of any task: a webhook may have claimed that an answer stands on another task than it does
    shown = frozenset().union(*page.annotation_ids.values())
    for number, created in annotations.items():
        if is_compared(number):
            batch += events.deletions(
                project, "annotation", {key: born for key, born in created.items() if key not in shown}
            )
    batch += events.deletions(
        project,
        "task",
        {key: born for key, born in stored.items() if key not in page.annotation_ids and is_compared(key)},
    )
    store.ingest_inbox()  # events that arrived while the page was read were not missed
    changed += append_events(store, batch)
    with store.transaction():
        record_missed_changes(store, project, changed)
        record_unreadable(store, project, "sweep", unreadable)
        reached = replace(
            progress,
            tasks=progress.tasks + sum(map(is_compared, page.annotation_ids)),
            missed=progress.missed + changed,
            complete=upto is None,
            above=progress.above if upto is None else upto,
        )
        store.records.create_record(project, "sweep", asdict(reached))
    return reached
