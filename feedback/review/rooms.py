"""Rooms: the review project of each tier, and the copies of cases that stand in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from feedback import events
from feedback.learning.scene import Scene
from feedback.review.tiers import review_config
from feedback.store import CaseRow, ProjectRow, Store
from ml_backend.errors import LabelStudioError
from ml_backend.records import Task

_REFUSED, _AWAY = 400, 500  # statuses between are Label Studio's "no"


@dataclass(frozen=True, slots=True)
class Copy:
    """One case as a review project is to show it."""

    data: Mapping[str, Any]
    result: tuple[dict[str, Any], ...]  # what the reviewer finds filled in
    urgency: float  # [0, 1]; 0 is next
    readers: int


class Rooms(Protocol):
    """What review asks of Label Studio; wiring brings the real one, tests a fake."""

    @property
    def listens(self) -> str:
        """Names the webhook that review projects have; another name is another webhook."""
        ...

    def listen(self, room: str) -> None:
        """Have a review project tell us what people do there."""
        ...

    def room(self, *, known: str, marker: str, title: str, label_config: str, description: str) -> str:
        """Make a review project, or put the one of this marker in step; its number."""
        ...

    def put_in(self, room: str, copies: Sequence[Copy]) -> list[Task]:
        """Import copies; the tasks in order, as they are now."""
        ...

    def complete(self, room: str, task: int, copy: Copy) -> None:
        """Give a copy whatever an import that was cut short left out."""
        ...

    def take_out(self, room: str, task: int, *, answered: bool = False) -> bool:
        """Remove a copy that nobody has answered (or any one); False where it stays. One that is gone is no error."""
        ...

    def rewrite(self, room: str, task: int, data: Mapping[str, Any]) -> Task:
        """Change what a copy shows; the copy as it is now."""
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


def room_of(store: Store, rooms: Rooms, scene: Scene, tier: str, notes: list[str]) -> str:
    """Give a tier's review project, made or put in step only where something changed since the last look.

    One that may have no webhook is polled all the same; `notes` hears why, and the next look tries again.
    """
    project = scene.project.id
    config = review_config(scene.config, tier, scene.policy)
    digest = hashlib.sha256(f"{config} {rooms.listens}".encode()).hexdigest()[:16]
    last = known_rooms(store, project).get(tier)
    if last is not None and last["config"] == digest:
        return str(last["room"])
    title = f"{scene.policy.tiers[tier].title or tier} · {scene.project.title or project}"
    made = rooms.room(
        known=str(last["room"]) if last else "",
        marker=f"[hitl:{project}:{tier}]",
        title=title,
        label_config=config,
        description=f"Review of project {project}, tier {tier}; made and kept in step by hitl.",
    )
    row = store.project(made) or ProjectRow(made)
    # reason: first, so that what the webhook brings is known to be for the source project's turn
    store.save_project(replace(row, title=title, label_config=config, source=project))
    try:
        rooms.listen(made)
    except LabelStudioError as error:
        if error.status is None or not _REFUSED <= error.status < _AWAY:
            raise
        digest = ""
        notes.append(f"review project {made} has no webhook and is only polled: {error}")
    store.record(project, "room", {"tier": tier, "room": made, "config": digest})
    return made


def known_rooms(store: Store, project: str) -> dict[str, Mapping[str, Any]]:
    """The newest record of each tier's review project: room, and a hash of its label config."""
    found: dict[str, Mapping[str, Any]] = {}
    for record in store.records(project, "room", limit=1000):
        found.setdefault(str(record.body["tier"]), record.body)
    return found


def rooms_of(store: Store, project: str) -> list[str]:
    """Every review project that a project ever had, by number."""
    found = {str(record.body["room"]) for record in store.records(project, "room", limit=10_000)}
    return sorted(found - {""})


def forget_room(store: Store, project: str, tier: str) -> None:
    """Look for a tier's project anew next time: it was deleted, or is not what we remember."""
    store.record(project, "room", {"tier": tier, "room": "", "config": ""})


def check_rooms(store: Store, project: str) -> None:
    """Have every review project looked at anew before its next use: its label config, and its webhook."""
    for tier, body in known_rooms(store, project).items():
        store.record(project, "room", {**body, "tier": tier, "config": ""})


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
        if store.annotations(room, task=task) or not rooms.take_out(room, task):
            continue  # somebody has answered it: it is part of the trail
        store.append(events.gone_tasks(room, [task], source="own"), want=None)
    return len(extra)
