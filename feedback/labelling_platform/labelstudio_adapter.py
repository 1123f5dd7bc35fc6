"""What the loop asks of Label Studio, spoken by ml_backend.labelstudio; our side of it stands in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from feedback.labelling_platform.interface import WriteResult
from feedback.labelling_platform.service_account import find_bot
from feedback.labelling_platform.unreadable import record_unreadable
from feedback.store import Store, WindowRow
from ml_backend.label_config import Control
from ml_backend.labelstudio import delete_predictions, projects, queue_writer, task_visibility
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.settings_snapshot import SettingsSnapshot
from ml_backend.records import Annotation, Task


class LabelStudio:
    """One Label Studio, as the user whose token the client has."""

    def __init__(self, client: Client, store: Store) -> None:
        self._client = client
        self._store = store

    def changed(self, project: str, since: str) -> Iterable[tuple[Task, Sequence[Annotation]]]:
        """Tasks that changed at or after `since`, each with its annotations; what cannot be read is noted."""
        unread: list[str] = []
        yield from queue_writer.poll(self._client, project, since, skipped=unread)
        record_unreadable(self._store, project, "poll", unread)

    def page(self, project: str, *, above: int, size: int) -> queue_writer.Page:
        """The first tasks above an id, with their annotations."""
        return queue_writer.page(self._client, project, above=above, size=size)

    def newest(self, project: str) -> str:
        """When the last change of any task was; "" in an empty project."""
        return queue_writer.newest(self._client, project)

    def is_ours(self) -> bool:
        """Whether this is the Label Studio that we know: it knows our bot, whose token no other one takes."""
        bot = find_bot(self._store, self._client.url)
        return bot is not None and self._client.me().get("id") == bot.id

    def describe(self, project: str) -> Mapping[str, Any]:
        """The project as Label Studio holds it."""
        return self._client.project(project)

    def ask(
        self, project: str, rows: Sequence[WindowRow], control: Control, *, head: int, stop: Callable[[], bool]
    ) -> WriteResult:
        """Write the rows and make them the queue; what Label Studio calls each row is remembered.

        A row of ours is recognised later as what was shown, by its number in Label Studio.
        """
        version = rows[0].version
        wanted = [
            queue_writer.queue_row(row.task, row.place, row.answer, row.confidence, control, blind=row.blind)
            for row in rows
        ]
        written = queue_writer.write_window(self._client, project, wanted, version=version, head=head, stop=stop)
        held = written.predictions
        self._store.save_window(project, [replace(row, prediction=held.get(row.task)) for row in rows])
        return WriteResult(sum(row.task in held for row in rows), written.complete)

    def reopen(self, project: str, task: int, overlap: int) -> Task:
        """Let one more person answer a task."""
        return replace(queue_writer.reopen(self._client, task, overlap), project=project)

    def clean(
        self, project: str, *, lock_ttl_s: float, limit: int, stop: Callable[[], bool]
    ) -> delete_predictions.Cleaned:
        """Delete predictions of ours that no queue serves and nobody can still have open."""
        row = self._store.project(project)
        if row is None or not row.settings_snapshot:
            return delete_predictions.Cleaned(0, 0)
        champion, window = self._store.registry.champion(project), self._store.window(project)
        keep = {str(self._client.project(project)["model_version"]), *(one.version for one in window[:1])}
        keep |= {champion.version} if champion else set()
        trained = self._store.registry.versions(project)
        ours = frozenset(
            projects.our_versions(self._client, SettingsSnapshot.from_json(row.settings_snapshot), trained)
        )
        return delete_predictions.clean(
            self._client,
            project,
            ours=ours.__contains__,
            keep=keep,
            lock_ttl_s=lock_ttl_s,
            limit=limit,
            stop=stop,
        )

    def hide(self, project: str, task: int) -> Task:
        """Keep a task from everybody in the label stream."""
        return replace(task_visibility.hide(self._client, task), project=project)

    def handed_out(self, project: str, tasks: Sequence[int]) -> list[int]:
        """Those of these tasks that the label stream may still hand out."""
        return task_visibility.handed_out(self._client, project, tasks)
