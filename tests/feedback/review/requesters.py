"""The systems outside: one that sends signals about tasks, and one that receives notifications."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from feedback.ingest.signals import SignalHandler
from tests.support.review_world import PROJECT, QUIET, World

ONE_TIER = QUIET.format(share=0.0)


class Crm:
    """Receives notifications, except while it is `down`."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.down = False

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> str:
        if self.down:
            return "it did not answer"
        self.received.append(json.loads(body))
        return ""

    def answers(self) -> list[tuple[str, str]]:
        return [(row["asked"], row["answer"]) for row in self.received]


def push(world: World, task: int | None, name: str = "human_review", *, key: str = "k", **more: object) -> None:
    body = {"project": PROJECT, "task": task, "signal": name, "id": key, **more}
    SignalHandler(world.store, clock=world.site.seconds)(body)


def turns(world: World, many: int = 3) -> None:
    for _ in range(many):
        world.turn()
