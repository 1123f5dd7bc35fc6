"""A cache that follows a project from turn to turn holds what a worker that starts now reads and works out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.annotators.gold import add_gold, retire_gold
from feedback.errors import VotesError
from feedback.policy import Policy, read_policy
from feedback.policy.schema import Imports
from feedback.project.label_changes import record_label_change
from feedback.project.snapshot import ProjectSnapshot, SnapshotCache
from feedback.queue.open_tasks import OpenTaskCache, find_open_tasks
from feedback.queue.planner import ServedWindowCache, load_served_window
from feedback.store import CurrentDecision, Decision, IndicatorValue, ProjectRow, Store, WindowRow
from feedback.training.challenger import TrainingCache, last_training
from feedback.training.consensus_labels import ConsensusCache
from feedback.training.dataset import Dataset, DatasetCache, build, list_imported_labels
from feedback.training.imported_answers import update_imported_gold
from ml_backend.label_config import read_label_config
from ml_backend.records import Answer
from tests.support.hypothesis_profiles import examples
from tests.support.make_events import annotation_event, at, deletion_event, skip_event, task, task_events

XML = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/><Choice value="B"/>'
    '<Choice value="C"/></Choices></View>'
)
CONFIG = read_label_config(XML)
POLICY = read_policy(
    "[overlap]\nshare = 0.5\nvotes = 2\nmax_votes = 3\n[audit]\nshare = 0.3\n[tiers.L1]\n[tiers.L2]\n"
    '[[routing]]\nid = "default"\nto = "L1"\n'
    '[feedback.fraud]\noptions = ["card", "identity"]\nfeature = true\nentity = "text"\n'
)
PROJECTS = iter(range(1, 100_000))
TIMES_S = map(float, count())  # of the rows of windows
_TASK, _ANNOTATION, _PERSON = st.integers(1, 6), st.integers(1, 12), st.integers(1, 4)
_SECOND = st.integers(1, 50)


class Worker:
    """The caches of one worker, and those of one that has never run."""

    def __init__(self, store: Store, project: str) -> None:
        self.store, self.project, self.policy = store, project, POLICY
        self.snapshots, self.consensus = SnapshotCache(), ConsensusCache()
        self.datasets, self.open_tasks = DatasetCache(), OpenTaskCache()
        self.trainings, self.windows = TrainingCache(), ServedWindowCache()
        self.before: ProjectSnapshot | None = None

    def load(self, read: Callable[..., ProjectSnapshot]) -> ProjectSnapshot:
        row = self.store.projects.get_project(self.project)
        assert row is not None
        return read(self.store, row, self.policy, CONFIG, CONFIG.control())

    def check(self) -> None:
        kept, fresh = self.load(self.snapshots.load), self.load(SnapshotCache().load)
        assert kept == fresh
        assert list(kept.tasks) == list(fresh.tasks)
        assert dict(kept.votes_by_task) == dict(fresh.votes_by_task)
        assert list(kept.imports) == list(fresh.imports)
        assert kept.changes.revision
        self._check_changes(kept)
        labels, anew = self.consensus.decide(kept), ConsensusCache().decide(fresh)
        assert labels == anew
        assert list(labels.needs_more_votes) == list(anew.needs_more_votes)
        data = {number: fresh.data(number) for number in fresh.tasks}
        built = self.datasets.build(kept, labels.settled, labels.changes)
        people = {label.task for label in anew.settled}
        labels_of_all = [*anew.settled, *list_imported_labels(fresh, without=people)]
        assert built == build("c", fresh.control.labels, labels_of_all, data, fresh.roles)
        open_now = self.open_tasks.list_open_tasks(kept, labels)
        assert open_now == find_open_tasks(fresh, anew)
        assert list(open_now.by_task) == list(find_open_tasks(fresh, anew).by_task)
        self._check_training(kept, built)
        assert self.windows.load(self.store, self.project) == load_served_window(self.store, self.project)

    def _check_training(self, kept: ProjectSnapshot, built: Dataset) -> None:
        store, project = self.store, self.project
        last = self.trainings.last_training(store, kept)
        assert last == last_training(store, project, kept.tasks)
        assert self.trainings.erased_annotations(store, project) == store.events.list_erased_annotations(project)
        assert self.trainings.unseen_rows(project, built, last) == TrainingCache().unseen_rows(project, built, last)

    def _check_changes(self, now: ProjectSnapshot) -> None:
        """What differs from the time before is among the tasks that the snapshot names."""
        before, self.before = self.before, now
        changed = None if before is None else now.changes.since(before.changes.revision)
        if before is None or changed is None:
            return
        for old, new in ((before.votes_by_task, now.votes_by_task), (before.imports, now.imports)):
            assert {one for one in old.keys() | new.keys() if old.get(one) != new.get(one)} <= changed
        assert {
            one for one in before.tasks.keys() | now.tasks.keys() if before.tasks.get(one) != now.tasks.get(one)
        } <= (changed)
        known = [before.indicators, now.indicators]
        assert {one for one in known[0].keys() | known[1].keys() if known[0].get(one) != known[1].get(one)} <= changed


Step = tuple[str, int, int, int, str, int]


def _act(worker: Worker, step: Step) -> None:
    store, project = worker.store, worker.project
    what, number, annotation, person, label, second = step
    born = at(0)
    of_task = {"project": project, "created_at": born}
    given = {"task": number, "person": person, "second": second, "project": project}
    events = {
        "task": lambda: task_events(task(number, label, second=second, **of_task)),
        "labelled": lambda: task_events(task(number, label, second=second, is_labeled=True, overlap=2, **of_task)),
        # the number passes to another task
        "reborn": lambda: task_events(task(number, "new", second=second + 9, created_at=at(second), project=project)),
        "answer": lambda: [annotation_event(annotation, label, created_at=born, **given)],
        "came": lambda: [annotation_event(annotation, label, created_at=born, imported=True, **given)],
        "copied": lambda: [annotation_event(annotation, label, imported=True, parent_prediction=3, **given)],
        "skip": lambda: [skip_event(annotation, **given)],
        "named": lambda: [annotation_event(annotation, label, unique_id=f"ours-{annotation}", **given)],
        "deleted": lambda: [deletion_event(annotation, project=project)],
        "gone": lambda: [deletion_event(number, entity="task", project=project)],
    }
    if what in events:
        store.append(events[what]())
    elif what == "own":
        store.annotations.create_own_annotations(project, annotations=[annotation], unique_ids=[f"ours-{annotation}"])
    elif what == "erased":
        store.erasure.erase_data(project, person=person)
    elif what == "erased task":
        store.erasure.erase_data(project, task=number)
    elif what == "bot":
        row = store.projects.get_project(project)
        assert row is not None
        store.projects.save_project(replace(row, bots=(person,)))
    else:
        _decide(worker, step)


def _decide(worker: Worker, step: Step) -> None:
    store, project = worker.store, worker.project
    what, number, _annotation, person, label, _second = step
    if what == "gold":
        keys = worker.load(SnapshotCache().load).dedup_keys
        if number in keys:
            add_gold(store, project, {number: Answer("choices", (label,))}, keys)
    elif what == "retired":
        retire_gold(store, project, [number])
    elif what == "relabelled":
        to = "C" if person > 2 else ""
        try:
            votes = store.votes.list_votes(project)
            record_label_change(store, project, votes, CONFIG.control().labels, label="A", to=to, now_s=1.0)
        except VotesError:
            return  # nobody has given this label
    elif what == "routed":
        priority = ("normal", "high", "low")[person % 3]
        outcome = "L1" if person < 4 else "L2"
        standing = CurrentDecision("default", outcome, "hash", "", "", priority, "default", person)
        store.decisions.create_decisions(project, [Decision(number, 1.0, "content", standing, {})])
    elif what in (*_RECORDS, *_SAID):
        (_record if what in _RECORDS else _say)(worker, step)
    elif what == "rebuilt":
        store.rebuild()
    elif what == "policy":
        ask = ("none", "audit", "all")[step[5] % 3]
        imports = Imports(use=("train", "gold", "ignore")[number % 3], ask=ask)  # type: ignore[arg-type]
        worker.policy = (POLICY if person > 2 else Policy()).model_copy(update={"imports": imports})
    else:
        update_imported_gold(store, worker.load(worker.snapshots.load))
        worker.check()
        assert not update_imported_gold(store, worker.load(worker.snapshots.load))


def _say(worker: Worker, step: Step) -> None:
    """Store, count or forget what people say of the tasks with a text."""
    store, project = worker.store, worker.project
    what, number, annotation, person, label, second = step
    if what == "indicator":
        said, at_s = ("card", "identity", None)[person % 3], float(second)
        value = IndicatorValue(f"text={label}", "fraud", said, project, annotation, second, number, person, at_s, at_s)
        store.indicators.save_indicators(project, [value], {project: second}, questions="asked")
    elif what == "counted":
        store.indicators.update_counted_indicators(project, {annotation, annotation + 1})
    else:
        store.indicators.get_read_positions(project, questions="others")


def _record(worker: Worker, step: Step) -> None:
    """Record a training on all that is settled, a window of all tasks, or that Label Studio has the newest window."""
    store, project = worker.store, worker.project
    what, _number, annotation, person, _label, second = step
    snapshot = worker.load(SnapshotCache().load)
    if what == "trained":
        labels = ConsensusCache().decide(snapshot)
        rows = DatasetCache().build(snapshot, labels.settled, labels.changes).of("train")
        answers = sorted(answer for row in rows for answer in row.annotations)
        known = {"tasks": [row.task for row in rows], "annotations": answers, "rows": len(rows), "until": at(second)}
        store.records.create_record(project, "training", {"fingerprint": "f", "recipe": "r", **known})
    elif what == "window":
        version, shown = f"m+q{1 + annotation % 3}", Answer("choices", ("A",)) if person > 2 else None
        rows = [
            WindowRow(number, version, place, shown, 0.9, person == 1, number if second > 25 else None, next(TIMES_S))
            for place, number in enumerate(snapshot.tasks)
        ]
        store.windows.save_window(project, rows)
    else:
        served = load_served_window(store, project)
        if served is not None:
            body = {"version": served.version, "rows": len(served.rows)}
            store.records.create_record(project, "asked", body)


_OFTEN = ("task", "answer", "turn", "came")
_SELDOM = ("labelled", "reborn", "copied", "skip", "own", "named", "deleted", "gone", "erased")
_OTHERS = ("erased task", "bot", "gold", "retired", "relabelled", "routed", "rebuilt", "policy")
_RECORDS = ("trained", "window", "window held")
_SAID = ("indicator", "counted", "other questions")
_KINDS = st.sampled_from([*_OFTEN * 4, *_SELDOM, *_OTHERS, *_RECORDS, *_SAID, *_SAID[:2] * 2])
_STEPS = st.lists(st.tuples(_KINDS, _TASK, _ANNOTATION, _PERSON, st.sampled_from("ABC"), _SECOND), max_size=30)


@pytest.mark.slow
@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS)
def test_whatever_happens_between_turns_a_kept_state_is_that_of_a_new_worker(store: Store, steps: list[Step]) -> None:
    project = str(next(PROJECTS))
    store.projects.save_project(ProjectRow(project, "p", XML, connected=True))
    worker = Worker(store, project)
    for step in steps:
        _act(worker, step)

    worker.check()


def test_where_nothing_changed_the_snapshot_is_the_very_one_of_before(store: Store) -> None:
    project = str(next(PROJECTS))
    store.projects.save_project(ProjectRow(project, "p", XML, connected=True))
    store.append(task_events(*(task(number, project=project) for number in range(1, 20))))
    worker = Worker(store, project)
    first = worker.load(worker.snapshots.load)

    assert worker.load(worker.snapshots.load) is first
    store.append([annotation_event(1, "A", task=3, person=1, project=project)])
    second = worker.load(worker.snapshots.load)
    assert second.changes.since(first.changes.revision) == {3}


def test_an_imported_answer_that_comes_before_its_task_is_known_when_the_task_is(store: Store) -> None:
    project = str(next(PROJECTS))
    store.projects.save_project(ProjectRow(project, "p", XML, connected=True))
    worker = Worker(store, project)
    store.append([annotation_event(number, "A", task=number, imported=True, project=project) for number in (1, 2)])
    store.append(task_events(task(1, project=project)))
    assert list(worker.load(worker.snapshots.load).imports) == [1]

    store.append(task_events(task(2, project=project)))

    assert list(worker.load(worker.snapshots.load).imports) == [1, 2]


def test_indicators_are_read_again_only_for_changed_tasks_until_a_value_changes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = str(next(PROJECTS))
    store.projects.save_project(ProjectRow(project, "p", XML, connected=True))
    store.append(task_events(*(task(number, "A", project=project) for number in range(1, 4))))
    value = IndicatorValue("text=A", "fraud", "card", project, 1, 1, 3, 7, 1.0, 1.0)
    store.indicators.save_indicators(project, [value], {project: 1}, questions="asked")
    worker, read = Worker(store, project), list[object]()
    list_indicators = store.indicators.list_indicators

    def listed(project: str, *, entities: object = None) -> list[IndicatorValue]:
        read.append(entities)
        return list_indicators(project, entities=entities)

    def indicators() -> dict[int, object]:
        read.clear()
        return {number: known["fraud"] for number, known in worker.load(worker.snapshots.load).indicators.items()}

    monkeypatch.setattr(store.indicators, "list_indicators", listed)
    assert (indicators(), read) == ({1: "card", 2: "card"}, [None])
    assert (indicators(), read) == ({1: "card", 2: "card"}, [])
    store.append([annotation_event(1, "A", task=3, person=1, project=project)])
    assert (indicators(), read) == ({1: "card", 2: "card"}, [])
    store.append(task_events(task(2, "B", second=5, project=project), task(4, "A", project=project)))
    assert (indicators(), read) == ({1: "card", 4: "card"}, [{"text=A", "text=B"}])
    store.indicators.update_counted_indicators(project, {1})
    assert (indicators(), read) == ({}, [None])
