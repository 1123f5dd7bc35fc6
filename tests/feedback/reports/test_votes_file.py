"""Answers that people typed into the cells of a file are checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from feedback.errors import FeedbackError, VotesError
from feedback.recipes.spam import make
from feedback.reports.votes_file import parse_answers, read_gold, read_votes
from ml_backend.label_config import Control
from tests.support.hostile import VALUES

CONTROL = Control("kind", "text", "choices", ("fruit", "tool"), False, "text", "text")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"x1": "fruit"}, "not a task id"),
        ({"1" * 5_000: "fruit"}, "not a task id"),
        ({"1": "stone"}, "has fruit, tool"),
        ({"1": "fruit", "1.0": "tool"}, "task 1 has two gold answers"),
    ],
)
def test_answers_of_a_file_are_checked(cells: dict[str, str], message: str):
    with pytest.raises(VotesError, match=message):
        parse_answers(cells, CONTROL)


ODD = (
    *(str(value)[:100_000] for value in VALUES),
    '"',
    '"a',
    "a,b",
    "a\nb",
    "[" * 100_000,
    "[null]",
    "1" * 5_000,
    "1e999",
)


@pytest.mark.parametrize("column", range(4), ids=["task", "worker", "label", "one column more"])
def test_one_odd_cell_of_a_file_never_ends_in_a_traceback(tmp_path: Path, column: int):
    path, texts = tmp_path / "votes.csv", list[str]()
    for cell in ODD:
        rows = [["1", "ada", "fruit"], ["1", "ben", "fruit"], ["2", "ada", "tool"], ["2", "ben", "tool"]]
        rows[1][column : column + 1] = [cell]
        lines = [",".join(row) for row in (["task", "worker", "gold"], *rows)]
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        for read in (_read_votes, _read_gold, _make_demo):
            try:
                read(path)
            except FeedbackError as error:
                texts.append(str(error))

    assert any(f"{path.name}, " in text for text in texts)  # the line, or the row, is named
    assert all(len(text) < 1_000 for text in texts)


def test_a_gold_answer_may_be_a_label_that_its_task_brings_along():
    control = replace(CONTROL, labels=("Other",), options="options")
    data = {1: {"options": [{"value": "Late"}]}, 2: {"options": [{"value": "Lost"}]}}

    assert parse_answers({"1": "Late", "2": "Other"}, control, data).keys() == {1, 2}
    with pytest.raises(VotesError, match="'Late' is not a label; 'kind' has Other, Lost"):
        parse_answers({"2": "Late"}, control, data)


@pytest.mark.parametrize("tasks", [("1", "1.0"), ("1.0", "1.00")])
def test_two_gold_answers_to_one_task_are_told_however_its_number_is_written(tmp_path: Path, tasks: tuple[str, str]):
    (tmp_path / "gold.csv").write_text(f"task,gold\n{tasks[0]},A\n{tasks[1]},B\n", encoding="utf-8")

    with pytest.raises(VotesError, match="task '1' has two gold answers, 'A' and 'B'"):
        read_gold(tmp_path / "gold.csv")


def _read_votes(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"gold", b"label", 1))
    read_votes(path)


def _read_gold(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"label", b"gold", 1))
    parse_answers(read_gold(path)[0], CONTROL)


def _make_demo(path: Path) -> None:
    make(data=path, text="worker", label="gold", limit=None)
