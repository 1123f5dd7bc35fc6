"""Answers that people typed into the cells of a file are checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from feedback.errors import FeedbackError, VotesError
from feedback.recipes.recipe import load_recipe
from feedback.recipes.recipe_tasks import load_tasks
from feedback.reports.votes_file import analyse_votes_file, parse_answers, parse_cell, read_gold, read_votes
from ml_backend.label_config import Control
from ml_backend.records import Answer
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
    load_tasks(load_recipe("spam"), path.parent, data=str(path), shown="worker", label="gold")


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("textarea", "It was Alice", ("It was Alice",)),
        ("datetime", "2024-01-02", "2024-01-02"),
        ("ranker", '["b", "a"]', (("_", ("b", "a")),)),
        ("ranker", '{"ranker": {"good": ["b"], "bad": ["a"]}}', (("bad", ("a",)), ("good", ("b",)))),
        ("keypointlabels", '[{"x": 1, "y": 2, "width": 1, "keypointlabels": ["A"]}]', ((1.0, 2.0, "A"),)),
        ("timelinelabels", '{"ranges": [{"start": 1, "end": 2}], "timelinelabels": ["A"]}', ((1, 2, "A"),)),
    ],
)
def test_a_cell_of_any_type_is_an_answer(kind: str, cell: str, value: Any):
    assert parse_cell(cell, kind, where="row 2") == Answer(kind, value)


def test_files_of_any_type_are_analysed(tmp_path: Path):
    rows = [f'{worker},{task},"{"late" if task % 2 else "lost"} parcel"' for worker in "abc" for task in range(8)]
    path = tmp_path / "votes.csv"
    path.write_text("\n".join(["worker,task,label", *rows[:-1], 'c,7,"something else"']))

    analysis = analyse_votes_file(read_votes(path), kind="textarea")

    assert 0.5 < analysis.headline.value < 1.0
    with pytest.raises(VotesError, match="no type called 'cuboid'") as error:
        analyse_votes_file(read_votes(path), kind="cuboid")
    assert "polygonlabels" in error.value.hint
