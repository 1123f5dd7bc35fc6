"""Simulated people: each takes tasks from Label Studio's own queue and answers right with a given probability."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from feedback.review.review_task_content import ANSWER, FACTS, PREFIX, REASON, VERDICT, VERDICTS
from ml_backend.codecs import get_codec
from ml_backend.errors import LabelStudioError
from ml_backend.label_config import Control
from ml_backend.labelstudio.client import Client
from ml_backend.records import Answer, content_hash

_THINK_S = 0.2  # before each answer, as a person reads the task; it also leaves Label Studio free for the others


class Annotator(threading.Thread):
    """Works until `stop_asked` is True, or the queue has been empty for 20 s; `skill` is the share of right answers."""

    patience_s = 20.0  # for an empty queue: a task may be re-opened for a second answer

    def __init__(
        self,
        client: Client,
        find_project: Callable[[], str | None],
        control: Control,
        truth: Mapping[str, str],  # by content hash of the task's data
        *,
        name: str,
        skill: float,
        seed: int,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.answers = 0  # given so far
        self.errors: list[str] = []  # of failed requests
        self.skill = skill
        self._client, self._find_project, self._control, self._truth = client, find_project, control, truth
        self._random = random.Random(seed)  # noqa: S311 - a simulated slip, not a secret
        self.stop_asked: Callable[[], bool] = lambda: False
        self.reason = ""  # a reviewer's, for a fix: its code

    def run(self) -> None:
        """Take a task, answer, repeat; a failed request is counted and the next task is taken."""
        idle_since = time.monotonic()
        while not self.stop_asked() and time.monotonic() - idle_since < self.patience_s:
            try:
                project = self._find_project()
                task = self._client.next_task(project) if project else None
                if task is None:
                    time.sleep(0.3)
                    continue
                time.sleep(_THINK_S)
                own = {name: value for name, value in task["data"].items() if not name.startswith(PREFIX)}
                self._submit(task, self._choose_label(self._truth[content_hash(own)]))
            except LabelStudioError as error:
                self.errors.append(str(error))
                time.sleep(0.3)
                continue
            idle_since = time.monotonic()

    def _choose_label(self, truth: str) -> str:
        if self._random.random() < self.skill:
            return truth
        return self._random.choice([label for label in self._control.labels if label != truth])

    def _submit(self, task: Mapping[str, Any], label: str) -> None:
        parent = next((row["id"] for row in task.get("predictions") or ()), None)
        lead_time_s = round(self._random.lognormvariate(1.2, 0.4), 2)
        fields = {"lead_time": lead_time_s} | ({"parent_prediction": parent} if parent else {})
        self._client.submit(int(task["id"]), self._answer(task, label), **fields)
        self.answers += 1

    def _answer(self, task: Mapping[str, Any], label: str) -> list[dict[str, Any]]:  # noqa: ARG002  # of a reviewer
        """Return the result of an answer to a task."""
        return get_codec("choices").encode(Answer("choices", (label,)), self._control, None)


class Reviewer(Annotator):
    """Works in the review project of a tier, once there is one: accepts what is right, else fixes it with a reason."""

    patience_s = math.inf  # cases come when there is a model

    def _answer(self, task: Mapping[str, Any], label: str) -> list[dict[str, Any]]:
        answer = super()._answer(task, label)
        shown = [region["value"] for row in task.get("predictions") or () for region in row["result"]]
        offered = [verdict["value"] for verdict in task["data"][VERDICTS]]
        verdict = "accept" if answer[0]["value"] in shown else "fix"
        given = {VERDICT: ANSWER if ANSWER in offered else verdict, REASON: self.reason if verdict == "fix" else ""}
        for name, choice in given.items():
            if choice:
                region = {"from_name": name, "to_name": FACTS, "type": "choices", "value": {"choices": [choice]}}
                answer.append(region)
        return answer
