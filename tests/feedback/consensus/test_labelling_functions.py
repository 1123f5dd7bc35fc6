from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from feedback.consensus import hierarchical_dawid_skene
from feedback.consensus.labelling_functions import combine_with_model, load_function, suggest_labels
from feedback.errors import VotesError
from feedback.policy.schema import LabellingFunction
from feedback.votes import Votes
from ml_backend.errors import UnknownName
from ml_backend.label_config import read_label_config
from ml_backend.records import Answer
from tests.support.fake_platform import TEXT_CONFIG

CONFIG = read_label_config(TEXT_CONFIG)
TASKS = {1: "red apple", 2: "old hammer", 3: "a stone", 4: "apple hammer"}


def fruit(data: Mapping[str, Any]) -> str | None:
    return "fruit" if "apple" in data["text"] else None


def tool(data: Mapping[str, Any]) -> str | None:
    return "tool" if "hammer" in data["text"] else None


def broken(data: Mapping[str, Any]) -> str | None:
    return "fruit" if data["no such field"] else "a label that is not there"


def many(data: Mapping[str, Any]) -> Any:
    return ["tool", "fruit"]  # wanted one label


def suggested(*names: str, tasks: tuple[int, ...] = (1, 2, 3)) -> Mapping[int, tuple[Answer, float]]:
    listed = [LabellingFunction(name=item, function=f"{__name__}:{item}") for item in names]
    return suggest_labels(listed, CONFIG.control(), {task: {"text": TASKS[task]} for task in tasks})


def test_functions_fill_in_where_they_speak_and_are_nobodys_votes():
    found = suggested("fruit", "tool")

    assert {task: answer.value for task, (answer, _) in found.items()} == {1: ("fruit",), 2: ("tool",)}
    assert all(0.5 < sure <= 1.0 for _, sure in found.values())
    assert suggested() == {}


def test_a_function_that_fails_or_is_missing_has_no_votes_and_is_reported_once(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        found = suggested("fruit", "broken", "gone", "many", tasks=(1, 2, 3, 4))

    assert set(found) == {1, 4}
    assert len(caplog.records) == 2
    assert "failed on 4 of 4 tasks: KeyError" in caplog.text
    assert "'gone'" in caplog.text


def test_a_name_that_is_no_function_is_refused():
    with pytest.raises(UnknownName, match="is not installed"):
        load_function(LabellingFunction(name="x", function="feedback.votes:nothing"))


def test_labelling_functions_suggest_before_anybody_has_voted():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 400)
    rows = [
        (task, function, int(label if rng.random() < right else rng.integers(0, 2)))
        for function, right in enumerate((0.9, 0.8, 0.5))
        for task, label in enumerate(truth)
        if rng.random() < 0.67  # else it abstains
    ]

    answers = hierarchical_dawid_skene(Votes(*np.transpose(rows), 400, 3, 2))

    covered = answers.labels >= 0
    assert (answers.labels == truth)[covered].mean() > 0.85


def test_a_model_is_never_counted_as_a_person():
    truth = np.random.default_rng(2).integers(0, 2, 100)
    people = Votes(np.arange(30), np.zeros(30, dtype=int), truth[:30], 100, 1, 2)
    model = np.eye(2)[truth] * 0.8 + 0.1

    answers = combine_with_model(people, model)

    assert answers.support.sum() == 30
    assert answers.method == "suggestion"
    assert (answers.labels == truth).mean() > 0.95


def test_the_model_helps_most_where_a_task_has_one_vote():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 500)
    sees = rng.random(500) < 0.75
    people = Votes(np.arange(500), rng.integers(0, 12, 500), np.where(sees, truth, 1 - truth))
    sure = rng.uniform(0.5, 1.0, 500)  # calibrated: right as often as it says
    believes = np.where(rng.random(500) < sure, truth, 1 - truth)
    model = np.where(np.eye(2)[believes] > 0, sure[:, None], 1 - sure[:, None])

    alone, together = hierarchical_dawid_skene(people), combine_with_model(people, model)

    best = np.log(model[:, 1] / model[:, 0]) + np.where(people.labels == 1, 1, -1) * np.log(0.75 / 0.25)
    assert (together.labels == truth).mean() > (alone.labels == truth).mean() + 0.03
    assert (together.labels == truth).mean() > (believes == truth).mean() + 0.03
    assert (together.labels == truth).mean() > ((best > 0) == truth).mean() - 0.02  # who knew everybody's skill


def test_people_who_agree_overrule_a_certain_model():
    people = Votes(np.repeat(np.arange(20), 3), np.tile([0, 1, 2], 20), np.repeat(np.arange(20) % 2, 3))
    model = np.eye(2)[np.arange(20) % 2]
    model[0] = [0.0, 1.0]

    assert combine_with_model(people, model).labels[0] == 0


def test_a_task_that_the_model_cannot_read_rests_on_votes_alone():
    people = Votes([0, 0, 1], [0, 1, 0], [1, 1, 0], 3, 2, 2)
    model = np.array([[np.nan, np.nan], [0.6, 0.4], [0.2, 0.8]])

    assert combine_with_model(people, model).labels.tolist() == [1, 0, 1]


def test_a_model_of_other_labels_is_refused():
    with pytest.raises(VotesError, match="one column per label"):
        combine_with_model(Votes([0], [0], [0], n_labels=2), np.full((1, 3), 1 / 3))
