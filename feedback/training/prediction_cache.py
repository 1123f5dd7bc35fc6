"""What the champion says of open tasks, worked out once for each model and task content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feedback.project.snapshot import ProjectSnapshot
from feedback.store.log.events import canonical_json
from ml_backend.registry import Bundle

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]


class PredictionCache:
    """Remembers one model a project; a new champion starts anew."""

    def __init__(self) -> None:
        self._version: dict[str, str] = {}
        self._rows: dict[str, dict[str, Floats]] = {}  # project -> unit -> (k,)

    def proba(self, champion: Bundle | None, snapshot: ProjectSnapshot, tasks: Sequence[int]) -> dict[int, Floats]:
        """(k,) calibrated probabilities by task; NaN where a task cannot be read; nothing without a champion."""
        if champion is None:
            return {}
        project = snapshot.project.id
        if self._version.get(project) != champion.version:
            self._version[project], self._rows[project] = champion.version, {}
        rows = self._rows[project]
        names = {task: _name(champion, snapshot, task) for task in tasks}
        new = {name: task for task, name in names.items() if name not in rows}
        if new:
            table = champion.proba([snapshot.data(task) for task in new.values()])
            rows.update(zip(new, table, strict=True))
        return {task: rows[name] for task, name in names.items()}

    def vectors(self, champion: Bundle, snapshot: ProjectSnapshot, tasks: Sequence[int]) -> Vectors:
        """(n, d) places of tasks, for strategies that look at distances; features are cached by content."""
        return champion.vectors([snapshot.tasks[task].data for task in tasks])


def _name(champion: Bundle, snapshot: ProjectSnapshot, task: int) -> str:
    """Return the cache key of a task: its content, and the indicators where this model reads them."""
    indicators = snapshot.indicators.get(task) if champion.indicators else None
    return f"{snapshot.units[task]} {canonical_json(indicators).decode()}" if indicators else snapshot.units[task]
