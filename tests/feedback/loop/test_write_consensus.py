from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from feedback.loop.write_consensus import write_consensus
from feedback.policy import read_policy
from feedback.project.audit_splits import Splits
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.final_answers import FinalAnswers
from feedback.store import CaseRow, ProjectRow, Store, Vote
from feedback.training.consensus_labels import ConsensusCache
from ml_backend.label_config import read_label_config
from ml_backend.records import Answer, Task
from tests.support.fake_platform import TEXT_CONFIG, FakeLabelStudio
from tests.support.turn_context import context_of, services_of

CONFIG = read_label_config(TEXT_CONFIG)
LABELS_BY_TASK = {1: ("fruit", "fruit"), 2: ("tool", "tool"), 3: ("fruit", "tool"), 4: ("fruit",), 5: ("tool", "tool")}


@pytest.fixture
def site() -> FakeLabelStudio:
    made = FakeLabelStudio()
    made.add(*(f"text {number}" for number in range(5)))
    return made


def snapshot(*, on: str = "true", labels_by_task: dict[int, tuple[str, ...]] = LABELS_BY_TASK) -> ProjectSnapshot:
    tasks = {number: Task(number, {"text": f"{number}"}, "7") for number in LABELS_BY_TASK}
    votes = tuple(
        Vote(task, "kind", person, Answer("choices", (label,)), 10 * task + person, 0.0, None, None)
        for task, labels in labels_by_task.items()
        for person, label in enumerate(labels)
    )
    roles = dict.fromkeys(tasks, "train") | {5: "gold"}
    policy = read_policy(f"[consensus]\nwrite_back = {on}\n[overlap]\nmax_votes = 2")
    draws = Splits("key", "7", 0.0)
    return ProjectSnapshot(
        ProjectRow("7", connected=True), policy, CONFIG.control(), CONFIG, draws, tasks, {}, roles, frozenset(), votes
    )


def run(
    store: Store, site: FakeLabelStudio, one: ProjectSnapshot, *, reviewed: Collection[int] = (), **labels: object
) -> int:
    """Write in a new process; return how many answers were recorded."""
    store.projects.save_project(one.project)
    before = len(store.records.list_records("7", "written_back"))
    final = FinalAnswers({task: CaseRow("7", task, "decided", "L1") for task in reviewed})
    consensus_labels = replace(ConsensusCache().decide(one), **labels)
    write_consensus(context_of(services_of(store, site), one, consensus_labels, final_answers=final))
    return len(store.records.list_records("7", "written_back")) - before


def test_what_several_settled_is_written_once(store: Store, site: FakeLabelStudio):
    assert run(store, site, snapshot()) == 2
    assert run(store, site, snapshot()) == 0
    assert sorted(task for task, _, _ in site.finals.values()) == [1, 2]  # no tie, no single vote, no gold
    kept = store.records.list_records("7", "written_back")
    assert {one.body["task"] for one in kept} == {1, 2}


def test_nothing_is_written_unless_the_policy_asks_and_review_writes_its_own(store: Store, site: FakeLabelStudio):
    assert run(store, site, snapshot(on="false")) == 0
    assert run(store, site, snapshot(), reviewed={1}) == 1
    assert [task for task, _, _ in site.finals.values()] == [2]


def test_a_changed_consensus_is_another_answer(store: Store, site: FakeLabelStudio):
    run(store, site, snapshot())
    assert run(store, site, snapshot(labels_by_task=LABELS_BY_TASK | {1: ("tool", "tool")})) == 1
    assert sorted(task for task, _, _ in site.finals.values()) == [1, 1, 2]


def test_a_kill_between_write_and_record_writes_no_second_answer(store: Store, site: FakeLabelStudio):
    site.fails.add("write_final_answer after")
    with pytest.raises(KeyboardInterrupt):
        run(store, site, snapshot())
    site.fails.clear()

    assert run(store, site, snapshot()) == 2
    assert len(site.finals) == 2


def test_a_task_that_needs_another_vote_is_not_written_yet(store: Store, site: FakeLabelStudio):
    run(store, site, snapshot(), needs_more_votes={1: 2})

    assert [task for task, _, _ in site.finals.values()] == [2]


def test_an_answer_whose_label_was_dropped_from_the_config_is_not_written(store: Store, site: FakeLabelStudio):
    labels = {1: ("fruit", "fruit"), 2: ("stone", "stone")}

    assert run(store, site, snapshot(labels_by_task=labels)) == 1
    assert [record.body["task"] for record in store.records.list_records("7", "written_back")] == [1]
