"""A Label Studio in memory for the full sync: given tasks, some unreadable, and what a store must hold of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from feedback.store import Store
from ml_backend.errors import NotFound
from ml_backend.labelstudio.changed_tasks import TaskPage
from ml_backend.records import Annotation, Task
from tests.support.fake_platform import FakeLabelStudio


class FakePages(FakeLabelStudio):
    """One project with these tasks and annotations; `before_page` is called before each page is read."""

    def __init__(self, tasks: list[Task], annotations: list[Annotation], project: str = "1") -> None:
        super().__init__(
            project=project, tasks={task.id: task for task in tasks}, annotations={one.id: one for one in annotations}
        )
        self.unreadable: set[int] = set()
        self.deleted = False
        self.ours = True
        self.asked = 0
        self.before_page: Callable[[], object] = lambda: None

    def get_tasks_page(self, project: str, *, above: int, size: int) -> TaskPage:
        self.asked += 1
        self.before_page()
        page = super().get_tasks_page(project, above=above, size=size)
        return replace(page, tasks=tuple(row for row in page.tasks if row[0].id not in self.unreadable))

    def describe_project(self, project: str) -> dict[str, Any]:
        if self.deleted:
            raise NotFound("No Project matches the given query.", status=404)
        return {"title": "renamed", "label_config": "<View/>"}

    def is_known_instance(self) -> bool:
        return self.ours


def known(store: Store, project: str = "1") -> tuple[list[int], list[tuple[int, str]]]:
    annotations = [(one.id, one.updated_at) for one in store.annotations.list_annotations(project)]
    return [one.id for one in store.tasks.list_tasks(project)], annotations


def truth(pages: FakePages) -> tuple[list[int], list[tuple[int, str]]]:
    living = [one for one in pages.annotations.values() if one.task in pages.tasks]
    return sorted(pages.tasks), sorted((one.id, one.updated_at) for one in living)
