from __future__ import annotations

import pytest

from feedback.review.case_state_machine import OPEN_STATES, STATE_MEANINGS, TRANSITIONS, NoSuchMove, transition_for


def test_no_state_has_two_ways_for_one_event():
    keys = [(row.from_state, row.event) for row in TRANSITIONS]

    assert len(keys) == len(set(keys))


def test_every_state_is_reached_and_every_live_one_can_end():
    reached = {row.to_state for row in TRANSITIONS}
    assert reached == set(STATE_MEANINGS)

    for state in OPEN_STATES:
        seen, edge = {state}, {state}
        while edge:
            edge = {row.to_state for row in TRANSITIONS if row.from_state in edge} - seen
            seen |= edge
        assert "resolved" in seen, f"{state} never ends"


def test_a_deleted_task_closes_its_case_wherever_it_stands():
    for state in set(STATE_MEANINGS) - {"withdrawn"}:
        assert transition_for(state, "withdraw").to_state == "withdrawn"
    with pytest.raises(NoSuchMove, match="it can: nothing"):
        transition_for("withdrawn", "reopen")


def test_an_unwritten_answer_cannot_be_called_resolved():
    with pytest.raises(NoSuchMove, match="a decided case cannot settle"):
        transition_for("decided", "settle")
