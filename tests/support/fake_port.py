"""What the loop asks of a Label Studio in memory: a project of texts and its review projects.

It passes the same contract as the real adapter (tests/feedback/labelling_platform/test_contract.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from feedback.labelling_platform.interface import WriteResult
from feedback.store import WindowRow
from ml_backend.errors import LabelStudioError, NotFound
from ml_backend.label_config import Control
from ml_backend.labelstudio.changed_tasks import TaskPage
from ml_backend.labelstudio.delete_predictions import DeletionResult
from ml_backend.labelstudio.review_project_client import ReviewProject, ReviewProjectSettings, ReviewTask
from ml_backend.records import Annotation, Task

TEXT_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="kind" toName="text">'
    '<Choice value="fruit"/><Choice value="tool"/></Choices></View>'
)


@dataclass
class FakeReviewProject:
    """One review project."""

    label_config: str
    marker: str
    instruction: tuple[str, bool] = ("", False)
    shown: dict[int, ReviewTask] = field(default_factory=dict)  # by task


@dataclass
class FakePort:
    """One project of texts and its review projects; `now` moves a second with each change.

    Annotations of all projects have one numbering, as in the real one.
    """

    project: str = "7"
    tasks: dict[int, Task] = field(default_factory=dict)
    annotations: dict[int, Annotation] = field(default_factory=dict)
    rows: dict[str, dict[int, WindowRow]] = field(default_factory=dict)  # version -> task -> row
    version: str = ""  # the project's model_version
    label_config: str = TEXT_CONFIG
    settings: dict[str, Any] = field(default_factory=dict)  # further fields of the project
    down: bool = False
    writes: int = 0
    stop_after: int | None = None  # rows after which a write is cut, as by a kill
    review_projects: dict[str, FakeReviewProject] = field(default_factory=dict)
    review_tasks: dict[str, dict[int, Task]] = field(default_factory=dict)  # by review project
    review_annotations: dict[str, dict[int, Annotation]] = field(default_factory=dict)  # by review project
    finals: dict[str, tuple[int, int, list[dict[str, Any]]]] = field(default_factory=dict)  # unique id -> task, number
    people: dict[int, str] = field(default_factory=dict)  # id -> e-mail
    drafts: dict[int, tuple[int, float]] = field(default_factory=dict)  # task -> who has a draft, since when
    starred: set[int] = field(default_factory=set)  # tasks on which a person has set the ground truth
    fails: set[str] = field(default_factory=set)  # requests that are not answered: "import_review_tasks after", ...
    reuse: dict[str, int] = field(default_factory=dict)  # text -> the number that its next review task gets
    webhook_projects: set[str] = field(default_factory=set)  # review projects with our webhook
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _now: datetime = field(default=datetime(2026, 1, 1, tzinfo=UTC))

    @property
    def platform(self) -> FakePort:
        """The port, under the name that it has beside a real Label Studio."""
        return self

    # the port: reading

    def describe_project(self, project: str) -> Mapping[str, Any]:
        return {"title": "fake", "label_config": self.label_config, **self.settings}

    def list_changed_tasks(
        self, project: str, since: str, *, unreadable: list[str] | None = None
    ) -> Iterable[tuple[Task, Sequence[Annotation]]]:
        self._up()
        if project != self.project and project not in self.review_projects:
            raise NotFound("no such project", status=404)
        changed = [task for task in self._tasks_of(project).values() if task.updated_at >= since]
        for task in sorted(changed, key=lambda task: (task.updated_at, task.id)):
            yield task, self._annotations_on(project, task.id)

    def get_tasks_page(self, project: str, *, above: int, size: int) -> TaskPage:
        self._up()
        tasks = self._tasks_of(project)
        numbers = sorted(number for number in tasks if number > above)[:size]
        found = tuple((tasks[number], tuple(self._annotations_on(project, number))) for number in numbers)
        shown = {task.id: frozenset(annotation.id for annotation in given) for task, given in found}
        return TaskPage(found, shown, numbers[-1] if len(numbers) == size else None)

    def get_last_change_time(self, project: str) -> str:
        return max((task.updated_at for task in self._tasks_of(project).values()), default="")

    def is_known_instance(self) -> bool:
        return True

    # the port: the queue

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
        self._up()
        version = rows[0].version
        held = self.rows.setdefault(version, {})
        for written, row in enumerate(sorted(rows, key=lambda row: row.place)):
            if written <= head and stop():  # the rest is one request
                return WriteResult(len(held), complete=False)
            if self.stop_after is not None and written >= self.stop_after:
                raise KeyboardInterrupt
            if row.task in self.tasks:
                held.setdefault(row.task, row)
                self.writes += 1
            self.version = version
        return WriteResult(sum(row.task in held for row in rows), complete=True)

    def delete_stale_predictions(
        self, project: str, *, lock_ttl_s: float, limit: int, stop: Callable[[], bool]
    ) -> DeletionResult:
        deleted = 0
        for version in [version for version in self.rows if version != self.version]:
            while self.rows[version]:
                if deleted == limit or stop():
                    return DeletionResult(deleted, 0, more=True)
                self.rows[version].popitem()
                deleted += 1
        return DeletionResult(deleted, 0)

    def reopen_task(self, project: str, task: int, overlap: int) -> Task:
        self._up()
        if project != self.project:
            self.writes += 1
        tasks = self._tasks_of(project)
        tasks[task] = replace(tasks[task], overlap=overlap, is_labeled=False, updated_at=self._tick())
        return tasks[task]

    def hide_task(self, project: str, task: int) -> Task:
        self._up()
        self.writes += 1
        # as the real one: a change of is_labeled alone does not move updated_at
        tasks = self._tasks_of(project)
        tasks[task] = replace(tasks[task], is_labeled=True)
        return tasks[task]

    def list_servable_tasks(self, project: str, tasks: Sequence[int]) -> list[int]:
        self._up()
        return [task for task in tasks if task in self.tasks and not self.tasks[task].is_labeled]

    def write_final_answer(
        self, project: str, task: int, result: Sequence[dict[str, Any]], *, unique_id: str, ours: Sequence[str]
    ) -> tuple[int, bool]:
        self._up()
        if task not in self.tasks:
            raise NotFound("no such task", status=404)
        if unique_id not in self.finals:
            self.finals[unique_id] = (task, next(self._numbers), list(result))
            self.writes += 1
        if "write_final_answer after" in self.fails:
            raise KeyboardInterrupt
        return self.finals[unique_id][1], task not in self.starred

    # the port: review projects

    @property
    def review_webhook_id(self) -> str:
        return "a webhook"

    def register_review_webhook(self, project: str) -> None:
        self._up()
        if "register_review_webhook" in self.fails:
            raise LabelStudioError("reserved network address", status=403)
        self.webhook_projects.add(project)

    def ensure_review_project(self, settings: ReviewProjectSettings, *, known: str) -> ReviewProject:
        self._up()
        found = [number for number, made in self.review_projects.items() if made.marker == settings.marker]
        number = (known if known in self.review_projects else "") or next(iter(found), str(1000 + next(self._numbers)))
        held = self.review_projects.setdefault(number, FakeReviewProject(settings.label_config, settings.marker))
        held.label_config, held.instruction = settings.label_config, settings.instruction
        if "ensure_review_project after" in self.fails:
            raise KeyboardInterrupt
        return ReviewProject(number, duplicates=tuple(other for other in found if other != number))

    def import_review_tasks(self, project: str, review_tasks: Sequence[ReviewTask]) -> list[Task]:
        self._up()
        if project not in self.review_projects:
            raise NotFound("no such project", status=404)
        made = []
        for given in review_tasks:
            if there := self._find_unanswered(project, given.data, but=made):
                made.append(there)
                continue
            number, now = self.reuse.pop(str(given.data["text"]), 0) or next(self._numbers), self._tick()
            shown = replace(given, result=(), n_reviewers=1) if "import_review_tasks half" in self.fails else given
            self.review_projects[project].shown[number] = shown
            task = Task(number, shown.data, project, overlap=shown.n_reviewers, created_at=now, updated_at=now)
            self.review_tasks.setdefault(project, {})[number] = task
            made.append(task)
        self.writes += len(made)
        if "import_review_tasks half" in self.fails:
            raise LabelStudioError("the database is locked", status=500)
        if "import_review_tasks after" in self.fails:
            raise KeyboardInterrupt  # a kill, once the request was served
        return made

    def complete_review_tasks(self, project: str, review_tasks: Mapping[int, ReviewTask]) -> int:
        self._up()
        incomplete = 0
        for task, review_task in review_tasks.items():
            held, shown = self.review_tasks[project].get(task), self.review_projects[project].shown
            if held is None or (task in shown and replace(review_task, data=shown[task].data) == shown[task]):
                continue
            shown[task] = replace(review_task, data=held.data)
            overlap = max(held.overlap, review_task.n_reviewers)
            self.review_tasks[project][task] = replace(held, overlap=overlap, updated_at=self._tick())
            incomplete += 1
        return incomplete

    def update_review_task(
        self, project: str, task: int, data: Mapping[str, Any], *, proposal: ReviewTask | None = None
    ) -> Task:
        self._up()
        if proposal is not None:
            self.review_projects[project].shown[task] = proposal
        tasks = self.review_tasks[project]
        tasks[task] = replace(tasks[task], data=data, updated_at=self._tick())
        return tasks[task]

    def delete_review_task(self, project: str, task: int, *, answered: bool = False) -> bool:
        self._up()
        self.writes += 1
        if not answered and self._annotations_on(project, task):
            return False
        self.review_tasks.get(project, {}).pop(task, None)
        return True

    def list_first_drafts(self, tasks: Sequence[int]) -> Mapping[int, tuple[int | None, float]]:
        self._up()
        return {task: self.drafts[task] for task in tasks if task in self.drafts}

    def count_drafts(self, project: str) -> int:
        self._up()
        return sum(task in self._tasks_of(project) for task in self.drafts)

    def list_emails(self) -> Mapping[int, str]:
        self._up()
        return self.people

    # time

    def seconds(self) -> float:
        """The moment of the last change."""
        return self._now.timestamp()

    def pass_time(self, seconds: float) -> None:
        """Let time go by."""
        self._now += timedelta(seconds=seconds)

    def _tick(self) -> str:
        self._now += timedelta(seconds=1)
        return self._now.isoformat().replace("+00:00", "Z")

    def _tasks_of(self, project: str) -> dict[int, Task]:
        return self.tasks if project == self.project else self.review_tasks.get(project, {})

    def _annotations_on(self, project: str, task: int) -> list[Annotation]:
        given = self.annotations if project == self.project else self.review_annotations.get(project, {})
        return [annotation for annotation in given.values() if annotation.task == task]

    def _find_unanswered(self, project: str, data: Mapping[str, Any], *, but: Sequence[Task]) -> Task | None:
        """The review task with this data that nobody has answered."""
        held = self.review_tasks.get(project, {}).values()
        free = [task for task in held if task.data == data and not self._annotations_on(project, task.id)]
        return next((task for task in free if task not in but), None)

    def _up(self) -> None:
        if self.down:
            raise LabelStudioError("Label Studio cannot be reached.")
