"""A real Label Studio with the words of the one in memory, so that one story can be played on both."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from feedback.ingest.full_sync import run_full_sync
from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter, ReviewWebhook
from feedback.store import Store
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.parsing import read_task
from ml_backend.labelstudio.projects import UNCERTAINTY
from ml_backend.records import Task
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.label_studio import Site, delete_project, patch_annotation
from tests.support.review_results import choice_region, review_result

NAMES = {1: "ada", 2: "ben", 3: "cleo", 4: "dan", 5: "eva", 6: "fay"}  # whom tests call by these numbers
ADDRESSES = {number: f"{name}@example.com" for number, name in NAMES.items()}


@dataclass
class RealLabelStudio:
    """One project of texts on a real Label Studio, with its review projects; `late_s` is how far our clock runs ahead.

    People act as themselves: they are handed what the label stream hands them, by their own token.
    """

    site: Site
    store: Store
    hook: ReviewWebhook | None = None
    late_s: float = 0.0
    project: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fields = {"title": "a story", "label_config": TEXT_CONFIG, "sampling": UNCERTAINTY, **self.settings}
        self.project = str(self.site.admin.create_project(**fields)["id"])
        hook = self.hook
        self.platform = LabelStudioAdapter(self.site.admin, self.store, (lambda: hook) if hook else None)

    def close(self) -> None:
        """Delete the project and its review projects."""
        for row in [row for row in self.site.admin.projects() if f"[hitl:{self.project}:" in str(row["description"])]:
            delete_project(self.site.admin, str(row["id"]))
        delete_project(self.site.admin, self.project)

    def seconds(self) -> float:
        return time.time() + self.late_s

    def pass_time(self, seconds: float) -> None:
        self.late_s += seconds

    def number(self, person: int) -> int:
        """The id that somebody has in Label Studio."""
        return self.site.person(NAMES[person])[0].id

    def client(self, person: int) -> Client:
        return self.site.person(NAMES[person])[1]

    # the source project

    def add(self, *texts: str) -> list[int]:
        return self.add_rows(*({"text": text} for text in texts))

    def add_rows(self, *rows: Mapping[str, Any]) -> list[int]:
        return self.site.admin.import_tasks(self.project, [{"data": dict(row)} for row in rows])

    def next_task(self, person: int) -> int | None:
        found = self.client(person).next_task(self.project)
        return None if found is None else int(found["id"])

    def answer(self, task: int, label: str, *, person: int = 1) -> int:
        return int(self.client(person).submit(task, [choice_region("kind", "text", label)], lead_time=4.0)["id"])

    def skip_source(self, task: int, *, person: int) -> None:
        self.client(person).submit(task, [], skip=True)

    def final(self, task: int) -> str:
        """The label that stands as ground truth; "" for none."""
        stars = [row for row in self.site.admin.annotations(task) if row["ground_truth"]]
        assert len(stars) <= 1
        return str(stars[0]["result"][0]["value"]["choices"][0]) if stars else ""

    def written(self, task: int) -> int:
        """How many answers of ours a task has."""
        mine = self.site.admin.me()["id"]
        return sum(row["completed_by"] == mine for row in self.site.admin.annotations(task))

    # review projects

    def review_project_of(self, tier: str) -> str:
        marker = f"[hitl:{self.project}:{tier}]"
        return next(str(row["id"]) for row in self.site.admin.projects() if marker in str(row["description"]))

    def waiting(self, project: str, person: int) -> list[Task]:
        """What a reviewer may be handed, the most urgent first."""
        me = self.number(person)
        found = []
        for raw in self.site.admin.each_task(project):
            mine = any(row["completed_by"] == me for row in raw["annotations"])
            if not raw["is_labeled"] and not mine:
                found.append((raw["predictions"][0]["score"], read_task(raw, project)))
        return [task for _score, task in sorted(found, key=lambda row: (row[0], row[1].id))]

    def shown(self, task: int) -> Sequence[Mapping[str, Any]]:
        """What a reviewer finds filled in."""
        rows = self.site.admin.task(task)["predictions"]
        return list(rows[0]["result"]) if rows else []

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
        """Answer what the label stream hands out, or a given copy; without a label the filled-in answer stays."""
        client = self.client(person)
        if not task:
            handed = client.next_task(project)
            assert handed is not None, f"{NAMES[person]} is served nothing in {project}"
            task = int(handed["id"])
        shown = [] if label else self.shown(task)
        result = review_result(shown, verdict, label, reason=reason, comment=comment)
        client.submit(task, result, lead_time=30.0, skip=skip)
        return task

    def change(self, project: str, task: int, *, person: int, verdict: str, label: str = "", reason: str = "") -> None:
        """Say something else where one has answered."""
        me = self.number(person)
        (mine,) = [row for row in self.site.admin.annotations(task) if row["completed_by"] == me]
        patch_annotation(self.client(person), mine["id"], result=review_result([], verdict, label, reason=reason))

    def draft(self, task: int, *, person: int) -> None:
        """Begin, and submit nothing."""
        body = {"result": [choice_region("kind", "text", "tool")], "lead_time": 3}
        self.client(person).send("POST", f"api/tasks/{task}/drafts", body=body)

    def delete_review_task_by_hand(self, project: str, task: int) -> None:
        self.site.admin.delete_task(task)

    def delete_review_project(self, project: str) -> None:
        delete_project(self.site.admin, project)

    def run_full_sync(self, store: Store, project: str) -> None:
        """Compare what is known of a review project with what is there."""
        done = run_full_sync(store, self.platform, project, clock=time.time)
        assert done.complete
