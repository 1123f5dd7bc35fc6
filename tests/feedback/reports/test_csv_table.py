"""CSV files as spreadsheets, programs and people write them are read into the same columns."""

from __future__ import annotations

import json

import pytest

from feedback.errors import VotesError
from feedback.reports.votes_file import read_gold, read_votes

ROWS = (("ann", "1", "süß"), ("bob", "1", "ham"))


def table(sign=",", header=("worker", "task", "label"), rows=ROWS, end="\n"):
    return "".join(f"{sign.join(row)}{end}" for row in (header, *rows))


def read(folder, content):
    file = folder / "votes.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_votes(file)
    return tuple(zip(found.workers, found.tasks, found.labels, strict=True)), found.notes


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: f"\ufeff\ufeff{text}".encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: text.encode("utf-32"),
    ],
    ids=["utf-8 with a mark", "two marks", "utf-16", "little-endian", "big-endian", "utf-32"],
)
@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_every_unicode_encoding_is_read_without_its_mark(tmp_path, encode, sign):
    assert read(tmp_path, encode(table(sign))) == (ROWS, ())


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_the_encoding_of_spreadsheets_is_read_with_a_note(tmp_path, encoding):
    rows, notes = read(tmp_path, table().encode(encoding))

    assert rows == ROWS
    assert notes == ("votes.csv is not UTF-8 (line 2); it is read as Windows-1252",)


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "sep=;;;", "\ufeffsep=;"])
def test_the_first_line_of_excel_names_the_sign(tmp_path, first):
    rows = [("ann", "1", "a,b"), ("bob", "1", "c,d")]

    assert read(tmp_path, f"{first}\r\n" + table(";", rows=rows, end="\r\n"))[0] == tuple(rows)


@pytest.mark.parametrize("first", ["sep=^", "sep=\t"])
def test_any_sign_that_excel_names_is_used(tmp_path, first):
    assert read(tmp_path, f"{first}\n{table(first[-1])}")[0] == ROWS


@pytest.mark.parametrize(
    "header",
    [("Worker", "TASK ", " Label"), ("\xa0worker", "task\u200b", '"label"'), ('"\ufeffAnnotator"', "Item", "Rating")],
)
def test_columns_are_found_in_any_case_and_with_odd_spaces(tmp_path, header):
    assert read(tmp_path, table(header=header))[0] == ROWS


@pytest.mark.parametrize(
    "content",
    [
        table(header=("worker", "task", "label", "", ""), rows=[(*row, "", "") for row in ROWS]),
        table(rows=[(*row, "", " ") for row in ROWS]),
        table() + ",,\n,,\n",
        table() + " ,\xa0,\n\n\n",
        "\n" + table(),
        table(header=("worker", "task", "label", "note")),
    ],
    ids=["empty columns", "empty cells", "empty rows", "blank rows", "a blank first line", "no last cell"],
)
def test_empty_columns_cells_and_lines_are_nothing(tmp_path, content):
    assert read(tmp_path, content) == (ROWS, ())


def test_a_label_with_the_sign_in_it_is_no_shorter_label(tmp_path):
    with pytest.raises(VotesError, match="row 3: 4 cells, wanted 3"):
        read(tmp_path, table().replace("1,ham", "1,ham, eggs"))


@pytest.mark.parametrize("head", ["", "sep=,\n"])
@pytest.mark.parametrize("filler", ["", '"x",2,y\n,,\n\n'])
def test_the_row_of_a_wrong_cell_is_counted_as_in_the_file(tmp_path, head, filler):
    row = 4 + bool(head) + 3 * bool(filler)

    with pytest.raises(VotesError, match=f"row {row}: no task"):
        read(tmp_path, f"{head}{table()}{filler}ann,,ham\n")


def test_gold_is_read_as_votes_are(tmp_path):
    file = tmp_path / "gold.csv"
    file.write_bytes("sep=;\r\nTask;Gold\r\n1,0;x\r\n2;cafe\u0301\xa0\r\n".encode("utf-16"))

    assert read_gold(file) == ({"1,0": "x", "2": "café"}, ())


@pytest.mark.parametrize("sign", ["[,]", "\n"])
def test_json_is_read_like_a_table(tmp_path, sign):
    rows = [{"Worker": "ann", "task": 1, "label": 1.0}, {"Worker": "bob", "task": 1.0, "label": 1, "note": None}]
    rows += [{"Worker": "ann", "task": 2, "label": True}, {"Worker": "bob", "task": 2, "label": None}]
    lines = sign.strip("[]").join(map(json.dumps, rows))

    found, notes = read(tmp_path, f"[{lines}]" if "," in sign else lines)

    assert found == (("ann", "1", "1"), ("bob", "1", "1"), ("ann", "2", "true"))
    assert notes[0] == "1 row of votes.csv has no answer"
    assert len(notes) == 2  # and 1.0 is read as 1
