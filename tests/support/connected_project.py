"""One project with its store, its loop and its people: what tests of the loop look at."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from feedback.loop.context import Turn
from feedback.loop.turn import Loop
from feedback.policy import Policy
from feedback.policy.schema import Audit, Overlap, Queue, Train
from feedback.store import ProjectRow, Store
from feedback.training.model_factory import ModelFactory
from ml_backend.registry import FolderRegistry
from tests.support.fake_platform import TEXT_CONFIG, FakeLabelStudio

FRUIT = ["apple", "pear", "plum", "cherry", "banana", "grape", "melon", "lemon"]
TOOLS = ["hammer", "saw", "drill", "wrench", "chisel", "pliers", "lathe", "vice"]
POLICY = Policy(
    queue=Queue(window=30, head=3),
    overlap=Overlap(share=0.0),
    audit=Audit(share=0.3),
    train=Train(min_rows=8, min_new=8),
)


def truth(text: str) -> str:
    return "fruit" if text.split()[1] in FRUIT else "tool"


def texts(n: int, seed: int = 3) -> list[str]:
    rng = random.Random(seed)
    return [f"a{number} {rng.choice(FRUIT + TOOLS)} {rng.choice(['red', 'old', 'big'])}" for number in range(n)]


class ConnectedProject:
    """One project, its store, its loop and its people."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder, self.studio = store, folder, FakeLabelStudio()
        self.studio.add(*texts(120))
        self.loop = self.new_loop()

    def new_loop(self, *, alone: bool = False) -> Loop:
        clock = iter(range(1_000_000))
        return Loop(
            self.store,
            platform=None if alone else self.studio,
            model_factory=ModelFactory(lambda: ()),
            folder=FolderRegistry(self.folder),
            clock=lambda: float(next(clock)),
        )

    def connect(self, policy: Policy = POLICY, **fields: object) -> None:
        row = ProjectRow("7", "fake", TEXT_CONFIG, connected=True, options={"policy": policy.model_dump(mode="json")})
        self.store.projects.save_project(replace(row, **fields))

    def turn(self) -> Turn:
        """One turn, and the reports that a worker makes after it."""
        turn = self.loop.turn("7")
        self.loop.report("7")
        return turn

    def label(self, n: int, *, person: int = 1) -> list[int]:
        done = []
        for _ in range(n):
            task = self.studio.next_task(person)
            if task is None:
                break
            done.append(self.studio.answer(task, truth(str(self.studio.tasks[task].data["text"])), person=person))
        return done
