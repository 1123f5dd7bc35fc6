"""Tasks are decided again when something changed, as a new process would decide; every decision can be replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from feedback.errors import StoreError
from feedback.ingest.polling import poll_changes
from feedback.ingest.signals import SignalHandler
from feedback.policy.schema import Tasks
from feedback.project.routing_decisions import Routes
from feedback.project.snapshot import ProjectSnapshot, SnapshotCache, load_snapshot
from feedback.routing import router
from feedback.routing.router import RoutingCache, explain_decision
from feedback.store.log import events
from feedback.training.consensus_labels import ConsensusCache, ConsensusLabels
from feedback.training.model_cache import Committee, PredictionCache
from tests.support import stores
from tests.support.hypothesis_profiles import examples
from tests.support.routed_project import TIERS, RoutedProject, rules

PROJECT = "7"
SIGNALS = "[signals]\nrisk = { kind = 'number' }\nalert = { kind = 'number' }\n"
OF_TASKS = rules(
    "when = { history.skips.gte = 1 }\nto = 'L2'",
    "when = { data.amount.gte = 3, signal.alert.gte = 0.5 }\nto = 'hold'",
    "when = { signal.risk.gte = 0.5 }\nto = 'L2'\npriority = 'high'",
    "when = { history.votes.gte = 1, history.support.lt = 1.0 }\nto = 'L1'\npriority = 'urgent'",
    "when = { data.amount.gte = 2 }\nto = 'L1'\noverlap = 2",
    tiers=TIERS + SIGNALS,
)
BY_CLOCK = rules(
    "when = { time.age.gte = '20s' }\nto = 'L2'", "when = { history.skips.gte = 1 }\nto = 'L2'", tiers=TIERS + SIGNALS
)
KINDS = [
    "vote",
    "vote",
    "vote",
    "skip",
    "no skip",
    "data",
    "add",
    "signal",
    "alert",
    "delete",
    "erase",
    "policy",
    "nothing",
]
STEPS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 4), st.integers(1, 3), st.sampled_from(["fruit", "tool"])),
    min_size=4,
    max_size=12,
)


class Caches:
    """One set of caches, as a worker keeps them."""

    def __init__(self) -> None:
        self.snapshots, self.consensus, self.routing = SnapshotCache(), ConsensusCache(), RoutingCache()

    def route(self, routed_project: RoutedProject, champion: Any = None) -> tuple[Routes, ConsensusLabels]:
        poll_changes(routed_project.store, routed_project.studio, PROJECT, now_s=routed_project.now_s)
        snapshot = routed_project.load_snapshot(self.snapshots)
        labels = self.consensus.decide(snapshot)
        return route(self.routing, routed_project, snapshot, labels, champion), labels


def route(
    cache: RoutingCache,
    routed_project: RoutedProject,
    snapshot: ProjectSnapshot,
    labels: ConsensusLabels,
    champion: Any = None,
) -> Routes:
    committee = Committee(routed_project.store.registry, lambda data, digest: pytest.fail("there is no model"))
    return cache.route(
        routed_project.store, snapshot, labels, champion, PredictionCache(), committee, now_s=routed_project.now_s
    )


def raise_busy(*_: object, **__: object) -> Routes:
    raise StoreError("the database is busy")


def skip(routed_project: RoutedProject, task: int, person: int) -> None:
    """Skip a task, of which a webhook brings the skip alone."""
    before = routed_project.studio.tasks[task]
    routed_project.studio.skip_source(task, person=person)
    routed_project.studio.tasks[task] = before
    newest = routed_project.studio.annotations[max(routed_project.studio.annotations)]
    routed_project.store.append([events.event_from_annotation(newest, "webhook")], want=None)


def remove(routed_project: RoutedProject, kind: str, task: int) -> None:
    if kind == "erase":
        routed_project.store.erasure.erase_data(PROJECT, task=task)
    else:
        del routed_project.studio.tasks[task]
        routed_project.store.append(events.deletions(PROJECT, "task", [task]), want=None)


def act(routed_project: RoutedProject, kind: str, place: int, person: int, label: str) -> None:
    studio, tasks = routed_project.studio, sorted(routed_project.studio.tasks)
    task = tasks[place % len(tasks)]
    if kind == "vote":
        studio.answer(task, label, person=person)
    elif kind == "skip":
        skip(routed_project, task, person)
    elif kind == "no skip" and (skips := [row.id for row in studio.annotations.values() if row.was_cancelled]):
        del studio.annotations[skips[0]]
        routed_project.store.append(events.deletions(PROJECT, "annotation", [skips[0]]), want=None)
    elif kind == "data":
        data = {"text": f"t{task}", "amount": place}
        studio.tasks[task] = replace(studio.tasks[task], data=data, updated_at=studio._tick())
    elif kind == "add":
        routed_project.add(f"new {place}", amount=place)
    elif kind == "signal":
        routed_project.signal(task, "risk", value=place / 4, key=f"k{studio.seconds()}")
    elif kind == "alert":
        routed_project.signal(None, "alert", value=place / 4, key=f"k{studio.seconds()}")
    elif kind in ("delete", "erase") and len(tasks) > 2:
        remove(routed_project, kind, task)
    elif kind == "policy":
        routed_project.use(BY_CLOCK if place % 2 else OF_TASKS)
    studio._tick()


def check(routed_project: RoutedProject, caches: Caches) -> None:
    routes, labels = caches.route(routed_project)
    made = routed_project.store.decisions.list_decisions(PROJECT)
    project = routed_project.store.projects.get_project(PROJECT)
    assert project is not None
    snapshot = load_snapshot(routed_project.store, project, project.policy)

    assert route(RoutingCache(), routed_project, snapshot, labels) == routes == snapshot.routes
    assert routed_project.store.decisions.list_decisions(PROJECT) == made  # a new process decides nothing else


@settings(
    max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate]
)
@given(steps=STEPS)
def test_whatever_changes_the_routes_equal_a_recomputation(tmp_path_factory: pytest.TempPathFactory, steps):
    store = stores.fresh(tmp_path_factory.mktemp("routing") / "hitl.db")
    try:
        routed_project, caches = RoutedProject(store, Path("models")), Caches()
        routed_project.use(OF_TASKS)
        for number in range(4):
            routed_project.add(f"t{number}", amount=number)
        check(routed_project, caches)
        for kind, place, person, label in steps:
            routed_project.now_s += 7
            act(routed_project, kind, place, person, label)
            check(routed_project, caches)
    finally:
        store.close()


def test_only_tasks_whose_inputs_changed_are_decided_again(
    routed_project: RoutedProject, monkeypatch: pytest.MonkeyPatch
):
    routed_project.use(OF_TASKS)
    tasks, caches, seen = (
        [routed_project.add(f"t{number}", amount=1) for number in range(20)],
        Caches(),
        list[list[int]](),
    )
    caches.route(routed_project)
    load = router.load_rule_inputs
    monkeypatch.setattr(
        router, "load_rule_inputs", lambda of, ids, **more: (seen.append(list(ids)), load(of, ids, **more))[1]
    )
    caches.route(routed_project)
    skip(routed_project, tasks[3], 1)
    routed_project.studio.answer(tasks[5], "fruit", person=2)
    routes, _labels = caches.route(routed_project)

    assert seen == [[tasks[3]]]  # the answer has settled the other one
    assert routes.tiers == {tasks[3]: "L2"}


class UnsureOfLowAmounts:
    """A model that is the surer the larger the amount of a task is."""

    version, classes, indicators, control = "m1", ("fruit", "tool"), (), None

    def proba(self, data: Sequence[Mapping[str, Any]], names: object = None) -> np.ndarray[Any, Any]:
        fruit = np.array([0.5 + row["amount"] / 100 for row in data])
        return np.column_stack([fruit, 1 - fruit])


def test_the_most_uncertain_share_of_the_open_tasks_moves_on_as_tasks_are_answered(
    routed_project: RoutedProject, monkeypatch: pytest.MonkeyPatch
):
    routed_project.use(rules("when = { model.uncertainty_rank.lte = 0.2 }\nto = 'L2'"))
    tasks = [routed_project.add(f"t{number}", amount=number) for number in range(10)]
    caches, model, seen = Caches(), UnsureOfLowAmounts(), list[list[int]]()
    samples = routed_project.load_snapshot(SnapshotCache()).roles

    assert set(samples.values()) <= {"train"}  # an audit task would be answered by the first tier before
    caches.route(routed_project, model)
    assert caches.route(routed_project, model)[0].tiers == dict.fromkeys(tasks[:2], "L2")

    load = router.load_rule_inputs
    monkeypatch.setattr(
        router, "load_rule_inputs", lambda of, ids, **more: (seen.append(list(ids)), load(of, ids, **more))[1]
    )
    for task in (tasks[0], *tasks[5:9]):  # of the 5 that are left open, the least sure one is a fifth
        routed_project.studio.answer(task, "fruit", person=1)
    routes, labels = caches.route(routed_project, model)

    assert {task: tier for task, tier in routes.tiers.items() if task not in {row.task for row in labels.settled}} == {
        tasks[1]: "L2"
    }
    assert seen == []  # no test of an open task has another result

    new = routed_project.add("t10", amount=10)
    routes, labels = caches.route(routed_project, model)
    routed_project.studio.answer(tasks[1], "fruit", person=1)
    routes, labels = caches.route(routed_project, model)

    assert routes.tiers[tasks[2]] == "L2"
    assert seen == [[new], [tasks[2]]]  # the new task, and the one that moved up
    assert route(RoutingCache(), routed_project, routed_project.load_snapshot(SnapshotCache()), labels, model) == routes


def test_a_task_that_gets_the_number_of_a_deleted_one_is_decided_by_its_own_inputs(routed_project: RoutedProject):
    routed_project.use(OF_TASKS)
    task, caches, studio = routed_project.add("a", amount=1), Caches(), routed_project.studio
    routed_project.signal(task, "risk", value=0.7)
    caches.route(routed_project)
    former = studio.tasks[task]
    remove(routed_project, "delete", task)
    studio.tasks[task] = replace(former, created_at=studio._tick(), updated_at=studio._tick())
    check(routed_project, caches)

    assert routed_project.outcome(task) == "L1"


def test_a_signal_about_a_settled_task_is_decided_too(routed_project: RoutedProject):
    routed_project.use(rules("when = { signal.human_review = true }\nto = 'L2'\nreason = 'they asked'"))
    task = routed_project.add("a")
    routed_project.turn()
    routed_project.studio.answer(task, "tool")
    routed_project.turn()
    routed_project.signal(task, "human_review", value=True)
    routed_project.turn()

    assert routed_project.outcome(task) == "L2"
    assert routed_project.studio.tasks[task].is_labeled


def test_a_signal_about_the_whole_project_reaches_every_task(routed_project: RoutedProject):
    routed_project.use(rules("when = { signal.policy_update = 'v2', data.topic = 'hate' }\nto = 'L2'"))
    hate, other = routed_project.add("a", topic="hate"), routed_project.add("b", topic="sport")
    routed_project.signal(None, "policy_update", value="v2")
    routed_project.turn()

    assert (routed_project.outcome(hate), routed_project.outcome(other)) == ("L2", "L1")


def test_a_turn_without_changes_records_no_decision(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    for number in range(5):
        routed_project.add(f"t{number}", amount=number * 2000)
    routed_project.turn()
    before = (len(routed_project.store.decisions.list_decisions("7")), routed_project.studio.writes)
    routed_project.now_s += 3600
    routed_project.turn()

    assert (len(routed_project.store.decisions.list_decisions("7")), routed_project.studio.writes) == before


def test_changed_data_and_a_changed_policy_are_decided_again(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    task = routed_project.add("a", amount=5)
    routed_project.turn()
    routed_project.studio.tasks[task] = replace(
        routed_project.studio.tasks[task], data={"text": "a", "amount": 6}, updated_at=routed_project.studio._tick()
    )
    routed_project.turn()
    routed_project.use(rules("when = { data.amount.gte = 6 }\nto = 'L2'"))
    routed_project.turn()
    found = routed_project.store.decisions.list_decisions("7", task=task)

    assert [row.standing.outcome for row in found] == ["L2", "L1", "L1"]
    assert len({row.standing.policy for row in found}) == 2
    assert len({row.content for row in found}) == 2


def test_every_decision_is_replayed_from_its_recorded_inputs(routed_project: RoutedProject):
    routed_project.use(
        rules(
            "when = { data.amount.gte = 5000, signal.user_report.count.gte = 1 }\nto = 'auto'\ntier = 'L2'",
            "when = { time.age.gte = '1s', data.text.matches = '^t[0-4]' }\nto = 'L1'\npriority = 'high'",
        )
    )
    tasks = [routed_project.add(f"t{number}", amount=number * 1500) for number in range(10)]
    for task in tasks[::2]:
        routed_project.signal(task, key=f"k{task}")
    routed_project.turn()
    routed_project.use(rules("when = { data.amount.lt = 0 }\nto = 'L2'"))  # the policy that decided is kept
    found = [
        explain_decision(routed_project.store, "7", row)
        for task in tasks
        for row in routed_project.store.decisions.list_decisions("7", task=task)
    ]

    assert len(found) == 10
    assert all(row.same for row in found)
    assert {row.decision.standing.rule for row in found} == {"r0", "r1", "default"}
    assert all(row.clauses[-1][0] == row.decision.standing.rule for row in found)
    refused = next(row for row in found if row.decision.standing.rule == "r0")
    assert refused.decision.standing.refused == "no certificate allows it yet"


def test_a_forged_decision_does_not_replay(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    task = routed_project.add("a", amount=9000)
    routed_project.turn()
    (made,) = routed_project.store.decisions.list_decisions("7", task=task)
    forged = replace(made, standing=replace(made.standing, rule="default", outcome="L1"))

    assert explain_decision(routed_project.store, "7", forged).same is False
    assert "r0 → L2" in explain_decision(routed_project.store, "7", forged).note


def test_a_decision_about_erased_data_cannot_be_replayed(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    task = routed_project.add("a", amount=9000)
    routed_project.turn()
    (made,) = routed_project.store.decisions.list_decisions("7", task=task)

    found = explain_decision(routed_project.store, "7", replace(made, content="0" * 64))
    assert (found.same, found.note) == (None, "the data of the task were erased")


def test_a_signal_by_order_number_that_comes_before_its_task_routes_it_once_it_is_there(routed_project: RoutedProject):
    policy = rules("when = { signal.user_report.exists = true }\nto = 'L2'")
    routed_project.use(policy.model_copy(update={"tasks": Tasks(key="order")}))
    other = routed_project.add("a", order="A-1")
    routed_project.turn()
    body = {"project": "7", "key": "A-2", "signal": "user_report", "value": "scam", "id": "k"}
    answer = SignalHandler(routed_project.store, clock=lambda: routed_project.now_s)(body)
    routed_project.turn()
    task = routed_project.add("b", order="A-2")
    routed_project.turn()

    assert answer["status"] == "parked"
    assert (routed_project.outcome(other), routed_project.outcome(task)) == ("L1", "L2")


def test_a_signal_that_finds_its_task_in_a_turn_that_fails_routes_it_in_the_next(
    routed_project: RoutedProject, monkeypatch: pytest.MonkeyPatch
):
    policy = rules("when = { signal.user_report.exists = true }\nto = 'L2'")
    routed_project.use(policy.model_copy(update={"tasks": Tasks(key="order")}))
    routed_project.add("a", order="A-1")
    body = {"project": "7", "key": "A-2", "signal": "user_report", "value": "scam", "id": "k"}
    SignalHandler(routed_project.store, clock=lambda: routed_project.now_s)(body)
    routed_project.turn()
    task = routed_project.add("b", order="A-2")
    with monkeypatch.context() as patch:
        patch.setattr(RoutingCache, "route", raise_busy)
        with pytest.raises(StoreError):
            routed_project.turn()
    routed_project.turn()

    assert routed_project.outcome(task) == "L2"


def test_rules_on_a_field_of_the_data_that_is_called_age_do_not_read_the_clock(
    routed_project: RoutedProject, monkeypatch: pytest.MonkeyPatch
):
    routed_project.use(rules("when = { data.person.age.gte = 18 }\nto = 'L2'"))
    routed_project.add("a", person={"age": 20})
    caches = Caches()
    routes, _labels = caches.route(routed_project)
    monkeypatch.setattr(router, "load_rule_inputs", lambda *_, **__: pytest.fail("nothing changed"))
    routed_project.now_s += 60

    assert caches.route(routed_project)[0] == routes
