"""Agreement of a project rests on the tasks drawn for it, everything else on all its votes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from feedback.errors import VotesError
from feedback.policy import Policy, read_policy
from feedback.project.audit_splits import Splits
from feedback.project.guidelines import record_guideline
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.agreement_report import (
    agreement_by_guideline,
    agreement_figures,
    analyse_project,
    list_suggestions,
)
from feedback.store import ProjectRow, Store, Vote
from ml_backend.label_config import LabelConfig, read_label_config
from ml_backend.records import Answer, Task

CONFIG = read_label_config(
    '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="hate"/>'
    '<Choice value="offensive"/><Choice value="none"/></Choices></View>'
)


def project_snapshot(config: LabelConfig, votes: Sequence[Vote], doubled: Iterable[int]) -> ProjectSnapshot:
    row, draws = ProjectRow("7", label_config=config.xml), Splits("key", "7", 0.1, 0.1)
    sample = frozenset(doubled)
    return ProjectSnapshot(row, Policy(), config.control(), config, draws, {}, {}, {}, sample, tuple(votes))


def snapshot(pairs: dict[int, tuple[str, str]], doubled: range) -> ProjectSnapshot:
    votes = tuple(
        Vote(task, "c", person, Answer("choices", (label,)), 10 * task + person, 0.0, None, None)
        for task, labels in pairs.items()
        for person, label in enumerate(labels)
    )
    return project_snapshot(CONFIG, votes, doubled)


def unclear(n: int) -> dict[int, tuple[str, str]]:
    kinds = ("none", "none"), ("hate", "offensive"), ("hate", "hate")
    return {task: kinds[task % 3] for task in range(n)}


UNCLEAR = unclear(60)


def test_an_unclear_task_is_reported_with_its_confused_labels_and_ten_tasks_to_open():
    body = agreement_figures(snapshot(unclear(180), range(180)))

    assert body is not None
    assert body["coefficient"]["items"] == body["percent"]["items"] == 180
    assert (body["coefficient"]["name"], body["clear"]) == ("alpha", False)
    assert "the task definition is unclear" in body["reading"]
    assert "hate ↔ offensive (100 % of all disagreement)" in body["reading"]
    assert body["confused_labels"] == {"answers": ["hate", "offensive"], "share": 1.0}
    assert len(body["open_first"]) == 10
    assert all(task % 3 == 1 for task in body["open_first"])


def test_what_sixty_items_cannot_tell_is_left_open():
    body = agreement_figures(snapshot(UNCLEAR, range(60)))

    assert body is not None
    assert body["clear"] is None
    assert "not known yet. About " in body["reading"]


@pytest.mark.parametrize("stars", [False, True])
def test_the_same_coefficient_judges_in_status_and_in_agree(stars):
    rng = np.random.default_rng(0)
    kind = (
        (lambda n: Answer("rating", n + 1)) if stars else (lambda n: Answer("labels", ((10 * n, 10 * n + 8, "PER"),)))
    )
    near = rng.integers(0, 4, 80)
    votes = [(task, person, kind(int(near[task] + rng.integers(0, 2)))) for task in range(80) for person in range(2)]
    rated = snapshot_of(votes, doubled=range(80))

    body = agreement_figures(rated)

    assert body is not None
    assert body["reading"] == analyse_project(rated).verdict
    assert body["coefficient"]["value"] == pytest.approx(analyse_project(rated).agreement["alpha"].value, abs=1e-6)
    assert (body["confused_labels"] is None) is not stars


def test_the_measure_of_the_policy_is_used():
    wanted = read_policy('[overlap]\nmeasure = "ac1"')
    body = agreement_figures(replace(snapshot(UNCLEAR, range(60)), policy=wanted))

    assert body is not None
    assert body["reading"].casefold().startswith("ac1 ")


def test_agreement_on_chosen_tasks_is_not_reported():
    hard = snapshot(UNCLEAR, range(0))

    assert agreement_figures(hard) is None
    assert agreement_figures(replace(hard, overlap_sample=frozenset({0, 3})))["percent"]["value"] == 1.0


def test_agreement_is_reported_before_and_after_a_change_of_the_guideline(store: Store):
    unclear = snapshot(UNCLEAR, range(60))
    clear = snapshot({task: ("none", "none") if task % 2 else ("hate", "hate") for task in range(60, 90)}, range(90))
    later = tuple(replace(vote, at_s=50.0) for vote in clear.votes)
    body = {"label_config": CONFIG.xml, "expert_instruction": "hate is aimed at a group"}
    assert record_guideline(store, "7", body | {"expert_instruction": ""}, now_s=0.0)
    assert not record_guideline(store, "7", body | {"expert_instruction": ""}, now_s=1.0)
    assert record_guideline(store, "7", body, now_s=20.0)

    before, since = agreement_by_guideline(store, replace(clear, votes=unclear.votes + later)).items()

    assert (before[0], since[0]) == ("before 1970-01-01", "since 1970-01-01")
    assert before[1].value < 0.6 < since[1].value == 1.0
    assert (before[1].items, since[1].items) == (60, 30)
    assert agreement_by_guideline(store, snapshot(UNCLEAR, range(0))) == {}


CONFIG_AB = read_label_config(
    '<View><Text name="t" value="$t"/>'
    '<Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/></Choices></View>'
)


def snapshot_of(votes, doubled=frozenset()):
    rows = tuple(
        Vote(task, "c", person, answer, number, 0.0, None, None) for number, (task, person, answer) in enumerate(votes)
    )
    return project_snapshot(CONFIG_AB, rows, doubled)


def choices(labels_by_task):
    return [
        (task, person, Answer("choices", (label,)))
        for task, labels in labels_by_task.items()
        for person, label in enumerate(labels)
    ]


def test_agreement_rests_on_the_drawn_tasks_and_consensus_on_all():
    hard = dict.fromkeys(range(40), "ab")
    drawn = {task: "aa" if task % 2 else "bb" for task in range(40, 80)}

    found = analyse_project(snapshot_of(choices(hard | drawn), doubled=range(40, 80)))

    assert found.agreement["percent"].value == 1.0
    assert found.agreement["percent"].items == 40
    assert "alike" in found.verdict
    assert any("40 tasks drawn for it" in note for note in found.notes)
    assert found.open_first == ()  # as on the page: people agree on each task that was drawn


def test_agreement_without_drawn_tasks_is_not_interpreted():
    found = analyse_project(snapshot_of(choices(dict.fromkeys(range(50), "ab"))))

    assert found.agreement["percent"].value == 0.0
    assert "none of these items was drawn at random" in found.verdict
    assert "unclear" not in found.verdict
    assert any("no task that was drawn" in note for note in found.notes)


def test_gold_is_named_by_task_id():
    rng = np.random.default_rng(0)
    truth = {task: "ab"[rng.integers(0, 2)] for task in range(60)}
    votes = choices({task: label * 3 for task, label in truth.items()})

    found = analyse_project(snapshot_of(votes), gold={str(task): label for task, label in truth.items()})

    assert found.consensus["auto"].accuracy == 1.0


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda task, person: Answer("rating", task % 5 + 1), "ac2"),
        (lambda task, person: Answer("number", float(task)), "icc"),
        (lambda task, person: Answer("pairwise", "left" if task % 2 else "right"), "cohen"),
        (lambda task, person: Answer("choices", ("a", "b") if task % 2 else ("a",)), "alpha"),
        (lambda task, person: Answer("labels", ((task, task + 5, "PER"),)), "alpha"),
    ],
)
def test_every_type_of_answer_has_its_figures(make, name):
    votes = [(task, person, make(task, person)) for task in range(30) for person in range(3)]

    found = analyse_project(snapshot_of(votes))

    assert found.agreement[name].value == pytest.approx(1.0)
    assert "not judged" in found.verdict
    assert found.to_json()["consensus"]["auto"]["method"]


def test_a_project_without_votes_is_reported():
    with pytest.raises(VotesError, match="project 7 has no votes on 'c' yet"):
        analyse_project(snapshot_of([]))


@pytest.mark.parametrize(
    ("answers", "cell"),
    [
        (
            [Answer("labels", ((task, task + 5, "PER"),)) for task in range(5)],
            '[{"start": 1, "end": 6, "labels": ["PER"]}]',
        ),
        ([Answer("number", float(task)) for task in range(5)], "1"),
        ([Answer("rating", task) for task in range(5)], "1"),
        ([Answer("choices", ("a", "b") if task % 2 else ("a",)) for task in range(5)], '["a", "b"]'),
        ([Answer("taxonomy", (("A", "B") if task % 2 else ("A", "C"),)) for task in range(5)], "A > B"),
    ],
)
def test_gold_is_compared_for_every_type_of_answer(answers, cell):
    votes = [(task, person, answer) for task, answer in enumerate(answers) for person in range(3)]

    assert analyse_project(snapshot_of(votes), gold={"1": cell}).consensus["auto"].accuracy == 1.0
    with pytest.raises(VotesError, match="gold of 1"):
        analyse_project(snapshot_of(votes), gold={"1": "[{"})


def test_what_calibration_leaves_out_is_noted():
    votes = [(task, person, Answer("labels", ((task, task + 5, "PER"),))) for task in range(5) for person in range(3)]
    cell = '[{"start": 1, "end": 6, "labels": ["PER"]}]'

    assert any(
        "--calibrate-gold" in note
        for note in analyse_project(snapshot_of(votes), gold={"1": cell}, calibrate_gold=1).notes
    )


def test_without_a_file_the_gold_book_judges():
    votes = choices(dict.fromkeys(range(20), "aab"))
    known = {task: Answer("choices", ("a" if task < 15 else "b",)) for task in range(20)}

    found = analyse_project(replace(snapshot_of(votes), book=known))

    assert found.consensus["majority"].accuracy == 0.75


def test_what_people_and_model_doubt_is_suggested_until_somebody_changes_it(store: Store):
    label_issues = [
        {"task": task, "label": label, "suggested": "b", "probability": 0.97}
        for task, label in ((1, "a"), (2, "b"), (3, "a"))
    ]
    store.records.create_record("7", "training", {"label_issues": label_issues}, key="m1")

    found = list_suggestions(store, snapshot_of(choices({1: "a", 2: "a"})))

    assert [row["task"] for row in found] == [1]


def test_agreement_is_reported_by_label_by_pair_by_month_and_by_segment():
    """Person 2 differs on label b, in May, in the north."""
    rows, day = [], 86_400.0
    for task in range(120):
        label, month = "ab"[task % 2], 4 + task // 60
        for person in range(3):
            given = "a" if person == 2 and month == 5 and label == "b" else label
            at_s = (31 + 28 + 31 + (30 if month == 5 else 0)) * day + task * 60.0
            rows.append(Vote(task, "c", person, Answer("choices", (given,)), 10 * task + person, at_s, None, None))
    tasks = {task: Task(task, {"t": str(task), "region": "north" if task >= 60 else "south"}) for task in range(120)}
    found = analyse_project(replace(snapshot_of([], range(120)), votes=tuple(rows), tasks=tasks), segment="region")

    assert list(found.by_month) == ["1970-04", "1970-05"]
    assert found.by_month["1970-04"].value == 1.0 > found.by_month["1970-05"].high
    assert found.by_segment["south"].value == 1.0 > found.by_segment["north"].high
    assert set(found.by_label) == {"a", "b"}
    assert sorted(found.pairs[0]["workers"] + found.pairs[1]["workers"]) == [0, 1, 2, 2]
    assert found.pairs[-1]["kappa"] == 1.0 > found.pairs[0]["high"]
    assert all(pair["low"] <= pair["kappa"] <= pair["high"] for pair in found.pairs)
    assert found.to_json()["by_segment"]["north"]["items"] == 60


def test_a_segment_that_no_task_has_is_refused_with_the_fields_that_they_have():
    tasks = {task: Task(task, {"text": "x", "order": {"region": "north"}}) for task in range(60)}
    given = replace(snapshot(UNCLEAR, range(60)), tasks=tasks)

    with pytest.raises(VotesError, match="no task of project 7 has the field 'nofield'") as refused:
        analyse_project(given, segment="nofield")

    assert refused.value.hint == "Its tasks have the fields order, text."
    assert set(analyse_project(given, segment="order.region").by_segment) == {"north"}


def test_gold_of_labels_that_were_renamed_since_compares_nobody_with_it():
    given = replace(
        snapshot(UNCLEAR, range(60)),
        tasks={task: Task(task, {}) for task in range(60)},
        book={task: Answer("choices", ("old name",)) for task in range(20)},
    )

    found = analyse_project(given)

    assert found.consensus["auto"].accuracy is None
    assert any(
        note.startswith("no gold answer is a label that anybody gave: gold has 'old name'") for note in found.notes
    )
