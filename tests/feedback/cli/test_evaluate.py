"""hitl evaluate: figures of the built-in models on a labelled file, and what it says of files that are not one."""

from __future__ import annotations

import json
import zipfile
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from feedback.cli.evaluate import evaluate
from feedback.errors import FeedbackError
from ml_backend.errors import BackendError
from tests.support import small_tasks

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(evaluate)


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def figures(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json", "-"))
    return found


def texts(n: int) -> list[str]:
    """Rows "text,label" of three kinds."""
    data, labels = small_tasks.texts(n)
    return [f"{item['text']},{label}" for item, label in zip(data, labels, strict=True)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "goods.csv"
    path.write_text("\n".join(["text,label", *texts(150)]), encoding="utf-8")
    return path


def test_the_json_has_figures_with_intervals_and_the_sizes_of_the_split(file: Path, tmp_path: Path):
    found = figures("--data", file, "--text", "text", "--label", "label")

    assert found["metrics"]["accuracy"] == found["intervals"]["accuracy"]["value"] > 0.95
    assert found["intervals"]["accuracy"]["low"] < 0.93 < found["metrics"]["macro_f1"] <= 1.0
    assert (found["n_train"], found["n_test"], found["features"]) == (120, 30, "default")
    assert len(found["seeds"]) == 3
    assert found["seconds"] > 0
    assert found["baseline_accuracy"] == pytest.approx(1 / 3, abs=1e-6)
    assert {name: row["n_test"] for name, row in found["labels"].items()} == {"delivery": 10, "login": 10, "refund": 10}


def test_the_same_seeds_give_the_same_figures_in_a_file_and_beside_it_a_table(file: Path, tmp_path: Path):
    options = ("--data", file, "--text", "text", "--label", "label", "--labels", 20, "--seeds", 2)
    shown = run(*options, "--json", tmp_path / "out.json")

    found, same = json.loads((tmp_path / "out.json").read_text()), figures(*options)
    assert found | {"seconds": 0} == same | {"seconds": 0}
    assert found["n_train"] == 20
    assert "macro-F1" in shown


def test_more_labels_than_there_are_is_said(file: Path):
    found = figures("--data", file, "--text", "text", "--label", "label", "--labels", 999, "--seeds", 1)

    assert found["n_train"] == 120
    assert "there are only 120 training rows" in found["notes"]


def test_a_file_of_test_rows_is_the_test_and_its_copies_are_told(file: Path, tmp_path: Path):
    test = tmp_path / "test.csv"
    test.write_text(f"\ufeffsep=;\r\nLabel;Text\r\n{chr(10).join(';'.join(row.split(',')[::-1]) for row in texts(8))}")

    found = figures("--data", file, "--text", "text", "--label", "label", "--test", test)

    assert (found["n_train"], found["n_test"], len(found["seeds"])) == (150, 8, 1)  # nothing is drawn, so once
    assert "8 test rows are also training rows, which flatters the model" in found["notes"]


def test_few_test_rows_may_have_as_many_labels(file: Path, tmp_path: Path):
    (tmp_path / "three.csv").write_text("\n".join(["text,label", *texts(3)]))

    assert (
        figures("--data", file, "--text", "text", "--label", "label", "--test", tmp_path / "three.csv")["n_test"] == 3
    )


def test_several_text_columns_are_one_text_and_rows_without_label_or_text_are_counted(tmp_path: Path):
    path = tmp_path / "mails.csv"
    rows = [f"mail {row},{text}" for row, text in enumerate(texts(40))]
    path.write_text("\n".join(["subject,body,kind", *rows, "lost,nothing,", ",,refund", *rows[:3]]), encoding="cp1252")

    found = figures("--data", path, "--text", "subject,body", "--label", "kind", "--seeds", 1)

    assert found["n_train"] + found["n_test"] == 43
    assert "1 row of mails.csv left out: no 'kind'" in found["notes"]
    assert "1 row of mails.csv left out: no 'subject' and no 'body'" in found["notes"]
    assert "3 rows are copies of others; copies are drawn together" in found["notes"]


def test_images_are_read_from_a_zip_and_those_that_are_missing_or_broken_are_told(tmp_path: Path):
    data, labels = small_tasks.images(60)
    with zipfile.ZipFile(tmp_path / "i.zip", "w") as made:
        for row, item in enumerate(data):
            made.writestr(f"set/{row}.png", b"broken" if row == 7 else b64decode(item["image"].partition(",")[2]))
    rows = ["file,label", *(f"{row}.png,{label}" for row, label in enumerate(labels))]
    (tmp_path / "i.csv").write_text("\n".join([*rows, "gone.png,dot"]))

    found = figures(
        "--data",
        tmp_path / "i.csv",
        "--images",
        tmp_path / "i.zip",
        "--image",
        "file",
        "--label",
        "label",
        "--seeds",
        5,
    )

    assert found["n_train"] + found["n_test"] == 60
    assert found["metrics"]["accuracy"] > 0.8
    notes = " | ".join(found["notes"])
    assert "1 row of i.csv left out: an image that i.zip does not have: 'gone.png'" in notes
    assert "'set/7.png' (open the image)" in notes


def test_without_text_and_image_the_other_columns_are_a_table(tmp_path: Path):
    cells = [(row % 7, ("none", "gold")[row % 2], row % 5 or "", ("no", "yes")[row % 2]) for row in range(90)]
    lines = ["amount;standing;items;refund", *(";".join(map(str, row)) for row in cells)]
    (tmp_path / "t.csv").write_text("\n".join(lines))

    found = figures("--data", tmp_path / "t.csv", "--label", "refund", "--seeds", 1)

    assert found["recipe"].startswith("table-choices")
    assert found["n_train"] + found["n_test"] == 90
    assert found["metrics"]["accuracy"] == 1.0
    assert "20 rows are copies of others; copies are drawn together" in found["notes"]


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("text,label\na,b\n", ("--text", "body", "--label", "label"), "no column 'body'; it has 'text', 'label'"),
        ("text,label\na,b\nc,b\n", ("--text", "text", "--label", "label"), "every row has the label 'b'"),
        ("text,label\na,\nc,\n", ("--text", "text", "--label", "label"), "2 rows of f.csv left out: no 'label'"),
        ("text,label\na,b\nc,d\ne,f\n", ("--text", "label", "--label", "text"), "3 different values in 3 rows"),
        ("text,label\na,b\n", ("--label", "label", "--image", "text"), "belong together"),
        ("text,label\na,b\nc,d\n", ("--text", "text", "--label", "label", "--features", "vision"), "features 'vision'"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(tmp_path: Path, content: str, options: tuple[str, ...], says: str):
    (tmp_path / "f.csv").write_text(content)

    with pytest.raises((FeedbackError, BackendError), match=says) as caught:
        run("--data", tmp_path / "f.csv", *options)
    assert caught.value.hint


def test_without_text_and_image_all_other_columns_are_a_table(tmp_path: Path):
    rows = [f"{at},{at % 90},{'x' if at % 3 else 'y'},{'old' if at % 90 > 44 else 'young'}" for at in range(240)]
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("\n".join(["customer_id,age,plan,kind", *rows[:180]]), encoding="utf-8")
    test.write_text("\n".join(["customer_id,age,plan,kind", *[f"{row}." for row in rows[180:]]]), encoding="utf-8")

    found = figures("--data", train, "--test", test, "--label", "kind")

    assert (found["recipe"], found["n_train"], found["n_test"]) == ("table-choices/1", 180, 60)
    assert found["metrics"]["auc"] > 0.98
    assert "columns that the model does not read: 'customer_id' (an identifier, by its name)" in found["notes"]
    assert "the test label 'old.' is read as 'old'" in found["notes"]
