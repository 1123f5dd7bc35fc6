from __future__ import annotations

from itertools import pairwise

import pytest

from feedback.annotators.gold import add_gold, load_gold_tasks, retire_gold
from feedback.errors import VotesError
from feedback.project.audit_splits import Splits
from feedback.queue.interleave import OpenTask, interleave
from feedback.store import Store
from ml_backend.records import Answer

FRUIT, TOOL = Answer("choices", ("fruit",)), Answer("choices", ("tool",))


def test_the_book_holds_the_newest_answer_and_who_is_retired(store: Store):
    add_gold(store, "7", {1: FRUIT, 2: TOOL}, {1: "7/a", 2: "7/b"})
    add_gold(store, "7", {1: TOOL}, {1: "7/a"})

    assert retire_gold(store, "7", [2, 99]) == [2]
    book = load_gold_tasks(store, "7")
    assert {task: (item.answer, item.asked) for task, item in book.items()} == {1: (TOOL, True), 2: (TOOL, False)}
    assert load_gold_tasks(store, "8") == {}


def test_a_gold_task_that_is_not_there_is_refused(store: Store):
    with pytest.raises(VotesError, match="has no task 5"):
        add_gold(store, "7", {5: FRUIT}, {})
    assert load_gold_tasks(store, "7") == {}


def test_gold_rows_have_a_role_of_their_own_for_ever():
    plain = Splits("key", "7", 0.5)
    units = [f"7/{number}" for number in range(50)]
    with_gold = Splits("key", "7", 0.5, gold=frozenset(units[:10]))

    assert with_gold.roles(units)[:10] == ["gold"] * 10
    assert with_gold.roles(units)[10:] == plain.roles(units)[10:]


def test_gold_stands_first_for_new_people_and_then_among_the_others():
    opened = [OpenTask(task, "train", False, 0.0) for task in range(1, 41)]
    opened += [OpenTask(task, "gold", True, 0.0, reopened=task == 101) for task in range(101, 106)]
    opened += [OpenTask(task, "judge", True, 0.0) for task in range(201, 221)]
    ranked = [(task, "strategy") for task in range(1, 41)]
    gold = [103, 101, 105, 102, 104]
    rows = interleave(opened, ranked, {}, size=40, audit_quota=0.2, gold=gold, gold_share=0.1, first=gold[:2])

    assert [row.task for row in rows[:2]] == [103, 101]
    later = [place for place, row in enumerate(rows) if row.task in (105, 102, 104)]
    assert len(later) == 3
    assert all(9 <= b - a <= 11 for a, b in pairwise(later))
    assert all(row.blind and row.answer is None for row in rows if row.task > 100)
