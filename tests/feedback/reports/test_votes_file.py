"""Answers that people typed into the cells of a file are checked."""

from __future__ import annotations

import pytest

from feedback.errors import VotesError
from feedback.reports.votes_file import parse_answers
from ml_backend.label_config import Control

CONTROL = Control("kind", "text", "choices", ("fruit", "tool"), False, "text", "text")


@pytest.mark.parametrize(
    ("cells", "message"),
    [({"x1": "fruit"}, "not a task id"), ({"1": "stone"}, "has fruit, tool")],
)
def test_answers_of_a_file_are_checked(cells: dict[str, str], message: str):
    with pytest.raises(VotesError, match=message):
        parse_answers(cells, CONTROL)
