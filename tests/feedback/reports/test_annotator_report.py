from __future__ import annotations

import random
from dataclasses import replace

import pytest

from feedback.annotators.gold import add_gold
from feedback.policy import Policy
from feedback.project.audit_splits import Splits
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.annotator_report import annotator_figures
from feedback.store import OverrideRow, ProjectRow, Store, Vote
from ml_backend.label_config import read_label_config
from ml_backend.records import Answer

CONFIG = read_label_config(
    '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="a"/>'
    '<Choice value="b"/></Choices></View>'
)
A, B = Answer("choices", ("a",)), Answer("choices", ("b",))
RIGHT = {1: 0.97, 2: 0.95, 3: 0.5}  # person -> share of right answers


def votes(n: int, seed: int = 4) -> list[Vote]:
    rng = random.Random(seed)
    found = []
    for task in range(n):
        truth, other = (A, B) if task % 2 else (B, A)
        for person, right in RIGHT.items():
            answer = truth if rng.random() < right else other
            found.append(Vote(task, "c", person, answer, 10 * task + person, 60.0 * task, 20.0 * person, None))
    return found


def snapshot(given: list[Vote], doubled: range, gold: tuple[int, ...] = ()) -> ProjectSnapshot:
    project = ProjectRow("7", label_config=CONFIG.xml)
    draws = Splits("key", "7", 0.1, 0.1)
    row = ProjectSnapshot(
        project, Policy(), CONFIG.control(), CONFIG, draws, {}, {}, {}, frozenset(doubled), tuple(given)
    )
    return ProjectSnapshot(**{name: getattr(row, name) for name in row.__dataclass_fields__} | {"gold": gold})


def test_the_careless_person_stands_first_and_should_pause(store: Store):
    first, *others = annotator_figures(store, snapshot(votes(1000), range(1000)))

    assert first["person"] == 3
    assert first["against"] == "others"
    assert first["accuracy"]["low"] < 0.5 < first["accuracy"]["high"] < 0.62
    assert "proven below 60 %" in first["advice"]
    assert all(row["accuracy"]["high"] > 0.97 and not row["advice"] for row in others)


@pytest.mark.parametrize("agree", [False, True])
def test_of_two_people_alone_nothing_is_said(store: Store, agree: bool):
    given = [vote for vote in votes(300) if vote.person < 3]
    other = {A: B, B: A}
    pair = [
        replace(vote, answer=second.answer if agree else other[second.answer]) if vote.person == 1 else vote
        for vote, second in zip(given, [given[at | 1] for at in range(len(given))], strict=True)
    ]
    found = annotator_figures(store, snapshot(pair, range(300)))

    for row in found:
        assert row["accuracy"] is row["weakest_label"] is row["by_hour"] is row["by_practice"] is None
        assert "only two people share these tasks" in row["reason"]
        assert row["advice"] == ""


def test_few_comparisons_give_wide_intervals_and_no_advice(store: Store):
    found = annotator_figures(store, snapshot(votes(150), range(12)))

    assert all(row["compared"] == 12 and row["advice"] == "" for row in found)
    assert all(row["accuracy"]["high"] - row["accuracy"]["low"] > 0.15 for row in found)


def test_chosen_tasks_judge_nobody_but_speed_is_reported(store: Store):
    found = annotator_figures(store, snapshot(votes(60), range(0)))

    assert all(row["accuracy"] is None and row["answers"] == 60 for row in found)
    assert {row["person"]: row["median_s"]["value"] for row in found} == {1: 20.0, 2: 40.0, 3: 60.0}
    assert all(55 < row["per_hour"]["value"] < 66 for row in found)
    assert all(row["per_hour"]["low"] <= row["per_hour"]["value"] <= row["per_hour"]["high"] for row in found)
    assert all(set(row["time_share"]) == {"a", "b"} for row in found)
    assert all(abs(sum(share["value"] for share in row["time_share"].values()) - 1.0) < 0.01 for row in found)
    assert all(row["by_hour"] is row["by_practice"] is None for row in found)


