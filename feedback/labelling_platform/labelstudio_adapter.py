"""The adapter to a real Label Studio: `LabellingPlatform` over its REST API and our store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from feedback.labelling_platform.interface import WriteResult
from feedback.labelling_platform.service_account import find_bot
from feedback.store import Store, WindowRow
from feedback.store.log.projections import epoch_s
from ml_backend.codecs import decode_result
from ml_backend.label_config import Control
from ml_backend.labelstudio import (
    changed_tasks,
    delete_predictions,
    projects,
    queue_writer,
    review_project_client,
)
from ml_backend.labelstudio.client import Client, task_filter
from ml_backend.labelstudio.imported_predictions import ImportedPrediction, ImportedVersions
from ml_backend.labelstudio.parsing import read_task, utc
from ml_backend.labelstudio.projects import SettingsSnapshot
from ml_backend.labelstudio.queue_writer import Written
from ml_backend.labelstudio.review_project_client import ReviewProject, ReviewProjectSettings, ReviewTask
from ml_backend.left_out import contained
from ml_backend.predictor import NO_MODEL_VERSION
from ml_backend.records import Annotation, Answer, Task


@dataclass(frozen=True, slots=True)
class ReviewWebhook:
    """Where review projects send their events, and the headers by which we recognise them."""

    url: str
    headers: Mapping[str, str] = field(repr=False, hash=False)

    @property
    def id(self) -> str:
        """Return a digest of address and headers that reveals neither."""
        return hashlib.sha256(repr((self.url, sorted(self.headers.items()))).encode()).hexdigest()[:16]


class LabelStudioAdapter:
    """One Label Studio, as the user whose token the client has; `LabellingPlatform` documents the methods.

    `review_webhook` gives the webhook of review projects, and is called when the first of them is made, so that a
    service without review projects needs no secret for it. Without one review projects are only polled.
    """

    def __init__(self, client: Client, store: Store, review_webhook: Callable[[], ReviewWebhook] | None = None) -> None:
        self._client = client
        self._store = store
        self._review_webhook = review_webhook

    # reading

    def describe_project(self, project: str) -> Mapping[str, Any]:
        return self._client.project(project)

    def list_changed_tasks(
        self, project: str, since: str, *, unreadable: list[str] | None = None
    ) -> Iterable[tuple[Task, Sequence[Annotation]]]:
        return changed_tasks.poll_tasks(self._client, project, since, skipped=unreadable)

    def get_tasks_page(self, project: str, *, above: int, size: int) -> changed_tasks.TaskPage:
        return changed_tasks.get_task_page(self._client, project, above=above, size=size)

    def get_last_change_time(self, project: str) -> str:
        return changed_tasks.newest_change(self._client, project)

    def is_known_instance(self) -> bool:
        """Return whether this Label Studio accepts our bot's token, which no other one does."""
        bot = find_bot(self._store, self._client.url)
        return bot is not None and self._client.me().get("id") == bot.id

    # the queue

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
        version = rows[0].version
        without_model = version.rpartition("+q")[0] == NO_MODEL_VERSION
        wanted, numbers = [], [row.task for row in rows]
        tasks = self._store.tasks.list_tasks(project, only=numbers) if control.options else ()
        own = {task.id: control.on_task(task.data) for task in tasks}  # the labels that a task brings along
        for row in rows:
            ours = {"blind": row.blind, "gives_way": without_model}
            queued = queue_writer.queue_row(row.task, row.place, None, None, control, **ours)
            if row.is_answer_ours:
                with contained("encode the prediction", f"task {row.task}"):  # else nothing is shown
                    asked = own.get(row.task, control)
                    queued = queue_writer.queue_row(row.task, row.place, row.answer, row.confidence, asked, **ours)
            wanted.append(queued)
        written = queue_writer.write_queue_window(
            self._client,
            project,
            wanted,
            version=version,
            head=head,
            stop=stop,
            known={row.task: row.prediction for row in rows if row.prediction is not None and row.task not in verify},
            imported=self._imported_versions(project),
        )
        self._store.windows.save_window(project, [_as_written(row, written, control) for row in rows])
        held = sum(row.task in written.predictions for row in rows)
        return WriteResult(held, written.complete, written.failed)

    def _imported_versions(self, project: str) -> ImportedVersions | None:
        """Return which predictions stay visible; None where the project showed none before it was connected."""
        row = self._store.projects.get_project(project)
        before = SettingsSnapshot.from_json(row.settings_snapshot) if row and row.settings_snapshot else None
        if before is not None and not before.settings["show_collab_predictions"]:
            return None
        trained = {NO_MODEL_VERSION, *self._store.registry.versions(project)}
        theirs = frozenset(before.versions if before else ())
        return ImportedVersions(
            lambda version: version not in theirs and projects.is_own_version(version, trained),
            (before.model_version if before else "") or "",
        )

    def delete_stale_predictions(
        self, project: str, *, lock_ttl_s: float, limit: int, stop: Callable[[], bool]
    ) -> delete_predictions.DeletionResult:
        row = self._store.projects.get_project(project)
        if row is None or not row.settings_snapshot:
            return delete_predictions.DeletionResult(0, 0)
        champion, window = self._store.registry.champion(project), self._store.windows.get_window(project)
        keep = {str(self._client.project(project)["model_version"]), *(row.version for row in window[:1])}
        keep |= {champion.version} if champion else set()
        trained = self._store.registry.versions(project)
        ours = frozenset(
            projects.our_versions(self._client, SettingsSnapshot.from_json(row.settings_snapshot), trained)
        )
        return delete_predictions.delete_old_predictions(
            self._client,
            project,
            is_our_version=ours.__contains__,
            keep=keep,
            lock_ttl_s=lock_ttl_s,
            limit=limit,
            stop=stop,
        )

    def reopen_task(self, project: str, task: int, overlap: int) -> Task:
        return replace(queue_writer.reopen_task(self._client, task, overlap), project=project)

    def hide_task(self, project: str, task: int) -> Task:
        return replace(queue_writer.hide_task(self._client, task), project=project)

    def list_servable_tasks(self, project: str, tasks: Sequence[int]) -> list[int]:
        return queue_writer.servable_tasks(self._client, project, tasks)

    def write_final_answer(
        self,
        project: str,  # noqa: ARG002 - task ids are unique in one Label Studio
        task: int,
        result: Sequence[dict[str, Any]],
        *,
        unique_id: str,
        ours: Sequence[str],
    ) -> tuple[int, bool]:
        return review_project_client.write_final_answer(self._client, task, result, unique_id=unique_id, ours=ours)

    # review projects

    @property
    def review_webhook_id(self) -> str:
        return self._review_webhook().id if self._review_webhook else ""

    def register_review_webhook(self, project: str) -> None:
        if self._review_webhook is not None:
            webhook = self._review_webhook()
            review_project_client.ensure_webhook(self._client, project, webhook.url, webhook.headers)

    def ensure_review_project(self, settings: ReviewProjectSettings, *, known: str) -> ReviewProject:
        return review_project_client.ensure_review_project(self._client, settings, known=known)

    def import_review_tasks(self, project: str, review_tasks: Sequence[ReviewTask]) -> list[Task]:
        return review_project_client.import_review_tasks(self._client, project, review_tasks)

    def complete_review_tasks(self, project: str, review_tasks: Mapping[int, ReviewTask]) -> int:
        return review_project_client.complete_review_tasks(self._client, project, review_tasks)

    def update_review_task(
        self, project: str, task: int, data: Mapping[str, Any], *, proposal: ReviewTask | None = None
    ) -> Task:
        if proposal is not None:
            review_project_client.update_proposal(self._client, project, task, proposal)
        return read_task(self._client.patch_task(task, data=dict(data)), project)

    def delete_review_task(self, project: str, task: int, *, answered: bool = False) -> bool:
        return review_project_client.delete_review_task(self._client, project, task, answered=answered)

    def list_first_drafts(self, tasks: Sequence[int]) -> Mapping[int, tuple[int | None, float]]:
        found = review_project_client.first_drafts(self._client, tasks)
        return {task: (person, epoch_s(utc(at))) for task, (person, at) in found.items()}

    def count_drafts(self, project: str) -> int:
        return self._client.count_tasks(project, filters=[task_filter("draft_exists", "equal", "true", kind="Boolean")])

    def list_emails(self) -> Mapping[int, str]:
        return review_project_client.list_emails(self._client)


def _as_written(row: WindowRow, written: Written, control: Control) -> WindowRow:
    """Return a row with the prediction that people see: its id, and its answer where that is not ours."""
    prediction = written.predictions.get(row.task)
    if prediction == row.prediction:
        return row
    row = replace(row, prediction=prediction)
    shown = written.imported.get(row.task)
    if shown is None:
        return row
    if control.name not in shown.controls():
        return replace(row, imported=shown.version)
    return replace(row, answer=_decode(shown, control), confidence=None, imported=shown.version, is_answer_ours=False)


def _decode(shown: ImportedPrediction, control: Control) -> Answer | None:
    """Return what regions that are not ours say for a control; None where that cannot be read."""
    answer: Answer | None = decode_result(list(shown.result)).answers.get(control.name)
    return answer
