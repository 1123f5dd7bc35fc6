"""A Label Studio in memory: the project of texts, its review projects, and what people do in them.

It passes the same contract as the real adapter (tests/feedback/labelling_platform/test_contract.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from feedback.labelling_platform.interface import WriteResult
from feedback.store import Store, WindowRow
from feedback.store.log import events
from ml_backend.codecs import get_codec
from ml_backend.errors import LabelStudioError, NotFound
from ml_backend.label_config import Control
from ml_backend.labelstudio.changed_tasks import TaskPage
from ml_backend.labelstudio.delete_predictions import DeletionResult
from ml_backend.labelstudio.review_project_client import ReviewProject, ReviewProjectSettings, ReviewTask
from ml_backend.records import Annotation, Answer, Task
from tests.support.review_results import review_result

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
class FakeLabelStudio:
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
    def platform(self) -> FakeLabelStudio:
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

    # what people do in the source project

    def number(self, person: int) -> int:
        """The id that somebody has."""
        return person

    def add(self, *texts: str) -> list[int]:
        return self.add_rows(*({"text": text} for text in texts))

    def add_rows(self, *rows: Mapping[str, Any]) -> list[int]:
        made = []
        for row in rows:
            number, now = next(self._numbers), self._tick()
            self.tasks[number] = Task(number, dict(row), self.project, created_at=now, updated_at=now)
            made.append(number)
        return made

    def delete_all(self) -> None:
        """As Label Studio on SQLite does it: no webhook tells of it, and the numbers begin anew."""
        for held in (self.tasks, self.annotations, *self.rows.values()):
            held.clear()
        self._numbers = count(1)

    def next_task(self, person: int) -> int | None:
        """The lowest place of the current version among open tasks that this person has not answered."""
        answered = {annotation.task for annotation in self.annotations.values() if annotation.person == person}
        places = self.rows.get(self.version, {})
        free = [task for task in self.tasks.values() if not task.is_labeled and task.id not in answered]
        free.sort(key=lambda task: (places[task.id].place if task.id in places else 10**9, task.id))
        return free[0].id if free else None

    def answer(self, task: int, label: str, *, person: int = 1) -> int:
        number, now = next(self._numbers), self._tick()
        control = Control("kind", "text", "choices", ("fruit", "tool"), False, "text", "text")
        result = get_codec("choices").encode(Answer("choices", (label,)), control, None)
        self.annotations[number] = Annotation(
            number, task, self.project, person, tuple(result), updated_at=now, created_at=now
        )
        people = {annotation.person for annotation in self._annotations_on(self.project, task)}
        done = len(people) >= self.tasks[task].overlap
        self.tasks[task] = replace(self.tasks[task], is_labeled=done, updated_at=self._tick())
        return number

    def come_with(self, task: int, label: str, *, person: int | None = 1, **more: Any) -> int:
        """Give a task an annotation that was imported with it."""
        number = self.answer(task, label, person=person or 0)
        self.annotations[number] = replace(self.annotations[number], person=person, imported=True, **more)
        return number

    def skip_source(self, task: int, *, person: int) -> None:
        """Skip a task of the source project, which goes to others."""
        number, now = next(self._numbers), self._tick()
        self.annotations[number] = Annotation(
            number, task, self.project, person, (), updated_at=now, created_at=now, was_cancelled=True
        )
        self.tasks[task] = replace(self.tasks[task], updated_at=self._tick())

    def final(self, task: int) -> str:
        """The label that stands as ground truth; "" for none."""
        results = [result for number, _annotation, result in self.finals.values() if number == task]
        return str(results[-1][0]["value"]["choices"][0]) if results else ""

    def written(self, task: int) -> int:
        """How many answers of ours a task has."""
        return sum(number == task for number, _annotation, _result in self.finals.values())

    # what people do in review projects

    def review_project_of(self, tier: str) -> str:
        """The review project of a tier."""
        return next(number for number, made in self.review_projects.items() if made.marker.endswith(f":{tier}]"))

    def waiting(self, project: str, person: int) -> list[Task]:
        """What the label stream may serve a reviewer, the most urgent first."""
        given = self.review_annotations.get(project, {}).values()
        answered = {annotation.task for annotation in given if annotation.person == person}
        tasks = self.review_tasks.get(project, {}).values()
        free = [task for task in tasks if not task.is_labeled and task.id not in answered]
        shown = self.review_projects[project].shown
        return sorted(free, key=lambda task: (shown[task.id].urgency, task.id))

    def shown(self, task: int) -> Sequence[Mapping[str, Any]]:
        """What is pre-filled for a reviewer."""
        return next(made.shown[task].result for made in self.review_projects.values() if task in made.shown)

    def review(
        self,
        project: str,
        verdict: str,
        label: str = "",
        *,
        person: int,
        reason: str = "",
        comment: str = "",
        task: int = 0,
        skip: bool = False,
    ) -> int:
        """Answer the next review task (or a given one); without a label the pre-filled answer stays. Gives the task."""
        task = task or self.waiting(project, person)[0].id
        number, now = next(self._numbers), self._tick()
        result = review_result(
            self.review_projects[project].shown[task].result, verdict, label, reason=reason, comment=comment
        )
        given = self.review_annotations.setdefault(project, {})
        given[number] = Annotation(
            number, task, project, person, () if skip else tuple(result), updated_at=now, created_at=now,
            was_cancelled=skip, lead_time_s=30.0,
        )  # fmt: skip
        held = self.review_tasks[project][task]
        people = {
            annotation.person for annotation in self._annotations_on(project, task) if not annotation.was_cancelled
        }
        done = len(people) >= held.overlap
        self.review_tasks[project][task] = replace(held, is_labeled=done, updated_at=self._tick())
        return task

    def change(self, project: str, task: int, *, person: int, verdict: str, label: str = "", reason: str = "") -> None:
        """Change an answer that one has given."""
        given = self.review_annotations[project]
        (number,) = [number for number, one in given.items() if (one.task, one.person) == (task, person)]
        result = review_result([], verdict, label, reason=reason)
        given[number] = replace(given[number], result=tuple(result), updated_at=self._tick())
        self.review_tasks[project][task] = replace(self.review_tasks[project][task], updated_at=self._tick())

    def draft(self, task: int, *, person: int) -> None:
        """Begin, and submit nothing."""
        self.drafts[task] = (person, self.seconds())

    def delete_review_task_by_hand(self, project: str, task: int) -> None:
        """Delete a review task as somebody may in Label Studio, which no poll shows."""
        del self.review_tasks[project][task]

    def delete_review_project(self, project: str) -> None:
        """Delete a review project with all that is in it."""
        del self.review_projects[project], self.review_tasks[project]
        self.review_annotations.pop(project, None)

    def run_full_sync(self, store: Store, project: str) -> None:
        """Compare what is stored of a review project with what is there."""
        held = self.review_tasks[project]
        store.append(
            events.deletions(
                project, "task", [row.id for row in store.tasks.list_task_rows(project) if row.id not in held]
            )
        )

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
