"""What the champion says of open tasks, worked out once for each model and task content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feedback.learning.scene import Scene
from ml_backend.registry import Bundle

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]


class Guesses:
    """Remembers one model a project; a new champion starts anew."""

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

    def vectors(self, champion: Bundle, scene: Scene, tasks: Sequence[int]) -> Vectors:
        """(n, d) places of tasks, for strategies that look at distances; features are cached by content."""
        return champion.vectors([scene.tasks[task].data for task in tasks])
