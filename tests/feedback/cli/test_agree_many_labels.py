"""hitl agree with thousands of labels: in seconds and little memory, and what is left out is said."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest

from feedback.consensus import majority_vote
from feedback.consensus.method_selection import METHODS, list_usable_methods, select_method
from feedback.consensus.sparse_votes import number_labels_by_task
from feedback.votes import Votes
from tests.feedback.cli.agreeing import analysed, run


def votes_on(n: int, *, labels: int, people: int = 3, right: float = 0.9) -> Votes:
    """Votes of people who give the label of a task in nine of ten cases, else any."""
    rng = np.random.default_rng(5)
    truth = np.arange(n)[:, None] % labels
    given = np.where(rng.random((n, people)) < right, truth, rng.integers(0, labels, (n, people)))
    return Votes(np.repeat(np.arange(n), people), np.tile(np.arange(people), n), given.ravel(), n, people, labels)


def as_csv(n: int, people: int = 3) -> str:
    """Return votes on n tasks with n labels, as an ontology with thousands of terms has them."""
    draw = random.Random(5)
    rows = (
        f"w{person},{task},c{task if draw.random() < 0.9 else draw.randrange(n):05d}"
        for task in range(n)
        for person in range(people)
    )
    return "worker,task,label\n" + "\n".join(rows)


def test_thousands_of_labels_need_no_table_of_tasks_and_labels(tmp_path):
    gold = "task,gold\n" + "\n".join(f"{task},c{task:05d}" for task in range(3_000))
    tracemalloc.start()

    found = analysed(tmp_path, as_csv(3_000), gold=gold)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 60 << 20  # one table of 3,000 tasks and labels has 72 MB
    assert found["agreement"]["alpha"]["value"] == pytest.approx(0.81, abs=0.02)
    assert found["consensus"]["auto"]["method"] == "majority"
    assert found["consensus"]["auto"]["accuracy"] > 0.93
    assert {row["against"] for row in found["annotators"]} == {"gold"}
    assert any("only the majority vote is computed" in note for note in found["notes"])


def test_error_rates_that_are_more_than_the_votes_can_tell_are_left_out_and_named(tmp_path):
    found = analysed(tmp_path, as_csv(600))

    assert set(found["consensus"]) == {"auto", "majority", "one_coin", "weighted"}
    assert any("dawid_skene and hierarchical are left out" in note for note in found["notes"])
    assert any("by label is computed for up to 50 labels" in note for note in found["notes"])


def test_a_terminal_gets_no_table_of_thousands_of_labels(tmp_path):
    (tmp_path / "votes.csv").write_text(as_csv(600))

    shown = run("--votes", tmp_path / "votes.csv")

    assert len(shown.splitlines()) < 60


def test_a_few_labels_leave_no_method_out_however_many_people_and_tasks_there_are():
    crowd = votes_on(20_000, labels=5, people=9)

    assert list_usable_methods(crowd).methods == METHODS
    assert list_usable_methods(crowd).left_out == ""


def test_the_majority_of_labels_numbered_by_task_is_that_of_all_labels():
    votes = votes_on(400, labels=90, people=4, right=0.5)
    gold = np.where(np.arange(400) % 3, np.arange(400) % 90, -1)

    numbered, numbered_gold = number_labels_by_task(votes, gold)
    full, small = majority_vote(votes), majority_vote(numbered)

    assert numbered.n_labels <= 4
    assert numbered_gold is not None
    assert (small.confidence == full.confidence).all()
    assert ((small.labels == numbered_gold) == (full.labels == gold)).all()


def test_the_committee_is_right_with_hundreds_of_labels():
    votes = votes_on(450, labels=450, people=5, right=0.6)

    choice = select_method(votes)

    assert choice.consensus.method == "committee"
    assert "one_coin" in choice.reason
    assert "hierarchical" not in choice.reason
    assert (choice.consensus.labels == np.arange(450)).mean() > 0.85
