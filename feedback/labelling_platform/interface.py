"""The port to Label Studio: what the loop and the review ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from feedback.store import WindowRow
from ml_backend.label_config import Control
from ml_backend.records import Annotation, Task


class Platform(Protocol):
    """What the loop asks of Label Studio; wiring brings the real one, tests a fake."""

    def changed(self, project: str, since: str) -> Iterable[tuple[Task, Sequence[Annotation]]]:
        """Tasks that changed at or after `since` (ISO time; "" for all), each with its annotations."""
        ...

    def describe(self, project: str) -> Mapping[str, Any]:
        """The project as Label Studio holds it: at least title and label_config."""
        ...

    def ask(
        self, project: str, rows: Sequence[WindowRow], control: Control, *, head: int, stop: Callable[[], bool]
    ) -> WriteResult:
        """Make these rows the queue, the first `head` at once; safe to repeat, ended early by `stop`."""
        ...

    def reopen(self, project: str, task: int, overlap: int) -> Task:
        """Let one more person answer a task."""
        ...

    def hide(self, project: str, task: int) -> Task:
        """Keep a task from everybody in the label stream."""
        ...

    def handed_out(self, project: str, tasks: Sequence[int]) -> list[int]:
        """Those of these tasks that the label stream may still hand out."""
        ...


@dataclass(frozen=True, slots=True)
class WriteResult:
    """How much of a window Label Studio holds after a write."""

    rows: int
    complete: bool  # False when the write was stopped, and must go on later


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """One case as a review project is to show it."""

    data: Mapping[str, Any]
    result: tuple[dict[str, Any], ...]  # what the reviewer finds filled in
    urgency: float  # [0, 1]; 0 is next
    readers: int


class ReviewProjects(Protocol):
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

    def put_in(self, room: str, copies: Sequence[ReviewTask]) -> list[Task]:
        """Import copies; the tasks in order, as they are now."""
        ...

    def complete(self, room: str, task: int, copy: ReviewTask) -> None:
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
