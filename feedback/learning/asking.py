"""Asking: decide when the queue needs new rows, and what stands in them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from feedback.learning.guesses import Floats, Guesses
from feedback.learning.scene import Scene
from feedback.learning.settling import Settlement
from feedback.learning.window import Open, Place, compose
from feedback.store import Store, WindowRow
from ml_backend.predictor import COLD
from ml_backend.registry import Bundle
from sampling.ordering import Ordering, order
from sampling.pool import Pool

_LAST_PLACE = 9_000  # scores are place / 10,000 in Label Studio: a version that grew so far is replaced
_EVERY = 4  # second opinions are woven into a served window at every fourth place


@dataclass(frozen=True, slots=True)
class Asked:
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
class Plan:
    """The rows that a version shall have, and why; those that Label Studio has already are not written again."""

    version: str
    rows: Sequence[WindowRow]
    why: str


def open_tasks(scene: Scene, settlement: Settlement) -> list[Open]:
    """Tasks that somebody may still answer: unanswered ones, and those that want one more vote."""
    answered = {vote.task for vote in scene.votes}
    wanting = settlement.wanting
    ids = [
        task.id for task in scene.tasks.values() if task.id in wanting or not (task.id in answered or task.is_labeled)
    ]
    orders = scene.draws.audit_order([scene.units[task] for task in ids])
    return [
        Open(
            task,
            scene.roles[task],
            blind=scene.roles[task] != "train" or task in wanting or task in scene.doubled,
            audit_order=at,
            reopened=task in wanting,
        )
        for task, at in zip(ids, orders, strict=True)
    ]


def plan_window(
    scene: Scene,
    settlement: Settlement,
    served: Asked | None,
    champion: Bundle | None,
    guesses: Guesses,
    *,
    audit_rows: int,
    now_s: float,
) -> Plan | None:
    """Plan what Label Studio must be given now; None while the served window still does.

    A new model gets a new version. Under the same model the version grows: second opinions are woven in at its
    front, new tasks are added at its end when less than `queue.low_water` of it is left.
    """
    model = champion.version if champion else COLD
    opened = open_tasks(scene, settlement)
    if served is None or served.model != model or _last_place(served) >= _LAST_PLACE:
        if not opened:
            return None
        number = served.number + 1 if served else 1
        version = f"{model}+q{number}"
        places = _places(scene, opened, champion, guesses, number=number, audit_rows=audit_rows)
        why = "no window yet" if served is None else f"model {model} serves" if served.model != model else "it is full"
        return Plan(version, [_row(place, version, at, now_s) for at, place in enumerate(places)], why)
    if not served.complete:
        return Plan(served.version, served.rows, "the last window was cut short")
    return _grown(scene, opened, served, champion, guesses, audit_rows=audit_rows, now_s=now_s)


def read_asked(store: Store, project: str) -> Asked | None:
    """The newest window we planned, and whether Label Studio was given all of it."""
    rows = store.window(project)
    if not rows:
        return None
    version, written = rows[0].version, 0
    if (done := store.latest(project, "asked")) and done.body["version"] == version:
        written = int(done.body["rows"])
    return Asked(version, rows, complete=written == len(rows))


def _grown(
    scene: Scene,
    opened: Sequence[Open],
    served: Asked,
    champion: Bundle | None,
    guesses: Guesses,
    *,
    audit_rows: int,
    now_s: float,
) -> Plan | None:
    here = {row.task for row in served.rows}
    outside = [item for item in opened if item.task not in here]
    still = len(opened) - len(outside)
    again = [item for item in outside if item.reopened]
    rows = [
        _row(Place(item.task, None, None, blind=True, reason="second opinion"), served.version, at * _EVERY, now_s)
        for at, item in enumerate(again)
    ]
    why = f"{len(rows)} second opinions wait" if rows else ""
    fresh = [item for item in outside if not item.reopened]
    full = min(scene.policy.queue.window, still + len(fresh))
    if fresh and still < scene.policy.queue.low_water * full:
        places = _places(scene, fresh, champion, guesses, number=served.number, audit_rows=audit_rows)[: full - still]
        first = _last_place(served) + 1
        rows += [_row(place, served.version, first + at, now_s) for at, place in enumerate(places)]
        why = f"{still} of {len(here)} rows are left"
    return Plan(served.version, [*served.rows, *rows], why) if rows else None


def _last_place(served: Asked) -> int:
    return max(row.place for row in served.rows)


def _places(
    scene: Scene, opened: Sequence[Open], champion: Bundle | None, guesses: Guesses, *, number: int, audit_rows: int
) -> list[Place]:
    """Order the open tasks; the same scene and number give the same places.

    Until `audit.start` audit rows are answered, half of the queue feeds the audit.
    """
    policy = scene.policy
    learnable = [item.task for item in opened if item.role == "train" and not item.reopened]
    proba = guesses.proba(champion, scene, learnable)
    ranked: list[tuple[int, str]] = []
    if learnable:
        ordering = _ordering(scene, learnable, champion, guesses, proba, number=number)
        ranked = list(zip(ordering.ids, ordering.reasons, strict=True))
    quota = max(0.5, policy.audit.quota) if audit_rows < policy.audit.start else policy.audit.quota
    said = {task: champion.says(row) for task, row in proba.items()} if champion else {}
    return compose(opened, ranked, said, size=policy.queue.window, audit_quota=quota)


def _ordering(
    scene: Scene,
    tasks: Sequence[int],
    champion: Bundle | None,
    guesses: Guesses,
    proba: Mapping[int, Floats],
    *,
    number: int,
) -> Ordering:
    policy = scene.policy
    unknown = np.full(len(champion.classes) if champion else 1, 1.0)  # before the first model all tasks are alike
    table = np.vstack([proba.get(task, unknown / unknown.sum()) for task in tasks])
    vectors = guesses.vectors(champion, scene, tasks) if champion and policy.sampling.looks_at_distances else None
    return order(
        Pool(tuple(tasks), table, np.zeros(len(tasks)), vectors=vectors),
        strategy=policy.sampling.strategy if champion else "random",
        random_share=policy.sampling.random_share,
        seed=zlib.crc32(f"{scene.project.id}/{number}".encode()),
        size=policy.queue.window,
    )


def _row(place: Place, version: str, at: int, now_s: float) -> WindowRow:
    return WindowRow(
        task=place.task,
        version=version,
        place=at,
        answer=place.answer,
        confidence=place.confidence,
        blind=place.blind,
        prediction=None,
        written_s=now_s,
    )
