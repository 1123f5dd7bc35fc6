from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from feedback.consensus.label_aggregation import Weighing
from feedback.loop.write_consensus import write_back
from feedback.policy import read_policy
from feedback.project.snapshot import Scene
from feedback.project.splits import Draws
from feedback.store import ProjectRow, Store, Vote
from feedback.training.consensus_labels import conclude
from ml_backend.label_config import read_label_config
from ml_backend.records import Answer, Task
from tests.support import stores
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.fake_rooms import FakeSite

CONFIG = read_label_config(TEXT_CONFIG)
SAID = {1: ("fruit", "fruit"), 2: ("tool", "tool"), 3: ("fruit", "tool"), 4: ("fruit",), 5: ("tool", "tool")}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = stores.fresh(tmp_path / "hitl.sqlite3")
    yield made
    made.close()


@pytest.fixture
def site() -> FakeSite:
    made = FakeSite()
    made.add(*(f"text {number}" for number in range(5)))
    return made


def scene(*, on: str = "true", said: dict[int, tuple[str, ...]] = SAID) -> Scene:
    tasks = {number: Task(number, {"text": f"{number}"}, "7") for number in SAID}
    votes = tuple(
        Vote(task, "kind", person, Answer("choices", (label,)), 10 * task + person, 0.0, None, None)
        for task, labels in said.items()
        for person, label in enumerate(labels)
    )
    roles = dict.fromkeys(tasks, "train") | {5: "gold"}
    policy = read_policy(f"[consensus]\nwrite_back = {on}\n[overlap]\nmax_votes = 2")
    draws = Draws("key", "7", 0.0)
    return Scene(ProjectRow("7"), policy, CONFIG.control(), CONFIG, draws, tasks, {}, roles, frozenset(), votes)


def run(store: Store, site: FakeSite, one: Scene, but: frozenset[int] = frozenset()) -> int:
    settlement = conclude(one, Weighing())
    return write_back(store, site, one, settlement, but=but, may_write=lambda: True).done


def test_what_several_settled_is_written_once(store: Store, site: FakeSite):
    assert run(store, site, scene()) == 2
    assert run(store, site, scene()) == 0
    assert sorted(task for task, _, _ in site.finals.values()) == [1, 2]  # no tie, no single vote, no gold
    kept = store.records("7", "written_back")
    assert {one.body["task"] for one in kept} == {1, 2}


def test_nothing_is_written_unless_the_policy_asks_and_review_writes_its_own(store: Store, site: FakeSite):
    assert run(store, site, scene(on="false")) == 0
    assert run(store, site, scene(), but=frozenset({1})) == 1
    assert [task for task, _, _ in site.finals.values()] == [2]


def test_a_changed_consensus_is_another_answer(store: Store, site: FakeSite):
    run(store, site, scene())
    assert run(store, site, scene(said=SAID | {1: ("tool", "tool")})) == 1
    assert sorted(task for task, _, _ in site.finals.values()) == [1, 1, 2]


def test_a_kill_between_write_and_record_writes_no_second_answer(store: Store, site: FakeSite):
    site.fails.add("write_final after")
    with pytest.raises(KeyboardInterrupt):
        run(store, site, scene())
    site.fails.clear()

    assert run(store, site, scene()) == 2
    assert len(site.finals) == 2


def test_a_task_that_is_asked_again_is_not_written_yet(store: Store, site: FakeSite):
    one = scene()
    settlement = replace(conclude(one, Weighing()), wanting={1: 2})
    write_back(store, site, one, settlement, may_write=lambda: True)

    assert [task for task, _, _ in site.finals.values()] == [2]
