from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedback.learning.roles import Draws
from feedback.learning.scene import Scene
from feedback.people.goldbook import add_gold
from feedback.policy import Policy
from feedback.reports.reliability import people_figures, report_people
from feedback.store import OverrideRow, ProjectRow, Store, Vote, open_store
from ml_backend.label_config import read_label_config
from ml_backend.records import Answer

CONFIG = read_label_config(
    '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="a"/>'
    '<Choice value="b"/></Choices></View>'
)
A, B = Answer("choices", ("a",)), Answer("choices", ("b",))
RIGHT = {1: 0.97, 2: 0.95, 3: 0.5}  # person -> share of right answers


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(f"sqlite:///{tmp_path / 'hitl.sqlite3'}")
    yield made
    made.close()


def votes(n: int, seed: int = 4) -> list[Vote]:
    rng = random.Random(seed)
    found = []
    for task in range(n):
        truth, other = (A, B) if task % 2 else (B, A)
        for person, right in RIGHT.items():
            answer = truth if rng.random() < right else other
            found.append(Vote(task, "c", person, answer, 10 * task + person, 60.0 * task, 20.0 * person, None))
    return found


def scene(said: list[Vote], doubled: range, gold: tuple[int, ...] = ()) -> Scene:
    project = ProjectRow("7", label_config=CONFIG.xml)
    draws = Draws("key", "7", 0.1, 0.1)
    one = Scene(project, Policy(), CONFIG.control(), CONFIG, draws, {}, {}, {}, frozenset(doubled), tuple(said))
    return Scene(**{name: getattr(one, name) for name in one.__dataclass_fields__} | {"gold": gold})


def test_the_careless_person_stands_first_and_should_pause(store: Store):
    first, *others = people_figures(store, scene(votes(150), range(150)))

    assert first["person"] == 3
    assert first["against"] == "others"
    assert first["accuracy"]["low"] < 0.5 < first["accuracy"]["high"] < 0.62
    assert "surely below 0.6" in first["advice"]
    assert all(one["accuracy"]["low"] > 0.85 and not one["advice"] for one in others)


def test_few_comparisons_give_wide_intervals_and_no_advice(store: Store):
    found = people_figures(store, scene(votes(150), range(12)))

    assert all(one["compared"] == 12 and one["advice"] == "" for one in found)
    assert all(one["accuracy"]["high"] - one["accuracy"]["low"] > 0.15 for one in found)


def test_chosen_tasks_judge_nobody_but_pace_is_told(store: Store):
    found = people_figures(store, scene(votes(60), range(0)))

    assert all(one["accuracy"] is None and one["answers"] == 60 for one in found)
    assert {one["person"]: one["median_s"] for one in found} == {1: 20.0, 2: 40.0, 3: 60.0}
    assert all(55 < one["per_hour"] < 66 for one in found)
    assert all(set(one["time_share"]) == {"a", "b"} for one in found)
    assert all(abs(sum(one["time_share"].values()) - 1.0) < 0.01 for one in found)


def test_gold_judges_where_there_is_enough_of_it(store: Store):
    known = {task: A if task % 2 else B for task in range(40)}
    add_gold(store, "7", known, {task: f"7/{task}" for task in known})
    found = people_figures(store, scene(votes(60), range(0), gold=tuple(known)))

    assert [one["against"] for one in found] == ["gold"] * 3
    assert found[0]["person"] == 3
    assert found[0]["compared"] == 40
    assert found[-1]["accuracy"]["low"] > 0.8


def test_who_follows_what_is_shown_is_told(store: Store):
    rows = [
        OverrideRow("7", at, at, person, A, 0.6, "m", A, changed, blind, "", "default", "L1", "p", 0.0, "")
        for at, (person, blind, changed) in enumerate(
            [(1, blind, at % 10 < (5 if blind else 0)) for at in range(100) for blind in (False, True)]
            + [(2, blind, at % 10 < 3) for at in range(100) for blind in (False, True)]
        )
    ]
    store.save_overrides(rows)
    found = {one["person"]: one["pull"] for one in people_figures(store, scene(votes(20), range(0)))}

    assert found[1]["proven"]
    assert found[1]["value"] == 0.5
    assert not found[2]["proven"]
    assert found[3] is None


def test_figures_are_recorded_when_they_change(store: Store):
    for said in (votes(50), votes(50), votes(60)):
        report_people(store, scene(said, range(50)), now_s=1.0)
    kept = store.records("7", "people")

    assert [one.body["votes"] for one in kept] == [180, 150]
    assert json.loads(json.dumps(kept[0].body))["people"][0]["person"] == 3
