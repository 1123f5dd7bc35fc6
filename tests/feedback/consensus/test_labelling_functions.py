from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from feedback.consensus.labelling_functions import load_function, suggest_labels
from feedback.policy.crowd import LabellingFunction
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
    listed = [LabellingFunction(name=one, function=f"{__name__}:{one}") for one in names]
    return suggest_labels(listed, CONFIG.control(), {task: {"text": TASKS[task]} for task in tasks})


def test_functions_fill_in_where_they_speak_and_are_nobodys_votes():
    found = suggested("fruit", "tool")

    assert {task: answer.value for task, (answer, _) in found.items()} == {1: ("fruit",), 2: ("tool",)}
    assert all(0.5 < sure <= 1.0 for _, sure in found.values())
    assert suggested() == {}


def test_a_function_that_fails_or_is_missing_is_silent_and_told_once(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        found = suggested("fruit", "broken", "gone", "many", tasks=(1, 2, 3, 4))

    assert set(found) == {1, 4}
    assert len(caplog.records) == 2
    assert "failed on 4 of 4 tasks: KeyError" in caplog.text
    assert "'gone'" in caplog.text


def test_a_name_that_is_no_function_is_refused():
    with pytest.raises(UnknownName, match="is not installed"):
        load_function(LabellingFunction(name="x", function="feedback.votes:nothing"))
