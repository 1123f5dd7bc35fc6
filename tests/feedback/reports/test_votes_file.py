"""Answers that people typed into the cells of a file are checked."""

from __future__ import annotations

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


def _read_votes(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"gold", b"label", 1))
    read_votes(path)


def _read_gold(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"label", b"gold", 1))
    parse_answers(read_gold(path)[0], CONTROL)


def _make_demo(path: Path) -> None:
    make(data=path, text="worker", label="gold", limit=None)
