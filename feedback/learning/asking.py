"""Asking: decide when the queue needs a new window, and what stands in it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feedback.learning.scene import Scene
from feedback.learning.settling import Settlement
from feedback.learning.window import Open, Place, compose
from feedback.store import Store, WindowRow
from ml_backend.registry import Bundle
from sampling.ordering import order
from sampling.pool import Pool

COLD = "hitl-0"  # the version that stands for "no model yet", as the predictor answers it


Floats = np.ndarray[tuple[int], np.dtype[np.float64]]  # (k,)


@dataclass(frozen=True, slots=True)
class Asked:
    """The window that Label Studio serves now, as we recorded it."""

    version: str  # M+qN
    rows: Sequence[WindowRow]
    complete: bool  # whether Label Studio holds all of it

    @property
    def model(self) -> str:
        """The model version M behind it."""
        return self.version.rpartition("+q")[0]

    @property
    def number(self) -> int:
        """The N of M+qN."""
        return int(self.version.rpartition("+q")[2])


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


def why_ask(scene: Scene, asked: Asked | None, opened: Sequence[Open], model: str) -> str:
    """Say why a new window is needed now; "" when the one that is served still does."""
    if not opened:
        return ""
    if asked is None:
        return "no window yet"
    if asked.model != model:
        return f"model {model} serves"
    here = {row.task for row in asked.rows}
    still = sum(item.task in here for item in opened)
    if any(item.reopened and item.task not in here for item in opened):
        return "second opinions wait"
    if still == len(opened):
        return ""  # everything that is open is in it already
    full = min(scene.policy.queue.window, len(opened))
    return f"{still} of {len(asked.rows)} rows are left" if still < scene.policy.queue.low_water * full else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A window to write, and why."""

    version: str
    rows: Sequence[WindowRow]
    why: str


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
    """Plan the next window, or the rest of one that was cut short; None while the served one still does."""
    model = champion.version if champion else COLD
    if served is not None and not served.complete and served.model == model:
        return Plan(served.version, served.rows, "the last window was cut short")
    opened = open_tasks(scene, settlement)
    why = why_ask(scene, served, opened, model)
    if not why:
        return None
    number = served.number + 1 if served else 1
    version = f"{model}+q{number}"
    places = _places(scene, opened, champion, guesses, number=number, audit_rows=audit_rows)
    return Plan(version, [_row(place, version, at, now_s) for at, place in enumerate(places)], why)


def _places(
    scene: Scene, opened: Sequence[Open], champion: Bundle | None, guesses: Guesses, *, number: int, audit_rows: int
) -> list[Place]:
    """Order the open tasks; the same scene and number give the same places.

    Until `audit.start` audit rows are answered, half of the queue feeds the audit.
    """
    policy = scene.policy
    learnable = [item.task for item in opened if item.role == "train" and not item.reopened]
    proba = guesses.proba(champion, scene, [item.task for item in opened if not item.blind or item.role == "train"])
    ranked: list[tuple[int, str]] = []
    if learnable:
        k = len(champion.classes) if champion else 1
        unknown = np.full(k, 1.0 / k)  # before the first model every task is as good as any other
        table = np.vstack([proba.get(task, unknown) for task in learnable])
        ordering = order(
            Pool(tuple(learnable), table, np.zeros(len(learnable))),
            strategy=policy.sampling.strategy,
            random_share=policy.sampling.random_share,
            seed=zlib.crc32(f"{scene.project.id}/{number}".encode()),
            size=policy.queue.window,
        )
        ranked = list(zip(ordering.ids, ordering.reasons, strict=True))
    quota = max(0.5, policy.audit.quota) if audit_rows < policy.audit.start else policy.audit.quota
    said = {task: champion.says(row) for task, row in proba.items()} if champion else {}
    return compose(opened, ranked, said, size=policy.queue.window, audit_quota=quota)


class Guesses:
    """What the champion says of open tasks, worked out once for each model and task content."""

    def __init__(self) -> None:
        self._version: dict[str, str] = {}
        self._rows: dict[str, dict[str, Floats]] = {}  # project -> unit -> (k,)

    def proba(self, champion: Bundle | None, scene: Scene, tasks: Sequence[int]) -> dict[int, Floats]:
        """(k,) calibrated probabilities by task; NaN where a task cannot be read; nothing without a champion."""
        if champion is None:
            return {}
        project = scene.project.id
        if self._version.get(project) != champion.version:
            self._version[project], self._rows[project] = champion.version, {}
        known = self._rows[project]
        new = list({scene.units[task]: task for task in tasks if scene.units[task] not in known}.values())
        if new:
            table = champion.proba([scene.tasks[task].data for task in new])
            known.update((scene.units[task], row) for task, row in zip(new, table, strict=True))
        return {task: known[scene.units[task]] for task in tasks}


def read_asked(store: Store, project: str) -> Asked | None:
    """The newest window we planned, and whether Label Studio holds all of it."""
    rows = store.window(project)
    if not rows:
        return None
    done = store.latest(project, "asked", key=rows[0].version)
    return Asked(rows[0].version, rows, complete=done is not None)


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
