"""The review projects of a real Label Studio, spoken by ml_backend.labelstudio."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from feedback.labelling_platform.interface import ReviewTask
from feedback.store.log.projections import epoch_s
from ml_backend.labelstudio import queue_writer, review_projects
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.parsing import read_task, utc
from ml_backend.records import Task


@dataclass(frozen=True, slots=True)
class Hook:
    """Where review projects tell us what people do, and the headers by which we know them."""

    url: str
    headers: Mapping[str, str] = field(repr=False, hash=False)

    @property
    def name(self) -> str:
        """The same for the same address and headers; tells nothing of either."""
        return hashlib.sha256(repr((self.url, sorted(self.headers.items()))).encode()).hexdigest()[:16]


class LabelStudioReviewProjects:
    """One Label Studio, as the user whose token the client has; without a hook review projects are only polled.

    The hook is made when the first review project needs it: whoever has no webhook of ours needs no secret for it.
    """

    def __init__(self, client: Client, hook: Callable[[], Hook] | None = None) -> None:
        self._client = client
        self._hook = hook

    @property
    def listens(self) -> str:
        """Names the webhook that review projects have; "" where they are only polled."""
        return self._hook().name if self._hook else ""

    def listen(self, room: str) -> None:
        """Have a review project tell us what people do there."""
        if self._hook is not None:
            hook = self._hook()
            review_projects.listen(self._client, room, hook.url, hook.headers)

    def room(self, *, known: str, marker: str, title: str, label_config: str, description: str) -> str:
        """Make a review project, or put the one of this marker in step; its number."""
        number, _changed = review_projects.ensure_project(
            self._client, known=known, marker=marker, title=title, label_config=label_config, description=description
        )
        return number

    def put_in(self, room: str, copies: Sequence[ReviewTask]) -> list[Task]:
        """Import copies; the tasks in order, as they are now."""
        return review_projects.put_in(self._client, room, [_as_copy(copy) for copy in copies])

    def complete(self, room: str, task: int, copy: ReviewTask) -> None:
        """Give a copy whatever an import that was cut short left out."""
        review_projects.complete(self._client, room, task, _as_copy(copy))

    def take_out(self, room: str, task: int, *, answered: bool = False) -> bool:
        """Remove a copy that nobody has answered, or any one; False where it stays."""
        return review_projects.take_out(self._client, room, task, answered=answered)

    def rewrite(self, room: str, task: int, data: Mapping[str, Any]) -> Task:
        """Change what a copy shows; the copy as it is now."""
        return read_task(self._client.patch_task(task, data=dict(data)), room)

    def reopen(self, project: str, task: int, overlap: int) -> Task:
        """Let a task be answered until it has `overlap` answers."""
        return replace(queue_writer.reopen(self._client, task, overlap), project=project)

    def write_final(
        self,
        project: str,  # noqa: ARG002
        task: int,
        result: Sequence[dict[str, Any]],
        *,
        unique_id: str,
        ours: Sequence[str],
    ) -> tuple[int, bool]:
        """Write the final answer once; its annotation, and whether it is the ground truth."""
        return review_projects.write_final(self._client, task, result, unique_id=unique_id, ours=ours)

    def first_drafts(self, tasks: Sequence[int]) -> Mapping[int, tuple[int | None, float]]:
        """Who began a draft first, and when, for those of the tasks that have one."""
        found = review_projects.first_drafts(self._client, tasks)
        return {task: (person, epoch_s(utc(at))) for task, (person, at) in found.items()}

    def emails(self) -> Mapping[int, str]:
        """Everybody's e-mail address by user id."""
        return review_projects.emails(self._client)


def _as_copy(copy: ReviewTask) -> review_projects.ReviewTask:
    return review_projects.ReviewTask(copy.data, copy.result, copy.urgency, copy.readers)
