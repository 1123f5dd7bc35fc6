"""Sweeping: compare everything with Label Studio, in stretches, so that it may stop anywhere and go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from feedback.ingest.missed_changes import note_missed
from feedback.labelling_platform.interface import LabellingPlatform
from feedback.labelling_platform.unreadable import record_unreadable
from feedback.store import Store
from feedback.store.log import events
from feedback.store.log.events import Event
from ml_backend.errors import LabelStudioError

_PAGE = 500  # tasks in memory, and in one transaction
_KNOWN = 4 * _PAGE  # of our own, beside them: of a stretch that was deleted there may be many more than came
_STALE_S = 86_400.0  # a sweep that stopped longer ago begins anew
_MISSING = 404
_BIGGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Swept:
    """How far a sweep came."""

    tasks: int  # compared, since its beginning
    missed: int  # changes that nobody had told us
    complete: bool
    above: int = 0  # where it goes on
    begun_s: float = 0.0
    newest: str = ""  # the last change as it began: polling goes on from there


def sweep(
    store: Store,
    platform: LabellingPlatform,
    project: str,
    *,
    clock: Callable[[], float],
    go_on: Callable[[], bool] = lambda: True,
    size: int = _PAGE,
) -> Swept:
    """Make the store equal to Label Studio; goes on where the last one stopped. Safe to repeat, or to kill anywhere.

    `go_on` is asked after each stretch. What we knew before a stretch was read and it does not show is gone: no clock
    decides that. Memory holds one stretch, whatever the project's size.
    """
    try:
        described = platform.describe_project(project)
    except LabelStudioError as error:
        if error.status != _MISSING or not platform.is_known_instance():
            raise
        store.append([events.gone_project(project)])
        return Swept(0, 1, complete=True)
    so_far = _begun(store, project, clock()) or Swept(
        0, 0, complete=False, begun_s=clock(), newest=platform.get_last_change_time(project)
    )
    changed = store.append(
        [events.of_project(project, str(described["title"]), str(described["label_config"]), "sweep")]
    ).changed
    while not so_far.complete:
        so_far = _stretch(store, platform, project, so_far, changed, seen_s=clock(), size=size)
        changed = 0
        if not go_on():
            break
    if so_far.complete and so_far.newest and store.records.get_latest_record(project, "cursor") is None:
        store.records.create_record(project, "cursor", {"since": so_far.newest})
    return so_far


def is_due(store: Store, project: str, *, every_s: float, now_s: float) -> bool:
    """Whether the last sweep is unfinished, or began `every_s` ago; a clock that went back makes it due, too."""
    last = store.records.get_latest_record(project, "sweep")
    return last is None or not last.body["complete"] or not 0 <= now_s - last.body["begun_s"] < every_s


def _begun(store: Store, project: str, now_s: float) -> Swept | None:
    last = store.records.get_latest_record(project, "sweep")
    if last is None or last.body["complete"] or not 0 <= now_s - last.body["begun_s"] < _STALE_S:
        return None
    return Swept(**last.body)


def _stretch(
    store: Store, platform: LabellingPlatform, project: str, so_far: Swept, changed: int, *, seen_s: float, size: int
) -> Swept:
    """Compare one stretch; what is known is read before Label Studio is asked, never after."""
    known = store.tasks.list_task_creation_times(project, above=so_far.above, limit=max(_KNOWN, size))
    end = max(known, default=so_far.above)
    cut = end if len(known) >= max(_KNOWN, size) else None  # more is known than fits beside one page
    annotations = store.annotations.list_annotation_creation_times(
        project, above=so_far.above, upto=end if cut else _BIGGEST_ID
    )
    page = platform.get_tasks_page(project, above=so_far.above, size=size)
    ends = [end for end in (page.last, cut) if end is not None]
    upto = min(ends) if ends else None

    batch, unread = list[Event](), list(page.unread)
    for task, given in page.found:
        batch += events.of_task(task, given, source="sweep", seen_s=seen_s, unread=unread)
    for number, there in annotations.items():
        if upto is None or number <= upto:
            shown = page.shown.get(number, frozenset())  # none of a task that is gone, or that nobody told us of
            batch += events.vanished(project, {one: born for one, born in there.items() if one not in shown})
    missing = {one: born for one, born in known.items() if one not in page.shown and (upto is None or one <= upto)}
    batch += events.gone_tasks(project, missing)
    store.ingest_inbox()  # what a webhook brought while the page was read is not missed
    with store.transaction():
        changed += store.append(batch).changed if batch else 0
        note_missed(store, project, changed)
        record_unreadable(store.records, project, "sweep", unread)
        done = Swept(
            tasks=so_far.tasks + sum(upto is None or one <= upto for one in page.shown),
            missed=so_far.missed + changed,
            complete=upto is None,
            above=so_far.above if upto is None else upto,
            begun_s=so_far.begun_s,
            newest=so_far.newest,
        )
        store.records.create_record(
            project,
            "sweep",
            {name: getattr(done, name) for name in ("tasks", "missed", "complete", "above", "begun_s", "newest")},
        )
    return done
