"""Simulated annotators: each takes tasks from Label Studio's own queue and answers right with a given probability."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping

from ml_backend.codecs import get_codec
from ml_backend.errors import LabelStudioError
from ml_backend.label_config import Control
from ml_backend.labelstudio.client import Client
from ml_backend.records import Answer, content_hash

_PATIENCE_S = 20.0  # for an empty queue: a task may be re-opened for a second answer
_THINK_S = 0.2  # before each answer, as a person reads the task; it also leaves Label Studio free for the others


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
        self.answers = 0  # given so far
        self.errors: list[str] = []  # of failed requests
        self.skill = skill
        self._client, self._project, self._control, self._truth = client, project, control, truth
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
                self._submit(task, self._choose_label(self._truth[content_hash(task["data"])]))
            except LabelStudioError as error:
                self.errors.append(str(error))
                time.sleep(0.3)
                continue
            idle_since = time.monotonic()

    def _choose_label(self, truth: str) -> str:
        if self._random.random() < self.skill:
            return truth
        return self._random.choice([label for label in self._control.labels if label != truth])

    def _submit(self, task: Mapping[str, object], label: str) -> None:
        shown = task.get("predictions")
        parent = shown[0]["id"] if isinstance(shown, list) and shown else None
        region = get_codec("choices").encode(Answer("choices", (label,)), self._control, None)
        lead_time_s = round(self._random.lognormvariate(1.2, 0.4), 2)
        fields = {"lead_time": lead_time_s} | ({"parent_prediction": parent} if parent else {})
        self._client.submit(int(str(task["id"])), region, **fields)
        self.answers += 1
