"""A project of Label Studio that is read by pages, in memory, and what a store must know of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from feedback.store import Store
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.queue_writer import Page
from ml_backend.records import Annotation, Task


class FakePages:
    """One project of a Label Studio in memory, read by pages."""

    def __init__(self, tasks: list[Task], annotations: list[Annotation]) -> None:
        self.tasks = {one.id: one for one in tasks}
        self.annotations = {one.id: one for one in annotations}
        self.unreadable: set[int] = set()
        self.deleted = False
        self.ours = True
        self.asked = 0
        self.before_page: Callable[[], object] = lambda: None

    def page(self, project: str, *, above: int, size: int) -> Page:
        self.asked += 1
        self.before_page()
        numbers = sorted(one for one in self.tasks if one > above)[:size]
        of = {n: [one for one in self.annotations.values() if one.task == n] for n in numbers}
        found = tuple((self.tasks[n], tuple(of[n])) for n in numbers if n not in self.unreadable)
        shown = {n: frozenset(one.id for one in of[n]) for n in numbers}
        return Page(found, shown, numbers[-1] if len(numbers) == size else None)

    def describe(self, project: str) -> dict[str, Any]:
        if self.deleted:
            raise LabelStudioError("No Project matches the given query.", status=404)
        return {"title": "renamed", "label_config": "<View/>"}

    def newest(self, project: str) -> str:
        return max((one.updated_at for one in self.tasks.values()), default="")

    def is_ours(self) -> bool:
        return self.ours


def known(store: Store, project: str = "1") -> tuple[list[int], list[tuple[int, str]]]:
    annotations = [(one.id, one.updated_at) for one in store.annotations(project)]
    return [one.id for one in store.tasks(project)], annotations


def truth(pages: FakePages) -> tuple[list[int], list[tuple[int, str]]]:
    living = [one for one in pages.annotations.values() if one.task in pages.tasks]
    return sorted(pages.tasks), sorted((one.id, one.updated_at) for one in living)
