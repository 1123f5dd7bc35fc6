"""A Label Studio in memory, with what people do in its project and its review projects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from feedback.store import Store
from feedback.store.log import events
from ml_backend.codecs import get_codec
from ml_backend.label_config import Control
from ml_backend.records import Annotation, Answer, Task
from tests.support.fake_port import TEXT_CONFIG, FakePort
from tests.support.review_results import review_result

__all__ = ["TEXT_CONFIG", "FakeLabelStudio"]


@dataclass
class FakeLabelStudio(FakePort):
    """One project of texts and its review projects; `now` moves a second with each change."""

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
