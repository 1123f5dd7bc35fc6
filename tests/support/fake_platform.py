"""A Label Studio in memory, as far as the loop knows one; it passes the same contract as the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from feedback.labelling_platform.interface import WriteResult
from feedback.store import WindowRow
from ml_backend.codecs import codec
from ml_backend.errors import LabelStudioError
from ml_backend.label_config import Control
from ml_backend.records import Annotation, Answer, Task

TEXT_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="kind" toName="text">'
    '<Choice value="fruit"/><Choice value="tool"/></Choices></View>'
)


@dataclass
class FakeLabelStudio:
    """One project of texts; `now` moves a second with each change, so that every version is another."""

    project: str = "7"
    tasks: dict[int, Task] = field(default_factory=dict)
    annotations: dict[int, Annotation] = field(default_factory=dict)
    rows: dict[str, dict[int, WindowRow]] = field(default_factory=dict)  # version -> task -> row
    version: str = ""  # the project's model_version
    label_config: str = TEXT_CONFIG
    down: bool = False
    writes: int = 0
    stop_after: int | None = None  # rows after which a write is cut, as by a kill
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _now: datetime = field(default=datetime(2026, 1, 1, tzinfo=UTC))

    def changed(self, project: str, since: str) -> Iterable[tuple[Task, Sequence[Annotation]]]:
        self._up()
        for task in sorted(self.tasks.values(), key=lambda one: (one.updated_at, one.id)):
            if task.updated_at >= since:
                yield task, [one for one in self.annotations.values() if one.task == task.id]

    def describe(self, project: str) -> Mapping[str, Any]:
        return {"title": "fake", "label_config": self.label_config}

    def ask(
        self, project: str, rows: Sequence[WindowRow], control: Control, *, head: int, stop: Callable[[], bool]
    ) -> WriteResult:
        self._up()
        version = rows[0].version
        held = self.rows.setdefault(version, {})
        for written, row in enumerate(sorted(rows, key=lambda one: one.place)):
            if stop():
                return WriteResult(len(held), complete=False)
            if self.stop_after is not None and written >= self.stop_after:
                raise KeyboardInterrupt
            if row.task in self.tasks:
                held.setdefault(row.task, row)
                self.writes += 1
            self.version = version
        return WriteResult(sum(row.task in held for row in rows), complete=True)

    def reopen(self, project: str, task: int, overlap: int) -> Task:
        self._up()
        self.tasks[task] = replace(self.tasks[task], overlap=overlap, is_labeled=False, updated_at=self._tick())
        return self.tasks[task]

    def hide(self, project: str, task: int) -> Task:
        self._up()
        self.writes += 1
        # as the real one: a change of is_labeled alone does not move updated_at
        self.tasks[task] = replace(self.tasks[task], is_labeled=True)
        return self.tasks[task]

    def handed_out(self, project: str, tasks: Sequence[int]) -> list[int]:
        self._up()
        return [task for task in tasks if task in self.tasks and not self.tasks[task].is_labeled]

    # what people do

    def add(self, *texts: str) -> list[int]:
        made = []
        for text in texts:
            number, now = next(self._numbers), self._tick()
            self.tasks[number] = Task(number, {"text": text}, self.project, created_at=now, updated_at=now)
            made.append(number)
        return made

    def delete_all(self) -> None:
        """As Label Studio on SQLite does it: no webhook tells of it, and the numbers begin anew."""
        for held in (self.tasks, self.annotations, *self.rows.values()):
            held.clear()
        self._numbers = count(1)

    def next_task(self, person: int) -> int | None:
        """The lowest place of the current version among open tasks that this person has not answered."""
        mine = {one.task for one in self.annotations.values() if one.person == person}
        places = self.rows.get(self.version, {})
        free = [task for task in self.tasks.values() if not task.is_labeled and task.id not in mine]
        free.sort(key=lambda task: (places[task.id].place if task.id in places else 10**9, task.id))
        return free[0].id if free else None

    def answer(self, task: int, label: str, *, person: int = 1) -> int:
        number, now = next(self._numbers), self._tick()
        control = Control("kind", "text", "choices", ("fruit", "tool"), False, "text", "text")
        result = codec("choices").encode(Answer("choices", (label,)), control, None)
        self.annotations[number] = Annotation(
            number, task, self.project, person, tuple(result), updated_at=now, created_at=now
        )
        people = {one.person for one in self.annotations.values() if one.task == task}
        done = len(people) >= self.tasks[task].overlap
        self.tasks[task] = replace(self.tasks[task], is_labeled=done, updated_at=self._tick())
        return number

    def _tick(self) -> str:
        self._now += timedelta(seconds=1)
        return self._now.isoformat().replace("+00:00", "Z")

    def _up(self) -> None:
        if self.down:
            raise LabelStudioError("Label Studio cannot be reached.")
