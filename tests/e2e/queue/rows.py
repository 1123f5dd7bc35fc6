"""Rows of a window over the tasks of a project, and what became of them."""

from __future__ import annotations

from collections import Counter

from ml_backend.labelstudio.queue_writer import QueueRow, queue_row
from ml_backend.records import Answer
from tests.support.label_studio import Project, sentiment

GOOD = Answer("choices", ("good",))


def shuffled(tasks: tuple[int, ...]) -> list[int]:
    """An order that is neither that of the ids nor its reverse."""
    return [tasks[(5 * place + 3) % len(tasks)] for place in range(len(tasks))]


def rows_of(tasks: list[int]) -> list[QueueRow]:
    return [queue_row(task, place, GOOD, 0.9, sentiment()) for place, task in enumerate(tasks)]


def versions_per_task(project: Project) -> Counter[tuple[int, str]]:
    return Counter((row["task"], row["model_version"]) for row in project.admin.predictions(project=project.id))
