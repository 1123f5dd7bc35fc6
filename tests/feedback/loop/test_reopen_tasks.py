"""Which tasks are opened for another vote always equals a recomputation from what Label Studio has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from feedback.ingest.polling import poll_changes
from feedback.loop.reopen_tasks import OpenTasks, reopen_tasks
from feedback.policy import read_policy
from feedback.project.incremental_caches import RecentProjects
from feedback.project.snapshot import SnapshotCache
from feedback.store.log import events
from feedback.training.consensus_labels import ConsensusCache
from ml_backend.records import Task
from tests.support import stores
from tests.support.hypothesis_profiles import examples
from tests.support.routed_project import SMALL, RoutedProject
from tests.support.turn_context import context_of, services_of

PROJECT = "7"
POLICY = read_policy(SMALL.replace("[overlap]\nshare = 0.0", "[overlap]\nshare = 1.0\nmax_votes = 3"))
KINDS = ["vote", "vote", "close", "close", "close", "open", "withdraw", "add", "delete", "own", "nothing"]
STEPS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 2), st.integers(1, 4), st.sampled_from(["fruit", "tool"])),
    min_size=8,
    max_size=16,
)


class Caches:
    """One set of caches, as a worker keeps them."""

    def __init__(self) -> None:
        self.snapshots, self.consensus, self.reopened = SnapshotCache(), ConsensusCache(), RecentProjects[OpenTasks]()

    def check(self, routed_project: RoutedProject) -> None:
        """Reopen tasks, which must be those that a recomputation names; afterwards nothing is left for a new cache."""
        store, studio = routed_project.store, routed_project.studio
        poll_changes(store, studio, PROJECT, now_s=routed_project.now_s)
        snapshot = routed_project.load_snapshot(self.snapshots)
        labels, asked = self.consensus.decide(snapshot), list[int]()
        annotators = store.annotations.count_annotators(PROJECT, list(labels.needs_more_votes))
        due = {
            task
            for task, votes in labels.needs_more_votes.items()
            if snapshot.tasks[task].is_labeled or snapshot.tasks[task].overlap <= max(votes, annotators.get(task, 0))
        }

        class Platform:
            def reopen_task(self, project: str, task: int, overlap: int) -> Task:
                asked.append(task)
                return studio.reopen_task(project, task, overlap)

        for cache, wanted in ((self.reopened, due), (RecentProjects[OpenTasks](), set())):
            asked.clear()
            if cache is not self.reopened:
                snapshot = routed_project.load_snapshot(self.snapshots)
            services = replace(services_of(store, Platform(), clock=lambda: routed_project.now_s), reopened=cache)
            reopen_tasks(context_of(services, snapshot, labels))
            assert set(asked) == wanted


def act(routed_project: RoutedProject, kind: str, place: int, person: int, label: str) -> None:
    studio, tasks = routed_project.studio, sorted(routed_project.studio.tasks)
    task = studio.tasks[tasks[place % len(tasks)]]
    given_now = [row.id for row in studio.annotations.values() if row.task == task.id]
    if kind == "vote":
        studio.answer(task.id, label, person=person)
    elif kind == "withdraw" and given_now:
        del studio.annotations[given_now[0]]
        routed_project.store.append(events.deletions(PROJECT, "annotation", given_now[:1]), want=None)
    elif kind in ("close", "open"):
        closed = replace(task, is_labeled=kind == "close", overlap=1 + place, updated_at=studio._tick())
        studio.tasks[task.id] = closed
    elif kind == "add":
        routed_project.add(f"new {studio.seconds()}")
    elif kind == "delete" and len(tasks) > 2:
        del studio.tasks[task.id]
        routed_project.store.append(events.deletions(PROJECT, "task", [task.id]), want=None)
    elif kind == "own" and given_now:
        routed_project.store.annotations.create_own_annotations(PROJECT, annotations=given_now[:1])


@settings(
    max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate]
)
@given(steps=STEPS)
def test_whatever_changes_the_reopened_tasks_equal_a_recomputation(tmp_path_factory: pytest.TempPathFactory, steps):
    store = stores.fresh(tmp_path_factory.mktemp("reopen") / "hitl.db")
    try:
        routed_project, caches = RoutedProject(store, Path("models")), Caches()
        routed_project.use(POLICY)
        for number in range(2):
            routed_project.add(f"t{number}")
        caches.check(routed_project)
        for kind, place, person, label in steps:
            act(routed_project, kind, place, person, label)
            caches.check(routed_project)
    finally:
        store.close()
