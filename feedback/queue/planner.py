"""Asking: decide when the queue needs new rows, and what stands in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from feedback.project.snapshot import ProjectSnapshot
from feedback.project.task_routes import HIGH, NORMAL
from feedback.queue.interleave import Open, Place
from feedback.queue.ranking import rank_tasks
from feedback.store import Store, WindowRow
from feedback.training.label_decisions import ConsensusLabels
from feedback.training.prediction_cache import PredictionCache
from ml_backend.predictor import NO_MODEL_VERSION
from ml_backend.registry import Bundle

_LAST_PLACE = 9_000  # scores are place / 10,000 in Label Studio: a version that grew so far is replaced
_ROOM = 100  # places before a window that rules may fill; more is made as the first ones are answered
_EVERY = 4  # second opinions are woven into a served window at every fourth place


@dataclass(frozen=True, slots=True)
class ServedWindow:
    """The window that Label Studio serves now, as we recorded it."""

    version: str  # M+qN
    rows: Sequence[WindowRow]
    complete: bool  # whether Label Studio was given all of it

    @property
    def model(self) -> str:
        """The model version M behind it."""
        return self.version.rpartition("+q")[0]

    @property
    def number(self) -> int:
        """The N of M+qN."""
        return int(self.version.rpartition("+q")[2])


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """The rows that a version shall have, and why; those that Label Studio has already are not written again."""

    version: str
    rows: Sequence[WindowRow]
    why: str


def open_tasks(snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels) -> list[Open]:
    """Tasks that somebody in the first tier may still answer: unanswered ones, and those that want one more vote."""
    answered = {vote.task for vote in snapshot.votes}
    wanting = consensus_labels.wanting
    ids = [
        task.id
        for task in snapshot.tasks.values()
        if task.id not in snapshot.routes.held and (task.id in wanting or not (task.id in answered or task.is_labeled))
    ]
    orders = snapshot.draws.audit_order([snapshot.units[task] for task in ids])
    return [
        Open(
            task,
            snapshot.roles[task],
            blind=snapshot.roles[task] != "train" or task in wanting or task in snapshot.doubled,
            audit_order=at,
            reopened=task in wanting,
            band=_band(snapshot, task),
        )
        for task, at in zip(ids, orders, strict=True)
    ]


def _band(snapshot: ProjectSnapshot, task: int) -> int:
    """How urgent a task is; one whose answers went stale comes before the usual ones."""
    band = snapshot.routes.bands.get(task, NORMAL)
    return min(band, HIGH) if task in snapshot.stale else band


def plan_window(
    snapshot: ProjectSnapshot,
    consensus_labels: ConsensusLabels,
    served: ServedWindow | None,
    champion: Bundle | None,
    prediction_cache: PredictionCache,
    *,
    audit_rows: int,
    now_s: float,
) -> WindowPlan | None:
    """Plan what Label Studio must be given now; None while the served window still does.

    A new model gets a new version, and so do new priorities of tasks that stand in it. Otherwise the version grows:
    urgent tasks and second opinions are woven in at its front, new tasks are added at its end when less than
    `queue.low_water` of it is left.
    """
    model = champion.version if champion else NO_MODEL_VERSION
    opened = open_tasks(snapshot, consensus_labels)
    why = _why_anew(snapshot, served, opened, model) or _renewed(snapshot, served, opened)
    if why or served is None:
        if not opened:
            return None
        number = served.number + 1 if served else 1
        version = f"{model}+q{number}"
        places = rank_tasks(snapshot, opened, champion, prediction_cache, number=number, audit_rows=audit_rows)
        return WindowPlan(
            version,
            [_row(snapshot, place, version, at, now_s) for at, place in enumerate(places, _front(snapshot))],
            why,
        )
    if not served.complete:
        return WindowPlan(served.version, served.rows, "the last window was cut short")
    return _grown(snapshot, opened, served, champion, prediction_cache, audit_rows=audit_rows, now_s=now_s)


def load_served_window(store: Store, project: str) -> ServedWindow | None:
    """The newest window we planned, and whether Label Studio was given all of it."""
    rows = store.windows.get_window(project)
    if not rows:
        return None
    version, written = rows[0].version, 0
    if (done := store.records.get_latest_record(project, "asked")) and done.body["version"] == version:
        written = int(done.body["rows"])
    return ServedWindow(version, rows, complete=written == len(rows))


def _grown(
    snapshot: ProjectSnapshot,
    opened: Sequence[Open],
    served: ServedWindow,
    champion: Bundle | None,
    prediction_cache: PredictionCache,
    *,
    audit_rows: int,
    now_s: float,
) -> WindowPlan | None:
    here = {row.task for row in served.rows}
    outside = [item for item in opened if item.task not in here]
    still = len(opened) - len(outside)
    ends = _ends(served, opened)
    rows: list[WindowRow] = []
    inside = [item.band for item in opened if item.task in here]
    for band in range(max(inside, default=0)):  # those that are to come before something that stands in it
        part = [item for item in outside if item.band == band and not item.reopened]
        room = snapshot.policy.queue.window - len(rows) - sum(one <= band for one in inside)
        places = (
            rank_tasks(snapshot, part, champion, prediction_cache, number=served.number, audit_rows=audit_rows)
            if part
            else []
        )
        at = _before(served, opened, band, at_least=_end(ends, band - 1))
        rows += [_row(snapshot, place, served.version, at, now_s) for place in places[: max(0, room)]]
    ahead = {row.task for row in rows}
    why = f"{len(rows)} more urgent tasks wait" if rows else ""
    again = _second_opinions(snapshot, opened, outside)
    rows += [
        _row(
            snapshot,
            Place(item.task, None, None, blind=True, reason="second opinion"),
            served.version,
            max(_front(snapshot), _end(ends, item.band - 1)) + at * _EVERY,
            now_s,
        )
        for at, item in enumerate(again)
    ]
    why = why or (f"{len(again)} second opinions wait" if again else "")
    fresh = [item for item in outside if not item.reopened and item.task not in ahead]
    full = min(snapshot.policy.queue.window, still + len(fresh))
    if fresh and still < snapshot.policy.queue.low_water * full:
        places = rank_tasks(snapshot, fresh, champion, prediction_cache, number=served.number, audit_rows=audit_rows)[
            : full - still
        ]
        first = _last_place(served) + 1
        rows += [_row(snapshot, place, served.version, first + at, now_s) for at, place in enumerate(places)]
        why = f"{still} of {len(here)} rows are left"
    return WindowPlan(served.version, [*served.rows, *rows], why) if rows else None


def _second_opinions(snapshot: ProjectSnapshot, opened: Sequence[Open], outside: Sequence[Open]) -> list[Open]:
    """Those that a served window takes in: all, or as many as a window holds, when half of those are answered."""
    again = [item for item in outside if item.reopened]
    room = snapshot.policy.queue.window - sum(item.reopened for item in opened) + len(again)
    return again if len(again) <= room else again[:room] if 2 * room >= snapshot.policy.queue.window else []


def _why_anew(snapshot: ProjectSnapshot, served: ServedWindow | None, opened: Sequence[Open], model: str) -> str:
    """Say why a new version is needed; "" while the served one can go on."""
    if served is None:
        return "no window yet"
    if served.model != model:
        return f"model {model} serves"
    if any(_is_another(snapshot, row) for row in served.rows):
        return "tasks were deleted and others have their numbers"
    if _last_place(served) >= _LAST_PLACE:
        return "it is full"
    place_of = {row.task: row.place for row in served.rows}
    first: dict[int, int] = {}  # band -> its first place that is still open
    last: dict[int, int] = {}
    for item in opened:
        if (place := place_of.get(item.task)) is not None and not item.reopened:
            first[item.band] = min(place, first.get(item.band, place))
            last[item.band] = max(place, last.get(item.band, place))
    crossed = any(last[better] > first[worse] for better in last for worse in first if better < worse)
    return "priorities changed" if crossed else ""


def _renewed(snapshot: ProjectSnapshot, served: ServedWindow | None, opened: Sequence[Open]) -> str:
    """Say that a label changed its meaning, where none of the tasks that this concerns stands in the window yet."""
    stale = {item.task for item in opened} & snapshot.stale.keys()
    here = {row.task for row in served.rows} if served else set()
    return "a label changed its meaning" if stale and not stale & here else ""


def _ends(served: ServedWindow, opened: Sequence[Open]) -> dict[int, int]:
    """The last place that is still open of each band in the window."""
    place_of, ends = {row.task: row.place for row in served.rows}, dict[int, int]()
    for item in opened:
        if (place := place_of.get(item.task)) is not None:
            ends[item.band] = max(place, ends.get(item.band, 0))
    return ends


def _end(ends: Mapping[int, int], band: int) -> int:
    """Where the bands up to this one end; 0 where none of them is in the window."""
    return max((place for other, place in ends.items() if other <= band), default=0)


def _before(served: ServedWindow, opened: Sequence[Open], band: int, *, at_least: int) -> int:
    """The place just before everything of a later band that is still open."""
    place_of = {row.task: row.place for row in served.rows}
    later = [place_of[item.task] for item in opened if item.band > band and item.task in place_of]
    return max(at_least, min(later, default=1) - 1)


def _front(snapshot: ProjectSnapshot) -> int:
    """Where a window begins: rules leave room before it for what is more urgent and comes later."""
    return _ROOM if snapshot.policy.routing else 0


def _last_place(served: ServedWindow) -> int:
    return max(row.place for row in served.rows)


def _is_another(snapshot: ProjectSnapshot, row: WindowRow) -> bool:
    """Whether the task that a row was planned for is gone, and its number passed to another one."""
    task = snapshot.tasks.get(row.task)
    return task is not None and row.task_created_at not in ("", task.created_at)


def _row(snapshot: ProjectSnapshot, place: Place, version: str, at: int, now_s: float) -> WindowRow:
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
