"""A Label Studio in memory that also has review projects: what reviewers are handed, and what they say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from feedback.labelling_platform.interface import ReviewTask
from feedback.store import Store
from feedback.store.log import events
from ml_backend.errors import LabelStudioError
from ml_backend.records import Annotation, Task
from tests.support.fake_platform import FakeLabelStudio
from tests.support.saying import said


@dataclass
class Room:
    """One review project."""

    label_config: str
    marker: str
    copies: dict[int, ReviewTask] = field(default_factory=dict)  # by task


@dataclass
class FakeSite(FakeLabelStudio):
    """The source project and its review projects; annotations of all of them have one numbering, as in the real one."""

    rooms: dict[str, Room] = field(default_factory=dict)
    finals: dict[str, tuple[int, int, list[dict[str, Any]]]] = field(default_factory=dict)  # unique id -> task, number
    people: dict[int, str] = field(default_factory=dict)  # id -> e-mail
    begun: dict[int, tuple[int, float]] = field(default_factory=dict)  # task -> who has a draft, since when
    starred: set[int] = field(default_factory=set)  # tasks on which a person has set the ground truth
    fails: set[str] = field(default_factory=set)  # requests that are not answered: "put_in after" and the like
    said: dict[str, dict[int, Annotation]] = field(default_factory=dict)
    copied: dict[str, dict[int, Task]] = field(default_factory=dict)
    reuse: dict[str, int] = field(default_factory=dict)  # text -> the number that its next copy gets
    heard: set[str] = field(default_factory=set)  # review projects with our webhook

    def changed(self, project: str, since: str) -> Iterable[tuple[Task, Sequence[Annotation]]]:
        if project == self.project:
            yield from super().changed(project, since)
            return
        self._up()
        if project not in self.rooms:
            raise LabelStudioError("no such project", status=404)
        said = self.said.get(project, {})
        for task in sorted(self.copied.get(project, {}).values(), key=lambda one: (one.updated_at, one.id)):
            if task.updated_at >= since:
                yield task, [one for one in said.values() if one.task == task.id]

    def room(self, *, known: str, marker: str, title: str, label_config: str, description: str) -> str:
        self._up()
        found = next((one for one, room in self.rooms.items() if room.marker == marker), "")
        number = (known if known in self.rooms else "") or found or str(1000 + next(self._numbers))
        self.rooms.setdefault(number, Room(label_config, marker)).label_config = label_config
        if "room after" in self.fails:
            raise KeyboardInterrupt
        return number

    @property
    def listens(self) -> str:
        return "a webhook"

    def listen(self, room: str) -> None:
        self._up()
        if "listen" in self.fails:
            raise LabelStudioError("reserved network address", status=403)
        self.heard.add(room)

    def put_in(self, room: str, copies: Sequence[ReviewTask]) -> list[Task]:
        self._up()
        if room not in self.rooms:
            raise LabelStudioError("no such project", status=404)
        made = []
        for copy in copies:
            number, now = self.reuse.pop(str(copy.data["text"]), 0) or next(self._numbers), self._tick()
            if "put_in half" in self.fails:
                copy = replace(copy, result=(), readers=1)
            self.rooms[room].copies[number] = copy
            task = Task(number, copy.data, room, overlap=copy.readers, created_at=now, updated_at=now)
            self.copied.setdefault(room, {})[number] = task
            made.append(task)
        self.writes += len(made)
        if "put_in half" in self.fails:
            raise LabelStudioError("the database is locked", status=500)
        if "put_in after" in self.fails:
            raise KeyboardInterrupt  # a kill, once the request was served
        return made

    def complete(self, room: str, task: int, copy: ReviewTask) -> None:
        self._up()
        self.rooms[room].copies[task] = copy
        here = self.copied[room][task]
        self.copied[room][task] = replace(here, overlap=max(here.overlap, copy.readers), updated_at=self._tick())

    def take_out(self, room: str, task: int, *, answered: bool = False) -> bool:
        self._up()
        self.writes += 1
        if not answered and any(one.task == task for one in self.said.get(room, {}).values()):
            return False
        self.copied.get(room, {}).pop(task, None)
        return True

    def rewrite(self, room: str, task: int, data: Mapping[str, Any]) -> Task:
        self._up()
        self.copied[room][task] = replace(self.copied[room][task], data=data, updated_at=self._tick())
        return self.copied[room][task]

    def reopen(self, project: str, task: int, overlap: int) -> Task:
        if project == self.project:
            return super().reopen(project, task, overlap)
        self._up()
        self.writes += 1
        now = replace(self.copied[project][task], overlap=overlap, is_labeled=False, updated_at=self._tick())
        self.copied[project][task] = now
        return now

    def write_final(
        self, project: str, task: int, result: Sequence[dict[str, Any]], *, unique_id: str, ours: Sequence[str]
    ) -> tuple[int, bool]:
        self._up()
        if task not in self.tasks:
            raise LabelStudioError("no such task", status=404)
        if unique_id not in self.finals:
            self.finals[unique_id] = (task, next(self._numbers), list(result))
            self.writes += 1
        if "write_final after" in self.fails:
            raise KeyboardInterrupt
        return self.finals[unique_id][1], task not in self.starred

    def first_drafts(self, tasks: Sequence[int]) -> Mapping[int, tuple[int | None, float]]:
        self._up()
        return {task: self.begun[task] for task in tasks if task in self.begun}

    def emails(self) -> Mapping[int, str]:
        self._up()
        return self.people

    # what people do

    def number(self, person: int) -> int:
        """The id that somebody has."""
        return person

    def add_rows(self, *rows: Mapping[str, Any]) -> list[int]:
        """Add tasks with more than a text."""
        made = self.add(*(str(row["text"]) for row in rows))
        for task, row in zip(made, rows, strict=True):
            self.tasks[task] = replace(self.tasks[task], data=dict(row))
        return made

    def final(self, task: int) -> str:
        """The label that stands as ground truth; "" for none."""
        said = [result for one, _number, result in self.finals.values() if one == task]
        return str(said[-1][0]["value"]["choices"][0]) if said else ""

    def written(self, task: int) -> int:
        """How many answers of ours a task has."""
        return sum(one == task for one, _number, _result in self.finals.values())

    def shown(self, task: int) -> Sequence[Mapping[str, Any]]:
        """What a reviewer finds filled in."""
        return next(room.copies[task].result for room in self.rooms.values() if task in room.copies)

    def change(self, room: str, task: int, *, person: int, verdict: str, label: str = "", reason: str = "") -> None:
        """Say something else where one has answered."""
        here = self.said[room]
        (number,) = [number for number, one in here.items() if (one.task, one.person) == (task, person)]
        result = said([], verdict, label, reason=reason)
        here[number] = replace(here[number], result=tuple(result), updated_at=self._tick())
        self.copied[room][task] = replace(self.copied[room][task], updated_at=self._tick())

    def draft(self, task: int, *, person: int) -> None:
        """Begin, and submit nothing."""
        self.begun[task] = (person, self.seconds())

    def delete_copy(self, room: str, task: int) -> None:
        """Delete a copy as somebody may in Label Studio, which no poll shows."""
        del self.copied[room][task]

    def delete_room(self, room: str) -> None:
        """Delete a review project with all that is in it."""
        del self.rooms[room], self.copied[room]
        self.said.pop(room, None)

    def sweep(self, store: Store, room: str) -> None:
        """Compare what is known of a review project with what is there."""
        store.append(
            events.gone_tasks(room, [row.id for row in store.task_rows(room) if row.id not in self.copied[room]])
        )

    def waiting(self, room: str, person: int) -> list[Task]:
        """What a reviewer may be handed, the most urgent first."""
        mine = {one.task for one in self.said.get(room, {}).values() if one.person == person}
        free = [one for one in self.copied.get(room, {}).values() if not one.is_labeled and one.id not in mine]
        return sorted(free, key=lambda one: (self.rooms[room].copies[one.id].urgency, one.id))

    def review(
        self,
        room: str,
        verdict: str,
        label: str = "",
        *,
        person: int,
        reason: str = "",
        comment: str = "",
        task: int = 0,
        skip: bool = False,
    ) -> int:
        """Answer the next copy (or a given one); without a label the filled-in answer stays. Gives the copy's task."""
        task = task or self.waiting(room, person)[0].id
        number, now = next(self._numbers), self._tick()
        result = said(self.rooms[room].copies[task].result, verdict, label, reason=reason, comment=comment)
        here = self.said.setdefault(room, {})
        here[number] = Annotation(
            number, task, room, person, () if skip else tuple(result), updated_at=now, created_at=now,
            was_cancelled=skip, lead_time_s=30.0,
        )  # fmt: skip
        copy = self.copied[room][task]
        people = {one.person for one in here.values() if one.task == task and not one.was_cancelled}
        done = len(people) >= copy.overlap
        self.copied[room][task] = replace(copy, is_labeled=done, updated_at=self._tick())
        return task

    def seconds(self) -> float:
        """The moment of the last change."""
        return self._now.timestamp()

    def pass_time(self, seconds: float) -> None:
        """Let time go by."""
        self._now += timedelta(seconds=seconds)

    def room_of(self, tier: str) -> str:
        """The review project of a tier."""
        return next(number for number, room in self.rooms.items() if room.marker.endswith(f":{tier}]"))

    def skip_source(self, task: int, *, person: int) -> None:
        """Skip a task of the source project, which goes to others."""
        number, now = next(self._numbers), self._tick()
        self.annotations[number] = Annotation(
            number, task, self.project, person, (), updated_at=now, created_at=now, was_cancelled=True
        )
        self.tasks[task] = replace(self.tasks[task], updated_at=self._tick())
