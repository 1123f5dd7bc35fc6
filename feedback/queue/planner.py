"""The plan of the window that Label Studio serves: when it needs new rows, and which tasks they hold."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor
from operator import attrgetter

from feedback.project.audit_splits import AUDIT_ROLES
from feedback.project.incremental_caches import RecentProjects
from feedback.project.routing_decisions import NORMAL
from feedback.project.snapshot import ProjectSnapshot
from feedback.queue.interleave import OpenTask, Place
from feedback.queue.open_tasks import OpenTasks, find_open_tasks
from feedback.queue.task_priority import audit_quota, rank_tasks
from feedback.store import Store, WindowRow
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.dataset import single_label
from feedback.training.model_cache import PredictionCache
from ml_backend.labelstudio.queue_writer import PLACES
from ml_backend.predictor import NO_MODEL_VERSION
from ml_backend.registry import Bundle

_LAST_PLACE = PLACES - 200_000  # a version that grew so far is replaced; a window has up to 100,000 rows
_FIRST_PLACE = 100  # room before a window for urgent tasks that come later; more is made as the first ones are answered
_STEPS = 1_000  # that late rows divide a gap between two rows into; each arrival takes as few as it needs
_LEAST_GAP = 1e-6  # between two places; ten thousand times what their scores, which are doubles, can tell apart
_WINDOW_WITH_IMPORTED = 5_000  # open rows; before the first model the order of a longer window does not get stale
_MOST_ROWS = 50_000  # of served windows that are kept, of all projects but the one used last
_SECOND_OPINION_EVERY = 4  # second opinions are woven into a served window at every fourth place
_place_of = attrgetter("place")


@dataclass(frozen=True, slots=True)
class ServedWindow:
    """The window that Label Studio serves now, as we recorded it."""

    version: str  # M+qN
    rows: Sequence[WindowRow]
    complete: bool  # whether Label Studio was given all of it

    @property
    def model(self) -> str:
        """Return the model version M behind it."""
        return self.version.rpartition("+q")[0]

    @property
    def number(self) -> int:
        """Return the N of M+qN."""
        return int(self.version.rpartition("+q")[2])


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """The rows that a version shall have, and why; those that Label Studio has already are not written again."""

    version: str
    rows: Sequence[WindowRow]
    why: str


def plan_window(
    snapshot: ProjectSnapshot,
    consensus_labels: ConsensusLabels,
    served: ServedWindow | None,
    champion: Bundle | None,
    prediction_cache: PredictionCache,
    *,
    audit_rows: int,
    now_s: float,
    open_tasks: OpenTasks | None = None,
) -> WindowPlan | None:
    """Plan what Label Studio must be given now; None while the served window is enough.

    A new model gets a new version, and so do new priorities of tasks in the served window. Otherwise the version grows:
    urgent tasks and second opinions are woven in at its front, new tasks are added at its end when less than
    `queue.low_water` of it is left. `open_tasks` are those of an `OpenTaskCache`.
    """
    model = champion.version if champion else NO_MODEL_VERSION
    opened = open_tasks or find_open_tasks(snapshot, consensus_labels)
    quota = audit_quota(snapshot.policy, audit_rows)
    why = _why_anew(snapshot, served, opened, model) or _why_relabelled(snapshot, served, opened)
    why = why or (
        "urgent tasks keep the audit waiting" if _keeps_audit_waiting(snapshot, served, opened, quota) else ""
    )
    if why or served is None:
        if not opened.by_task:
            return None
        number = served.number + 1 if served else 1
        version = f"{model}+q{number}"
        places = rank_tasks(
            snapshot, [*opened.by_task.values()], champion, prediction_cache, number=number, audit_rows=audit_rows
        )
        return WindowPlan(
            version,
            [_row(snapshot, place, version, at, now_s) for at, place in enumerate(places, _FIRST_PLACE)],
            why,
        )
    if not served.complete:
        return WindowPlan(served.version, served.rows, "the last window was cut short")
    return _grown(snapshot, opened, served, champion, prediction_cache, audit_rows=audit_rows, now_s=now_s)


class ServedWindowCache:
    """Keeps the served windows of the projects used last; one is read again when its rows were written."""

    def __init__(self) -> None:
        self._kept = RecentProjects[tuple[tuple[object, ...], ServedWindow | None]](_MOST_ROWS)

    def load(self, store: Store, project: str) -> ServedWindow | None:
        """Return what `load_served_window` returns."""
        state = (*store.windows.get_window_state(project), store.records.get_record_head(project, "asked"))
        kept = self._kept.get(project)
        if kept is None or kept[0] != state:
            kept = (state, load_served_window(store, project))
            self._kept.put(project, kept, size=len(kept[1].rows) if kept[1] is not None else 0)
        return kept[1]


def load_served_window(store: Store, project: str) -> ServedWindow | None:
    """Return the newest window that we planned, and whether Label Studio was given all of it."""
    rows = store.windows.get_window(project)
    if not rows:
        return None
    version, written = rows[0].version, 0
    if (done := store.records.get_latest_record(project, "asked")) and done.body["version"] == version:
        written = int(done.body["rows"])
    return ServedWindow(version, rows, complete=written == len(rows))


def _grown(
    snapshot: ProjectSnapshot,
    opened: OpenTasks,
    served: ServedWindow,
    champion: Bundle | None,
    prediction_cache: PredictionCache,
    *,
    audit_rows: int,
    now_s: float,
) -> WindowPlan | None:
    """Return the served window with the rows that it needs; None where it needs none."""
    by_task, in_window = opened.by_task, {row.task for row in served.rows}
    inside = [(row.place, by_task[row.task]) for row in served.rows if row.task in by_task]
    by_priority = [(place, item) for place, item in inside if not item.is_audit] or inside  # audit is beside all
    rows: list[WindowRow] = []
    taken = sorted(row.place for row in served.rows)

    def rank(tasks: Sequence[OpenTask]) -> list[Place]:
        return rank_tasks(snapshot, tasks, champion, prediction_cache, number=served.number, audit_rows=audit_rows)

    for priority in range(max((item.priority for _place, item in by_priority), default=0)):
        # tasks that must come before a row of the window
        fresh = [item for item in _of_priority(opened, priority) if item.task not in in_window]
        part = [item for item in fresh if not (item.reopened or item.is_audit)]
        if part:
            free = snapshot.policy.queue.window - len(rows)
            free -= sum(item.priority <= priority for _place, item in inside)
            ranked = rank(part)[: max(0, free)]
            # before everything of a later priority, and after what waits before it
            end = min(place for place, item in by_priority if item.priority > priority)
            places = _places_before(end, taken, len(ranked))
            rows += [_row(snapshot, place, served.version, at, now_s) for place, at in zip(ranked, places, strict=True)]
    ahead = {row.task for row in rows}
    why = f"{len(rows)} more urgent tasks wait" if rows else ""
    waiting = [by_task[task] for task in sorted(opened.reopened - in_window)]
    again = _second_opinions(snapshot, opened, waiting)
    for number, item in enumerate(again):
        after = max(_FIRST_PLACE, _last_open_place(inside, item.priority - 1)) + number * _SECOND_OPINION_EVERY
        (at,) = _places_before(floor(after) + 1, taken, 1)
        opinion = Place(item.task, None, None, blind=True, reason="second opinion")
        rows.append(_row(snapshot, opinion, served.version, at, now_s))
    why = why or (f"{len(again)} second opinions wait" if again else "")
    n_inside, n_fresh = len(inside), len(by_task) - len(inside) - len(waiting) - len(ahead)
    full, enough = _wanted_size(snapshot, served, champion, n_open=n_inside + n_fresh)
    if n_fresh and n_inside < enough:
        planned = in_window | ahead
        fresh = [item for item in by_task.values() if not item.reopened and item.task not in planned]
        first = floor(taken[-1]) + 1
        ranked = rank(fresh)[: full - n_inside]
        rows += [_row(snapshot, place, served.version, first + at, now_s) for at, place in enumerate(ranked)]
        why = f"{n_inside} of {len(in_window)} rows are left"
    return WindowPlan(served.version, [*served.rows, *rows], why) if rows else None


def _wanted_size(
    snapshot: ProjectSnapshot, served: ServedWindow, champion: Bundle | None, *, n_open: int
) -> tuple[int, float]:
    """Return how many open rows a window shall have, and how many are enough until it grows again.

    It takes in every open task while people see imported predictions: on tasks outside, Label Studio shows nothing.
    """
    queue = snapshot.policy.queue
    if champion is None and any(row.imported for row in served.rows):
        full = min(max(queue.window, _WINDOW_WITH_IMPORTED), n_open)
        return full, full if full == n_open else queue.low_water * full
    full = min(queue.window, n_open)
    return full, queue.low_water * full


def _of_priority(opened: OpenTasks, priority: int) -> Iterable[OpenTask]:
    """Return the open tasks of one priority, by id."""
    if priority < NORMAL:
        return [opened.by_task[task] for task in sorted(opened.urgent) if opened.urgent[task] == priority]
    return [item for item in opened.by_task.values() if item.priority == priority]


def _second_opinions(snapshot: ProjectSnapshot, opened: OpenTasks, waiting: Sequence[OpenTask]) -> Sequence[OpenTask]:
    """Return those that a served window takes in: all, or as many as a window holds, when half of those are answered.

    `waiting` are the re-opened tasks outside the window.
    """
    free = snapshot.policy.queue.window - len(opened.reopened) + len(waiting)
    if len(waiting) <= free:
        return waiting
    return waiting[:free] if 2 * free >= snapshot.policy.queue.window else []


def _why_anew(snapshot: ProjectSnapshot, served: ServedWindow | None, opened: OpenTasks, model: str) -> str:
    """Return why a new version is needed; "" while the served one can go on."""
    if served is None:
        return "no window yet"
    if served.model != model:
        return f"model {model} serves"
    if any(_is_another(snapshot, row) for row in served.rows):
        return "tasks were deleted and others have their numbers"
    places = sorted(row.place for row in served.rows)
    if places[-1] >= _LAST_PLACE or any(after - before < _LEAST_GAP for before, after in pairwise(places)):
        return "it is full"
    first: dict[int, float] = {}  # priority -> its first place that is still open
    last: dict[int, float] = {}
    for row in served.rows:
        item = opened.by_task.get(row.task)
        if item is not None and not item.reopened and not item.is_audit:
            first[item.priority] = min(row.place, first.get(item.priority, row.place))
            last[item.priority] = max(row.place, last.get(item.priority, row.place))
    crossed = any(last[better] > first[worse] for better in last for worse in first if better < worse)
    return "priorities changed" if crossed else ""


def _keeps_audit_waiting(
    snapshot: ProjectSnapshot, served: ServedWindow | None, opened: OpenTasks, quota: float
) -> bool:
    """Return whether so many urgent tasks were put before the audit tasks of a window that its quota is not met."""
    queue = snapshot.policy.queue
    if served is None or not (snapshot.policy.routing and opened.urgent) or queue.window * quota < 1.0:
        return False
    in_window, n_others = {row.task for row in served.rows}, 0  # since the last audit task, answered or not
    for row in sorted(served.rows, key=_place_of):
        item = opened.by_task.get(row.task)
        if item is not None and item.is_audit:
            break
        n_others = 0 if snapshot.roles.get(row.task) in AUDIT_ROLES else n_others + (item is None or not item.reopened)
    else:
        if not any(item.is_audit and task not in in_window for task, item in opened.by_task.items()):
            return False  # the audit is answered
    return n_others > max(queue.head, 2.0 / quota)


def _why_relabelled(snapshot: ProjectSnapshot, served: ServedWindow | None, opened: OpenTasks) -> str:
    """Say that a label was removed, or changed its meaning, if none of the affected tasks is in the window yet."""
    labels = () if snapshot.control.options else snapshot.control.labels
    if labels and served is not None:
        open_rows = (row for row in served.rows if row.task in opened.by_task)
        shown = {single_label(row.answer) for row in open_rows if row.answer is not None}
        if shown - {*labels, None}:
            return "a label that it shows was removed"
    stale = {task for task in snapshot.stale if task in opened.by_task}
    in_window = {row.task for row in served.rows} if served else set()
    return "a label changed its meaning" if stale and not stale & in_window else ""


def _last_open_place(inside: Iterable[tuple[float, OpenTask]], priority: int) -> float:
    """Return the last place of the priorities up to this one that is still open; 0 where there is none."""
    return max((place for place, item in inside if item.priority <= priority), default=0.0)


def _places_before(end: float, taken: list[float], n: int) -> list[float]:
    """Return `n` new places, in order, between `end` and the last taken place before it; mark them as taken.

    `taken` is sorted. The places are close to the earlier end, so that the gap has room for thousands of arrivals.

    >>> taken = [0.0, 100.0]
    >>> _places_before(100.0, taken, 1) + _places_before(100.0, taken, 1)
    [0.0999000999000999, 0.1997003995005993]
    """
    index = bisect_left(taken, end)
    start = taken[index - 1] if index else 0.0
    step = (end - start) / (max(n, _STEPS) + 1)
    places = [start + step * number for number in range(1, n + 1)]
    taken[index:index] = places
    return places


def _is_another(snapshot: ProjectSnapshot, row: WindowRow) -> bool:
    """Return whether the task that a row was planned for is gone, and its number passed to another one."""
    task = snapshot.tasks.get(row.task)
    return task is not None and row.task_created_at not in ("", task.created_at)


def _row(snapshot: ProjectSnapshot, place: Place, version: str, at: float, now_s: float) -> WindowRow:
    return WindowRow(
        task=place.task,
        version=version,
        place=at,
        answer=place.answer,
        confidence=place.confidence,
        blind=place.blind,
        prediction=None,
        written_s=now_s,
        task_created_at=snapshot.tasks[place.task].created_at,
    )
