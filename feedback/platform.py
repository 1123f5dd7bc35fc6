"""What the loop asks of Label Studio, spoken by ml_backend.labelstudio; our side of it stands in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from feedback.store import Store, WindowRow
from ml_backend.label_config import Control
from ml_backend.labelstudio import queue
from ml_backend.labelstudio.client import Client
from ml_backend.records import Annotation, Task


class LabelStudio:
    """One Label Studio, as the user whose token the client has."""

    def __init__(self, client: Client, store: Store, *, head: int = 25) -> None:
        self._client = client
        self._store = store
        self._head = head

    def changed(self, project: str, since: str) -> Iterable[tuple[Task, Sequence[Annotation]]]:
        """Tasks that changed at or after `since`, each with its annotations."""
        return queue.poll(self._client, project, since)

    def describe(self, project: str) -> Mapping[str, Any]:
        """The project as Label Studio holds it."""
        return self._client.project(project)

    def ask(self, project: str, rows: Sequence[WindowRow], control: Control, *, stop: Callable[[], bool]) -> int:
        """Write the rows and make them the queue; what Label Studio calls each row is remembered.

        A row of ours is recognised later as what was shown, by its number in Label Studio.
        """
        version = rows[0].version
        wanted = [
            queue.queue_row(row.task, row.place, row.answer, row.confidence, control, blind=row.blind) for row in rows
        ]
        written = queue.write_window(self._client, project, wanted, version=version, head=self._head, stop=stop)
        named = [
            replace(row, prediction=written.predictions[row.task]) for row in rows if row.task in written.predictions
        ]
        self._store.save_window(project, named)
        return len(named)

    def reopen(self, project: str, task: int, overlap: int) -> Task:
        """Let one more person answer a task."""
        return replace(queue.reopen(self._client, task, overlap), project=project)
