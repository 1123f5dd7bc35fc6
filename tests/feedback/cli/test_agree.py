"""hitl agree: from files to figures, and what it says of files that are not what it wants."""

import json

import numpy as np
import pytest

from feedback.errors import VotesError
from tests.feedback.cli.agreeing import analysed, run


def crowd(n=60, people=5, right=0.8, seed=0):
    """Votes of people who are right four times in five, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    rows = ["worker,task,label"]
    for task in range(n):
        for person in range(people):
            label = truth[task] if rng.random() < right else rng.integers(0, 3)
            rows.append(f"ann{person},t{task},{'abc'[label]}")
    gold = "task,gold\n" + "\n".join(f"t{task},{'abc'[label]}" for task, label in enumerate(truth))
    return "\n".join(rows), gold


def test_the_json_holds_agreement_consensus_and_annotators(tmp_path):
    votes, gold = crowd()

    found = analysed(tmp_path, votes, gold=gold)

    assert {"alpha", "percent", "cohen", "fleiss", "ac1", "conger", "brennan_prediger"} <= set(found["agreement"])
    alpha = found["agreement"]["alpha"]
    assert alpha["low"] < alpha["value"] < alpha["high"]
    assert (alpha["items"], alpha["pairs"]) == (60, 600)
    assert {"auto", "majority", "dawid_skene", "hierarchical", "one_coin", "weighted"} == set(found["consensus"])
    assert found["consensus"]["auto"]["accuracy"] > 0.9
    assert 0 <= found["consensus"]["auto"]["ece"] < 0.3
    assert [row["worker"] for row in found["annotators"]] == [f"ann{person}" for person in range(5)]
    assert all(row["low"] < row["accuracy"] < row["high"] for row in found["annotators"])
    assert all(row["against"] == "gold" for row in found["annotators"])


def test_without_gold_accuracy_and_calibration_are_null(tmp_path):
    found = analysed(tmp_path, crowd()[0])

    assert all(row["accuracy"] is None and row["ece"] is None for row in found["consensus"].values())
    assert all(row["against"] == "others" for row in found["annotators"])


def test_calibration_is_scored_on_other_gold_and_is_repeatable(tmp_path):
    votes, gold = crowd(n=200)

    first = analysed(tmp_path, votes, "--calibrate-gold", 50, gold=gold)
    second = analysed(tmp_path, votes, "--calibrate-gold", 50, gold=gold)

    assert first == second
    assert first["consensus"]["majority"]["ece"] < analysed(tmp_path, votes, gold=gold)["consensus"]["majority"]["ece"]


def test_more_calibration_than_gold_is_refused(tmp_path):
    votes, gold = crowd()

    with pytest.raises(VotesError, match="60 gold answers belong to tasks with votes; 60 for calibration leave none"):
        analysed(tmp_path, votes, "--calibrate-gold", 60, gold=gold)


def test_the_table_is_for_people(tmp_path):
    votes, gold = crowd()
    (tmp_path / "v.csv").write_text(votes)
    (tmp_path / "g.csv").write_text(gold)

    shown = run("--votes", tmp_path / "v.csv", "--gold", tmp_path / "g.csv")

    assert "alpha" in shown
    assert "Most confused" in shown
    assert "ann3" in shown


def test_a_spreadsheet_of_windows_is_read(tmp_path):
    text = "\ufeffTask;Worker;Label;note\r\n1;ann;ham;\r\n1;bob;ham;\r\n2;ann;spam;x\r\n2;bob;ham;\r\n"

    found = analysed(tmp_path, text.encode())

    assert found["agreement"]["percent"]["value"] == 0.5


def test_utf_16_is_read(tmp_path):
    found = analysed(tmp_path, "worker,task,label\nann,1,süß\nbob,1,süß\n".encode("utf-16"))

    assert found["agreement"]["percent"]["value"] == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "votes.csv is empty"),
        (b"worker,task,label\n", "a header and no rows"),
        (b"who,task,label\na,1,x\n", "no column 'worker'; it has 'who', 'task', 'label'"),
        (b"worker,task,label\na,1,\x81\n", "line 2: not UTF-8"),
        (b"worker,task,label\na,1,\xc3\xa9\na,2,\xe9\n", "line 3: not UTF-8"),
        (b"worker,task,label\na,1\n", "row 2: 2 cells, wanted 3"),
        (b"worker,task,label\n,1,x\n", "row 2: no worker"),
        (b"worker,task,label\na,,x\n", "row 2: no task"),
        (b"worker,task,label\na,1,\nb,1,\n", "column is empty in every row"),
        (b"worker,task,label,label\na,1,x,y\n", "the column 'label' twice"),
        (b"PK\x03\x04\x00\x00", "not a text file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_what_is_wanted(tmp_path, text, message):
    with pytest.raises(VotesError, match=message) as refused:
        analysed(tmp_path, text)

    assert refused.value.hint


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(VotesError, match=r"absent\.csv cannot be read"):
        run("--votes", tmp_path / "absent.csv")


def test_a_project_and_a_file_together_are_refused(tmp_path):
    with pytest.raises(VotesError, match="either a project or --votes"):
        run("12", "--votes", tmp_path / "votes.csv")


def test_a_second_vote_of_a_worker_replaces_the_first_and_is_noted(tmp_path):
    text = "worker,task,label\nann,1,ham\nbob,1,spam\nann,1,spam\nann,2,ham\nbob,2,ham\n"

    found = analysed(tmp_path, text)

    assert found["agreement"]["percent"]["value"] == 1.0
    assert found["notes"][:-1] == ["1 vote was repeated by the same worker: the last one counts"]
    assert found["notes"][-1].startswith("2 of 2 people: only two people share these tasks")


def test_rows_without_a_label_are_missing_votes(tmp_path):
    found = analysed(tmp_path, "worker,task,label\nann,1,ham\nbob,1,\nbob,2,ham\nann,2,ham\n")

    assert found["agreement"]["percent"]["items"] == 1
    assert found["notes"][0] == "1 row of votes.csv has no answer"


def test_gold_that_contradicts_itself_is_refused(tmp_path):
    with pytest.raises(VotesError, match="task '1' has two gold answers, 'ham' and 'spam'"):
        analysed(tmp_path, "worker,task,label\nann,1,ham\nbob,1,ham\n", gold="task,gold\n1,ham\n1,spam\n")


def test_gold_for_other_tasks_is_refused_and_some_of_it_is_noted(tmp_path):
    votes = "worker,task,label\nann,1,ham\nbob,1,ham\n"

    with pytest.raises(VotesError, match="no gold answer belongs to a task with votes"):
        analysed(tmp_path, votes, gold="task,gold\n9,ham\n")
    found = analysed(tmp_path, votes, gold="task,gold\n1,eggs\n9,ham\n")
    assert found["consensus"]["majority"]["accuracy"] == 0.0
    assert found["notes"][:2] == [
        "1 gold answer is for a task without votes",
        "1 gold answer is a label that nobody gave",
    ]


def test_a_single_vote_is_analysed_without_an_error(tmp_path):
    found = analysed(tmp_path, "worker,task,label\nann,1,ham\n")

    assert found["agreement"]["alpha"]["value"] is None
    assert found["consensus"]["auto"]["method"] == "majority"


def test_ratings_are_compared_by_their_order(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(2, 10, 80)
    rows = [f"{who},{task},{truth[task] + rng.integers(-1, 2)}" for task in range(80) for who in "abc"]

    found = analysed(tmp_path, "worker,task,label\n" + "\n".join(rows), "--type", "rating")

    assert found["agreement"]["alpha"]["value"] > 0.8
    assert found["agreement"]["percent"]["value"] < 0.5
    assert found["agreement"]["icc"]["value"] > 0.8


def test_nothing_is_concluded_from_a_few_numbers_either(tmp_path):
    rows = [f"{who},t{task},{value}" for task in range(5) for who, value in (("a", task), ("b", 9 - task))]
    found = analysed(tmp_path, "worker,task,label\n" + "\n".join(rows), "--type", "number")

    assert "too few items to judge" in found["verdict"]


def test_numbers_have_a_median_and_an_error(tmp_path):
    rows = [f"{who},{task},{task + off}" for task in range(20) for who, off in (("a", 0.1), ("b", -0.1), ("c", 50))]
    gold = "task,gold\n" + "\n".join(f"{task},{task}" for task in range(20))

    found = analysed(tmp_path, "worker,task,label\n" + "\n".join(rows), "--type", "number", gold=gold)

    assert found["consensus"]["auto"]["method"] == "median"
    assert found["consensus"]["auto"]["error"] == pytest.approx(0.1)
    worst = max(found["annotators"], key=lambda row: row["distance"])
    assert worst["worker"] == "c"


def test_spans_are_fused(tmp_path):
    def cell(start, end):
        return '"' + json.dumps([{"start": start, "end": end, "labels": ["PER"]}]).replace('"', '""') + '"'

    rows = [f"{who},{task},{cell(off, 10 + off)}" for task in range(6) for who, off in (("a", 0), ("b", 1), ("c", 1))]
    gold = "task,gold\n" + "\n".join(f"{task},{cell(1, 11)}" for task in range(6))

    found = analysed(tmp_path, "worker,task,label\n" + "\n".join(rows), "--type", "labels", gold=gold)

    assert found["consensus"]["auto"]["method"] == "fusion"
    assert found["consensus"]["auto"]["error"] == 0.0
    assert found["agreement"]["percent"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    who = {row["worker"]: row for row in found["annotators"]}
    assert {row["against"] for row in who.values()} == {"gold"}
    assert who["b"]["distance"] == 0.0 < who["a"]["distance"]


@pytest.mark.parametrize("kind", ["number", "taxonomy"])
def test_calibration_of_a_type_without_probabilities_is_noted(tmp_path, kind):
    cell = "5" if kind == "number" else "A > B"
    rows = "".join(f"{who},{task},{cell}\n" for task in range(4) for who in "ab")
    gold = "task,gold\n" + "".join(f"{task},{cell}\n" for task in range(4))

    found = analysed(tmp_path, f"worker,task,label\n{rows}", "--type", kind, "--calibrate-gold", 2, gold=gold)

    assert any("--calibrate-gold" in note for note in found["notes"])


def test_several_choices_at_once_are_compared_by_overlap(tmp_path):
    rows = ['a,1,"[""x"",""y""]"', 'b,1,"[""x""]"', 'a,2,"[""z""]"', 'b,2,"[""z""]"']

    found = analysed(tmp_path, "worker,task,label\n" + "\n".join(rows))

    assert found["agreement"]["percent"]["value"] == 0.5
    assert found["agreement"]["alpha"]["value"] > 0.5


@pytest.mark.parametrize(
    ("kind", "cell", "message"),
    [
        ("rating", "good", "row 2: 'good' is not a number"),
        ("number", "inf", "row 2: 'inf' is not a number"),
        ("labels", "PER", "row 2: not JSON"),
        ("labels", "{}", "row 2: start is None, wanted a number"),
        ("emotion", "x", "no type called 'emotion'"),
    ],
)
def test_a_label_of_another_type_is_named(tmp_path, kind, cell, message):
    with pytest.raises(VotesError, match=message):
        analysed(tmp_path, f"worker,task,label\nann,1,{cell}\nbob,1,{cell}\n", "--type", kind)


@pytest.mark.parametrize("kind", ["number", "choices"])
@pytest.mark.filterwarnings("error")
def test_the_largest_floats_are_numbers_like_any_other(tmp_path, kind):
    rows = [f"{who},{task},{value}" for task in range(9) for who, value in (("a", "1e308"), ("b", f"-{task}e307"))]

    found = analysed(tmp_path, "worker,task,label\n" + "\n".join(rows), "--type", kind, gold="task,gold\n1,1e308\n")

    assert found["agreement"]["alpha"]["value"] < 0.1
    if kind == "number":
        assert found["agreement"]["icc"]["value"] < 0.1
        assert [row["distance"] for row in found["annotators"]] == pytest.approx([1.4e308, 1.4e308])


def test_a_measure_that_the_votes_do_not_define_says_why(tmp_path):
    rows = [f"w{task}{who},{task},{'xy'[(task * who) % 2]}" for task in range(12) for who in range(3)]
    (tmp_path / "v.csv").write_text("worker,task,label\n" + "\n".join(rows))

    shown = " ".join(run("--votes", tmp_path / "v.csv").split())

    assert "cohen: no two people share 5 items; alpha, fleiss and ac1 need no such pair." in shown
    assert "[-1.00, 1.00]" not in shown
    assert "…" not in shown


def test_a_segment_of_a_file_is_refused(tmp_path):
    with pytest.raises(VotesError, match="--segment is a field of the tasks of a project"):
        analysed(tmp_path, "worker,task,label\na,1,x\n", "--segment", "region")
