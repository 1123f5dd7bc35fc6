"""The port to Label Studio: everything that the loop, the review and the full sync ask of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from feedback.store import WindowRow
from ml_backend.label_config import Control
from ml_backend.labelstudio.changed_tasks import TaskPage
from ml_backend.labelstudio.delete_predictions import DeletionResult
from ml_backend.labelstudio.review_project_client import ReviewProject, ReviewProjectSettings, ReviewTask
from ml_backend.records import Annotation, Task


@dataclass(frozen=True, slots=True)
class WriteResult:
    """How much of a window Label Studio holds after a write."""

    rows: int
    complete: bool  # False when the write was stopped and must go on later
    problems: Mapping[int, str] = field(default_factory=dict, hash=False)  # task -> why it has no row, or an empty one


class LabellingPlatform(Protocol):
    """What we need of Label Studio; `LabelStudioAdapter` is the real one, tests bring one in memory.

    Every method may raise LabelStudioError. Every write is safe to repeat.
    """

    def describe_project(self, project: str) -> Mapping[str, Any]:
        """Return the project's fields; at least title, label_config, expert_instruction and show_instruction."""

    def list_changed_tasks(
        self, project: str, since: str, *, unreadable: list[str] | None = None
    ) -> Iterable[tuple[Task, Sequence[Annotation]]]:
        """Yield the tasks changed at or after `since` (ISO time; "" for all), each with its annotations.

        What cannot be read is left out, and the reason is appended to `unreadable`.
        """

    def get_tasks_page(self, project: str, *, above: int, size: int) -> TaskPage:
        """Return the first `size` tasks with an id above `above`, with their annotations."""

    def get_last_change_time(self, project: str) -> str:
        """Return when any task changed last, as ISO time; "" for an empty project."""

    def is_known_instance(self) -> bool:
        """Return whether this is the Label Studio we were connected to, so that what is absent in it was deleted."""

    def write_queue(
        self,
        project: str,
        rows: Sequence[WindowRow],
        control: Control,
        *,
        head: int,
        stop: Callable[[], bool],
        verify: Collection[int] = (),
    ) -> WriteResult:
        """Make these rows the queue, the first `head` of them at once; `stop` is asked between requests.

        Predictions that are not ours stay visible in rows that are not blind, except those of a control that our model
        serves. The rows of the tasks `verify` are read back, though they were written before; what was lost is added.
        """

    def delete_stale_predictions(
        self, project: str, *, lock_ttl_s: float, limit: int, stop: Callable[[], bool]
    ) -> DeletionResult:
        """Delete up to `limit` of our predictions that no queue serves and no person can still have open."""

    def reopen_task(self, project: str, task: int, overlap: int) -> Task:
        """Let people answer a task until it has `overlap` answers; return the task as it is now."""

    def hide_task(self, project: str, task: int) -> Task:
        """Keep a task out of the label stream; return the task as it is now."""

    def list_servable_tasks(self, project: str, tasks: Sequence[int]) -> list[int]:
        """Return those of these tasks that the label stream may still serve."""

    def write_final_answer(
        self, project: str, task: int, result: Sequence[dict[str, Any]], *, unique_id: str, ours: Sequence[str]
    ) -> tuple[int, bool]:
        """Write an answer of ours once per `unique_id`; return the annotation id and whether it is the ground truth.

        `ours` are the unique ids of our answers on this task: the ground truth moves from these, never from a person's.
        """

    @property
    def review_webhook_id(self) -> str:
        """Return a digest of the webhook that review projects get; it changes with the webhook; "" without one."""

    def register_review_webhook(self, project: str) -> None:
        """Make a review project send its events to us."""

    def ensure_review_project(self, settings: ReviewProjectSettings, *, known: str) -> ReviewProject:
        """Create a review project, or update the one with this marker (or the number `known`)."""

    def import_review_tasks(self, project: str, review_tasks: Sequence[ReviewTask]) -> list[Task]:
        """Import review tasks; return them in the same order as Label Studio holds them now.

        One that an earlier import whose answer was lost has brought is not imported again.
        """

    def complete_review_tasks(self, project: str, review_tasks: Mapping[int, ReviewTask]) -> int:
        """Add what review tasks (by id) lack: prediction, urgency or overlap; return how many lacked something."""

    def update_review_task(
        self, project: str, task: int, data: Mapping[str, Any], *, proposal: ReviewTask | None = None
    ) -> Task:
        """Replace the data of a review task, and what is filled in and its urgency; return the task as it is now."""

    def delete_review_task(self, project: str, task: int, *, answered: bool = False) -> bool:
        """Delete a review task; with `answered` also one that has answers. Return False where it stays.

        A task that is already gone counts as deleted.
        """

    def list_first_drafts(self, tasks: Sequence[int]) -> Mapping[int, tuple[int | None, float]]:
        """Return, for each of the tasks that has a draft, who began the first one and when (epoch seconds)."""

    def count_drafts(self, project: str) -> int:
        """Return how many tasks have a draft of anybody: work that was not submitted."""

    def list_emails(self) -> Mapping[int, str]:
        """Return the e-mail address of every user by user id."""
