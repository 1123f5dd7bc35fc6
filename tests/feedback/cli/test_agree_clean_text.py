"""hitl agree on files in which one label is written in several ways, by people, spreadsheets and programs."""

from __future__ import annotations

import pytest

from feedback.errors import VotesError
from tests.feedback.cli.agreeing import analysed

LABELS = ("ham", "spam", "café")
HEADER = "worker,task,label\n"


def votes_of(first, other, n=20):
    """Votes of two people on n tasks; they give the same label, each as their own function writes it."""
    rows = [
        f"{who},{task},{write(LABELS[task % 3])}" for task in range(n) for who, write in (("a", first), ("b", other))
    ]
    return HEADER + "\n".join(rows)


def decomposed(label):
    return label.replace("é", "e\u0301")


@pytest.mark.parametrize(
    "write",
    [
        decomposed,
        lambda label: f"{label}\xa0",
        lambda label: f"\u3000{label}\u2009 ",
        lambda label: f"\u200b{label}\u200d",
        lambda label: f"\ufeff{label}\u2060",
        lambda label: f"\u200e\u202a{label}\u202c",
        lambda label: f'"{label}\t"',
    ],
    ids=["nfd", "non-breaking", "wide", "zero width", "mark", "direction", "quoted tab"],
)
def test_one_label_that_two_people_write_in_two_ways_is_one_label(tmp_path, write):
    found = analysed(tmp_path, votes_of(write, str))

    assert found["agreement"]["alpha"]["value"] == 1.0
    assert found["verdict"].count("↔") == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Spam", "spam"),
        ("Ａ", "A"),
        ("x²", "x2"),
        ("007", "7"),
        ("New York", "New\xa0York"),
        ("1.000", "1"),
        ("1e3", "1000"),
    ],
)
def test_labels_that_may_be_meant_stay_apart_with_a_note(tmp_path, one, other):
    rows = "".join(f"a,{task},{one}\nb,{task},{other}\n" for task in range(4))

    found = analysed(tmp_path, HEADER + rows)

    assert found["agreement"]["percent"]["value"] == 0.0
    assert any(f"counted apart: {one!r}" in note or f"{other!r} and {one!r}" in note for note in found["notes"])


def floats_and_gold(float_of=lambda number: f"{number}.0"):
    """Votes as pandas writes a column with an empty cell, and gold as it writes one without."""
    rows = [f"w{who},{task},{float_of(task % 3 + 1)}" for task in range(30) for who in range(3)]
    rows[4] = "w1,1,"
    return HEADER + "\n".join(rows), "task,gold\n" + "\n".join(f"{task},{task % 3 + 1}" for task in range(30))


def test_numbers_that_became_floats_are_the_same_labels_in_votes_and_gold(tmp_path):
    votes, gold = floats_and_gold()

    found = analysed(tmp_path, votes, gold=gold)

    assert found["consensus"]["majority"]["accuracy"] == 1.0
    assert all(row["accuracy"] == 1.0 and row["against"] == "gold" for row in found["annotators"])
    assert any("'1.0' is read as '1'" in note for note in found["notes"])


def test_ids_that_became_floats_are_the_same_ids(tmp_path):
    rows = [("1", "7", "ham"), ("1.0", "8", "ham"), ("2.0", "7.0", "ham"), ("2", "8.0", "spam")]
    text = "task,worker,label\n" + "\n".join(",".join(row) for row in rows)

    found = analysed(tmp_path, text, gold="task,gold\n1.0,ham\n2.0,ham\n")

    assert found["agreement"]["percent"]["items"] == 2
    assert {row["worker"] for row in found["annotators"]} == {"7", "8"}
    assert found["consensus"]["majority"]["accuracy"] == 1.0
    assert any("'1.0' is read as '1'" in note for note in found["notes"])


def test_negative_floats_are_the_same_numbers_with_a_note(tmp_path):
    found = analysed(tmp_path, HEADER + "a,1,-1.0\nb,1,-1\na,2,2.0\nb,2,2\n")

    assert found["agreement"]["percent"]["value"] == 1.0
    assert "programs spell one name in two ways: '-1.0' is read as '-1', '2.0' is read as '2'" in found["notes"]


def test_versions_with_fractions_are_not_numbers_that_became_floats(tmp_path):
    rows = "".join(f"a,{task},1.0\nb,{task},1\nc,{task},1.5\n" for task in range(4))

    found = analysed(tmp_path, HEADER + rows)

    assert found["agreement"]["percent"]["value"] == 0.0


def test_booleans_of_a_spreadsheet_and_of_a_program_are_one(tmp_path):
    rows = "".join(f"a,{task},TRUE\nb,{task},true\nc,{task},True\n" for task in range(4))

    found = analysed(tmp_path, HEADER + rows, gold="task,gold\n1,true\n")

    assert found["agreement"]["percent"]["value"] == 1.0


def test_numbers_with_a_comma_are_told_where_they_also_come_without(tmp_path):
    rows = "".join(f"a;{task};{task % 2},0\nb;{task};{task % 2}\n" for task in range(4))

    found = analysed(tmp_path, f"worker;task;label\n{rows}")

    assert any("counted apart: '0' and '0,0'; '1' and '1,0'" in note for note in found["notes"])


@pytest.mark.parametrize("word", ["NA", "None", "NaN", "null"])
def test_a_word_for_nothing_is_a_label_with_a_note(tmp_path, word):
    rows = "".join(f"a,{task},{word}\nb,{task},{word}\n" for task in range(4))

    found = analysed(tmp_path, f"{HEADER}{rows}a,9,ham\nb,9,ham\n")

    assert found["agreement"]["percent"]["items"] == 5
    assert any(f"{word!r} is a label here" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("options", "cell", "truth"),
    [
        ((), "ham", "7"),
        ((), '"[""ham"", ""eggs""]"', '"[""7""]"'),
        (("--type", "taxonomy"), "Animal > Dog", "Thing > Car"),
    ],
    ids=["choices", "several choices", "taxonomy"],
)
def test_gold_that_shares_no_label_with_the_votes_is_refused(tmp_path, options, cell, truth):
    rows = "".join(f"{who},{task},{cell}\n" for task in range(6) for who in "ab")

    with pytest.raises(VotesError, match="no gold answer is a label that anybody gave: gold has") as refused:
        analysed(tmp_path, HEADER + rows, *options, gold=f"task,gold\n1,{truth}\n2,{truth}\n")

    assert refused.value.hint
