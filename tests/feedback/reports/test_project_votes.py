"""A connected project's votes: agreement on the tasks drawn for it, everything else on all."""

from dataclasses import replace

import numpy as np
import pytest

from feedback.errors import VotesError
from feedback.policy import Policy
from feedback.project.audit_splits import Splits
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.project_votes import analyse_project, list_suggestions
from feedback.store import ProjectRow, Store, Vote
from ml_backend.label_config import read_label_config
from ml_backend.records import Answer, Task

CONFIG = read_label_config(
    '<View><Text name="t" value="$t"/>'
    '<Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/></Choices></View>'
)


def snapshot(votes, doubled=frozenset()):
    rows = tuple(
        Vote(task, "c", person, answer, number, 0.0, None, None) for number, (task, person, answer) in enumerate(votes)
    )
    project = ProjectRow("7", label_config=CONFIG.xml)
    draws = Splits("key", "7", 0.1, 0.1)
    return ProjectSnapshot(project, Policy(), CONFIG.control(), CONFIG, draws, {}, {}, {}, frozenset(doubled), rows)


def choices(labels_by_task):
    return [
        (task, person, Answer("choices", (label,)))
        for task, labels in labels_by_task.items()
        for person, label in enumerate(labels)
    ]


def test_agreement_rests_on_the_drawn_tasks_and_consensus_on_all():
    hard = dict.fromkeys(range(40), "ab")
    drawn = {task: "aa" if task % 2 else "bb" for task in range(40, 80)}

    found = analyse_project(snapshot(choices(hard | drawn), doubled=range(40, 80)))

    assert found.agreement["percent"].value == 1.0
    assert found.agreement["percent"].items == 40
    assert "alike" in found.verdict
    assert any("40 tasks drawn for it" in note for note in found.notes)
    assert set(found.open_first) <= {str(task) for task in range(40)}


def test_agreement_without_drawn_tasks_is_not_interpreted():
    found = analyse_project(snapshot(choices(dict.fromkeys(range(50), "ab"))))

    assert found.agreement["percent"].value == 0.0
    assert "chosen as hard" in found.verdict
    assert "unclear" not in found.verdict
    assert any("no task that was drawn" in note for note in found.notes)


def test_gold_is_named_by_task_id():
    rng = np.random.default_rng(0)
    truth = {task: "ab"[rng.integers(0, 2)] for task in range(60)}
    votes = choices({task: label * 3 for task, label in truth.items()})

    found = analyse_project(snapshot(votes), gold={str(task): label for task, label in truth.items()})

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

    found = analyse_project(snapshot(votes))

    assert found.agreement[name].value == pytest.approx(1.0)
    assert "not judged" in found.verdict
    assert found.to_json()["consensus"]["auto"]["method"]


def test_a_project_without_votes_says_so():
    with pytest.raises(VotesError, match="project 7 has no votes on 'c' yet"):
        analyse_project(snapshot([]))


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

    assert analyse_project(snapshot(votes), gold={"1": cell}).consensus["auto"].accuracy == 1.0
    with pytest.raises(VotesError, match="gold of 1"):
        analyse_project(snapshot(votes), gold={"1": "[{"})


def test_what_calibration_passes_over_is_said():
    votes = [(task, person, Answer("labels", ((task, task + 5, "PER"),))) for task in range(5) for person in range(3)]
    cell = '[{"start": 1, "end": 6, "labels": ["PER"]}]'

    assert any(
        "--calibrate-gold" in note
        for note in analyse_project(snapshot(votes), gold={"1": cell}, calibrate_gold=1).notes
    )


def test_without_a_file_the_gold_book_judges():
    votes = choices(dict.fromkeys(range(20), "aab"))
    known = {task: Answer("choices", ("a" if task < 15 else "b",)) for task in range(20)}

    found = analyse_project(replace(snapshot(votes), book=known))

    assert found.consensus["majority"].accuracy == 0.75


def test_what_people_and_model_doubt_is_suggested_until_somebody_changes_it(store: Store):
    label_issues = [
        {"task": task, "label": label, "suggested": "b", "probability": 0.97}
        for task, label in ((1, "a"), (2, "b"), (3, "a"))
    ]
    store.records.create_record("7", "training", {"label_issues": label_issues}, key="m1")

    found = list_suggestions(store, snapshot(choices({1: "a", 2: "a"})))

    assert [row["task"] for row in found] == [1]


def test_agreement_is_told_by_label_by_pair_by_month_and_by_segment():
    """Person 2 differs on label b, in May, in the north."""
    rows, day = [], 86_400.0
    for task in range(120):
        label, month = "ab"[task % 2], 4 + task // 60
        for person in range(3):
            given = "a" if person == 2 and month == 5 and label == "b" else label
            at_s = (31 + 28 + 31 + (30 if month == 5 else 0)) * day + task * 60.0
            rows.append(Vote(task, "c", person, Answer("choices", (given,)), 10 * task + person, at_s, None, None))
    tasks = {task: Task(task, {"t": str(task), "region": "north" if task >= 60 else "south"}) for task in range(120)}
    found = analyse_project(replace(snapshot([], range(120)), votes=tuple(rows), tasks=tasks), segment="region")

    assert list(found.by_month) == ["1970-04", "1970-05"]
    assert found.by_month["1970-04"].value == 1.0 > found.by_month["1970-05"].high
    assert found.by_segment["south"].value == 1.0 > found.by_segment["north"].high
    assert set(found.by_label) == {"a", "b"}
    assert sorted(found.pairs[0]["workers"] + found.pairs[1]["workers"]) == [0, 1, 2, 2]
    assert found.pairs[-1]["kappa"] == 1.0 > found.pairs[0]["high"]
    assert all(pair["low"] <= pair["kappa"] <= pair["high"] for pair in found.pairs)
    assert found.to_json()["by_segment"]["north"]["items"] == 60