def test_gold_judges_where_there_is_enough_of_it(store: Store):
    known = {task: A if task % 2 else B for task in range(40)}
    add_gold(store, "7", known, {task: f"7/{task}" for task in known})
    found = annotator_figures(store, snapshot(votes(60), range(0), gold=tuple(known)))

    assert [row["against"] for row in found] == ["gold"] * 3
    assert found[0]["person"] == 3
    assert found[0]["compared"] == 40
    assert found[-1]["accuracy"]["low"] > 0.8


def test_a_person_who_follows_shown_predictions_is_reported(store: Store):
    rows = [
        OverrideRow("7", at, at, person, A, 0.6, "m", A, changed, blind, "", "default", "L1", "p", 0.0, "")
        for at, (person, blind, changed) in enumerate(
            [(1, blind, at % 10 < (5 if blind else 0)) for at in range(100) for blind in (False, True)]
            + [(2, blind, at % 10 < 3) for at in range(100) for blind in (False, True)]
        )
    ]
    store.overrides.save_overrides(rows)
    found = {row["person"]: row["anchoring"] for row in annotator_figures(store, snapshot(votes(20), range(0)))}

    assert found[1]["proven"]
    assert found[1]["value"] == 0.5
    assert not found[2]["proven"]
    assert found[3] is None


