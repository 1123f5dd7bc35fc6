"""Simulated annotators: each takes tasks from Label Studio's own queue and answers right with a given probability."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ml_backend.codecs import get_codec
from ml_backend.errors import LabelStudioError
from ml_backend.label_config import Control
from ml_backend.labelstudio.client import Client
from ml_backend.records import Answer, content_hash

_PATIENCE_S = 20.0  # for an empty queue: a task may be re-opened for a second answer

_THINK_S = 0.2  # before each answer, as a person reads the task; it also leaves Label Studio free for the others


@dataclass(slots=True)
class Tally:
    """What one annotator has done so far."""

    answers: int = 0
    wrong: int = 0
    errors: list[str] = field(default_factory=list)


class Annotator(threading.Thread):
    """Works until `stop` is True, or until the queue has been empty for 20 s; `skill` is the share of right answers."""

    def __init__(
        self,
        client: Client,
        project: str,
        control: Control,
        truth: Mapping[str, str],
        *,
        name: str,
        skill: float,
        seed: int,
        stop: Callable[[], bool],
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.tally = Tally()
        self.skill = skill
        self._client = client
        self._project = project
        self._control = control
        self._truth = truth
        self._random = random.Random(seed)  # noqa: S311 - a simulated slip, not a secret
        self._stop_asked = stop

    def run(self) -> None:
        """Take a task, answer, repeat; a failed request is counted and the next task is taken."""
        idle_since = time.monotonic()
        while not self._stop_asked() and time.monotonic() - idle_since < _PATIENCE_S:
            try:
                task = self._client.next_task(self._project)
                if task is None:
                    time.sleep(0.3)
                    continue
                time.sleep(_THINK_S)
                label = self._answer(content_hash(task["data"]), self._control.labels)
                self._submit(task, label)
            except LabelStudioError as error:
                self.tally.errors.append(str(error))
                time.sleep(0.3)
                continue
            idle_since = time.monotonic()

    def _answer(self, content: str, labels: Sequence[str]) -> str:
        truth = self._truth[content]
        if self._random.random() < self.skill:
            return truth
        self.tally.wrong += 1
        return self._random.choice([label for label in labels if label != truth])

    def _submit(self, task: Mapping[str, object], label: str) -> None:
        shown = task.get("predictions")
        parent = shown[0]["id"] if isinstance(shown, list) and shown else None
        region = get_codec("choices").encode(Answer("choices", (label,)), self._control, None)
        lead_time_s = round(self._random.lognormvariate(1.2, 0.4), 2)
        fields = {"lead_time": lead_time_s} | ({"parent_prediction": parent} if parent else {})
        self._client.submit(int(str(task["id"])), region, **fields)
        self.tally.answers += 1
