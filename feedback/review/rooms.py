"""Rooms: the review project of each tier, and the copies of cases that stand in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from feedback import events
from feedback.learning.scene import Scene
from feedback.review.tiers import review_config
from feedback.store import CaseRow, Store
from ml_backend.records import Task


@dataclass(frozen=True, slots=True)
class Copy:
    """One case as a review project is to show it."""

    data: Mapping[str, Any]
    result: tuple[dict[str, Any], ...]  # what the reviewer finds filled in
    urgency: float  # [0, 1]; 0 is next
    readers: int


class Rooms(Protocol):
    """What review asks of Label Studio; wiring brings the real one, tests a fake."""

    def room(self, *, known: str, marker: str, title: str, label_config: str, description: str) -> str:
        """Make a review project, or put the one of this marker in step; its number."""
        ...

    def put_in(self, room: str, copies: Sequence[Copy]) -> list[int]:
        """Import copies; their task ids in order."""
        ...

    def take_out(self, room: str, task: int) -> None:
        """Remove a copy; one that is gone is no error."""
        ...

    def rewrite(self, room: str, task: int, data: Mapping[str, Any]) -> None:
        """Change what a copy shows."""
        ...

    def reopen(self, project: str, task: int, overlap: int) -> Task:
        """Let a task be answered until it has `overlap` answers."""
        ...

    def write_final(
        self, project: str, task: int, result: Sequence[dict[str, Any]], *, unique_id: str, ours: Sequence[str]
    ) -> tuple[int, bool]:
        """Write the final answer once; its annotation, and whether it is the ground truth."""
        ...

    def first_drafts(self, tasks: Sequence[int]) -> Mapping[int, tuple[int | None, float]]:
        """Who began a draft first, and when, for those of the tasks that have one."""
        ...

    def emails(self) -> Mapping[int, str]:
        """Everybody's e-mail address by user id."""
        ...


def room_of(store: Store, rooms: Rooms, scene: Scene, tier: str) -> str:
    """Give a tier's review project, made or put in step only where something changed since the last look."""
    project = scene.project.id
    config = review_config(scene.config, tier, scene.policy)
    digest = hashlib.sha256(config.encode()).hexdigest()[:16]
    last = known_rooms(store, project).get(tier)
    if last is not None and last["config"] == digest:
        return str(last["room"])
    title = scene.policy.tiers[tier].title or tier
    made = rooms.room(
        known=str(last["room"]) if last else "",
        marker=f"[hitl:{project}:{tier}]",
        title=f"{title} · {scene.project.title or project}",
        label_config=config,
        description=f"Review of project {project}, tier {tier}; made and kept in step by hitl.",
    )
    store.record(project, "room", {"tier": tier, "room": made, "config": digest})
    return made


def known_rooms(store: Store, project: str) -> dict[str, Mapping[str, Any]]:
    """The newest record of each tier's review project: room, and a hash of its label config."""
    found: dict[str, Mapping[str, Any]] = {}
    for record in store.records(project, "room", limit=1000):
        found.setdefault(str(record.body["tier"]), record.body)
    return found


def forget_room(store: Store, project: str, tier: str) -> None:
    """Look for a tier's project anew next time: it was deleted, or is not what we remember."""
    store.record(project, "room", {"tier": tier, "room": "", "config": ""})


def clear(
    store: Store,
    rooms: Rooms,
    room: str,
    live: Iterable[CaseRow],
    *,
    kept: Collection[int] = (),
    may_write: Callable[[], bool],
) -> int:
    """Remove the open copies that no case stands behind any more: decided, moved on, or put in twice by a kill.

    `kept` are honeypots.
    """
    expected = {case.review_task for case in live if case.review_project == room} | set(kept)
    extra = [row.id for row in store.task_rows(room, only_open=True) if row.id not in expected]
    for task in extra:
        if not may_write():
            break
        if store.annotations(room, task=task):
            continue  # somebody has answered it: it is part of the trail
        rooms.take_out(room, task)
        store.append(events.gone_tasks(room, [task], source="own"), want=None)
    return len(extra)