def hours(right: tuple[float, ...], n: int = 120, seed: int = 1) -> list[Vote]:
    """Person 1 works for some hours on tasks 0, 1, 2, ... and is right as often as each hour says; 2 and 3 always."""
    rng = random.Random(seed)
    found = []
    for task in range(n * len(right)):
        truth, other = (A, B) if task % 2 else (B, A)
        for person in (1, 2, 3):
            answer = truth if person > 1 or rng.random() < right[task // n] else other
            found.append(Vote(task, "c", person, answer, 10 * task + person, 3600.0 * task / n, 20.0, None))
    return found


def test_tiredness_is_reported_by_hours_and_proven_on_gold_only(store: Store):
    given = hours((0.95, 0.6, 0.5))
    by_others = annotator_figures(store, snapshot(given, range(360)))[0]
    known = {task: A if task % 2 else B for task in range(360)}
    add_gold(store, "7", known, {task: f"7/{task}" for task in known})
    tired, *fresh = annotator_figures(store, snapshot(given, range(0), gold=tuple(known)))

    assert by_others["person"] == tired["person"] == 1
    assert [round(step["value"], 1) for step in tired["by_hour"]["steps"]] == pytest.approx([0.95, 0.6, 0.5], abs=0.12)
    assert all(step["low"] < step["value"] < step["high"] for step in tired["by_hour"]["steps"])
    assert tired["by_hour"]["change"]["proven"]
    assert tired["by_hour"]["change"]["high"] < 0 > by_others["by_hour"]["change"]["high"]
    assert not by_others["by_hour"]["change"]["proven"]
    assert not any(row["by_hour"]["change"]["proven"] for row in fresh)
    assert len(tired["by_practice"]["steps"]) == 8


def test_onboarding_is_reported_for_each_person(store: Store):
    given = [vote for vote in votes(60) if vote.person != 2 or vote.task >= 3]
    known = {task: A if task % 2 else B for task in range(9)}
    add_gold(store, "7", {**known, 9: None}, {task: f"7/{task}" for task in range(10)})
    found = {
        row["person"]: row["onboarding"]
        for row in annotator_figures(store, snapshot(given, range(0), gold=tuple(range(10))))
    }

    assert (found[1]["answered"], found[1]["total"]) == (10, 10)
    assert (found[2]["answered"], found[2]["total"]) == (7, 10)
    assert found[1]["accuracy"]["low"] < found[1]["accuracy"]["value"] <= found[1]["accuracy"]["high"] <= 1.0


def test_a_calibration_set_compares_each_with_the_others(store: Store):
    add_gold(store, "7", dict.fromkeys(range(120)), {task: f"7/{task}" for task in range(120)})
    first, *others = annotator_figures(store, snapshot(votes(150), range(0), gold=tuple(range(120))))

    assert (first["person"], first["against"], first["compared"]) == (3, "others", 120)
    assert first["accuracy"]["high"] < 0.7
    assert all(row["accuracy"]["high"] > 0.97 for row in others)


def test_a_gold_answer_that_nobody_gives_counts_against_all(store: Store):
    given = [vote for vote in votes(20) if vote.answer == A]
    add_gold(store, "7", dict.fromkeys(range(20), B), {task: f"7/{task}" for task in range(20)})

    found = annotator_figures(store, snapshot(given, range(0), gold=tuple(range(20))))

    assert [row["accuracy"]["value"] for row in found] == [0.0, 0.0, 0.0]


def spans(start: int) -> Answer:
    return Answer("labels", ((start, start + 10, "PER"),))


@pytest.mark.parametrize(
    ("known", "near", "far", "tolerance"),
    [
        (spans(0), spans(1), spans(6), None),
        (spans(0), spans(4), spans(9), 0.6),
        (Answer("number", 10.0), Answer("number", 10.4), Answer("number", 11.0), 0.5),
        (Answer("rating", 4), Answer("rating", 5), Answer("rating", 2), 1.0),
        (Answer("rating", 4), Answer("rating", 4), Answer("rating", 5), None),
        (Answer("choices", ("a", "b")), Answer("choices", ("a", "b")), Answer("choices", ("a",)), None),
        (Answer("choices", ("a", "b")), Answer("choices", ("a",)), Answer("choices", ("c",)), 0.5),
        (Answer("taxonomy", (("A", "B"),)), Answer("taxonomy", (("A", "B"),)), Answer("taxonomy", (("A", "C"),)), None),
        (
            Answer("rectanglelabels", ((0.0, 0.0, 10.0, 10.0, 0.0, 1.0, "Car"),)),
            Answer("rectanglelabels", ((1.0, 0.0, 10.0, 10.0, 0.0, 1.0, "Car"),)),
            Answer("rectanglelabels", ((1.0, 0.0, 10.0, 10.0, 0.0, 1.0, "Bus"),)),
            None,
        ),
    ],
)
def test_gold_judges_every_type_of_answer(
    store: Store, known: Answer, near: Answer, far: Answer, tolerance: float | None
):
    given = [
        Vote(task, "c", person, near if person == 1 or task < 4 else far, 10 * task + person, 60.0 * task, 5.0, None)
        for task in range(40)
        for person in (1, 2)
    ]
    add_gold(
        store, "7", dict.fromkeys(range(40), known), {task: f"7/{task}" for task in range(40)}, tolerance=tolerance
    )
    careless, careful = annotator_figures(store, snapshot(given, range(0), gold=tuple(range(40))))

    assert (careless["person"], careless["accuracy"]["value"], careless["against"]) == (2, 0.1, "gold")
    assert (careful["accuracy"]["value"], careful["compared"]) == (1.0, 40)
    assert "proven below" in careless["advice"]
    assert careful["advice"] == ""


def test_numbers_and_regions_are_compared_with_the_others_by_distance(store: Store):
    given = [
        Vote(task, "c", person, spans(task + (5 if person == 3 else 0)), 10 * task + person, 60.0 * task, 5.0, None)
        for task in range(30)
        for person in (1, 2, 3)
    ]
    first, *others = annotator_figures(store, snapshot(given, range(30)))

    assert first["person"] == 3
    assert first["accuracy"] is None
    assert first["distance"]["low"] > max(row["distance"]["high"] for row in others)
    assert first["distance"]["compared"] == 30
