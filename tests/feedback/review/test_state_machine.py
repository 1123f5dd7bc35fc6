from __future__ import annotations

import pytest

from feedback.review.errors import NoSuchMove
from feedback.review.state_machine import LIVE, MEANING, TABLE, move


def test_no_state_has_two_ways_for_one_event():
    keys = [(row.before, row.event) for row in TABLE]

    assert len(keys) == len(set(keys))


def test_every_state_is_reached_and_every_live_one_can_end():
    reached = {row.after for row in TABLE}
    assert reached == set(MEANING)

    for state in LIVE:
        seen, edge = {state}, {state}
        while edge:
            edge = {row.after for row in TABLE if row.before in edge} - seen
            seen |= edge
        assert "resolved" in seen, f"{state} never ends"


def test_a_deleted_task_closes_its_case_wherever_it_stands():
    for state in set(MEANING) - {"withdrawn"}:
        assert move(state, "withdraw").after == "withdrawn"
    with pytest.raises(NoSuchMove, match="it can: nothing"):
        move("withdrawn", "reopen")


def test_an_unwritten_answer_cannot_be_called_resolved():
    with pytest.raises(NoSuchMove, match="a decided case cannot settle"):
        move("decided", "settle")
