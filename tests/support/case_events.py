"""Checks that the events of a case are complete: each follows from the one before, and the last gives its state."""

from __future__ import annotations

from feedback.review.case_state_machine import transition_for
from feedback.store import CaseRow, Store

_DECIDES = {"decide", "settle"}


def find_event_errors(store: Store, case: CaseRow) -> list[str]:
    """Return what is missing or wrong in the events of a case; [] if they are complete."""
    steps = store.cases.list_case_events(case.id)
    found: list[str] = []
    if [step.number for step in steps] != list(range(1, case.version + 1)):
        found.append(f"lines {[step.number for step in steps]}, but version {case.version}")
    state, at_s = "", 0.0
    for step in steps:
        if transition_for(state, step.event).to_state != step.state:  # type: ignore[arg-type]
            found.append(f"line {step.number}: {step.event} leads from {state} to {step.state}")
        if step.at_s < at_s:
            found.append(f"line {step.number} is older than the one before")
        state, at_s = step.state, step.at_s
    if (state, steps[-1].tier) != (case.state, case.tier):
        found.append(f"the trail ends {state} at {steps[-1].tier}, the case is {case.state} at {case.tier}")
    decided = [step for step in steps if step.event in _DECIDES]
    if case.state in ("decided", "resolved") and (not decided or decided[-1].person is None):
        found.append("nobody decided")
    if len([step for step in steps if step.event == "write"]) > len(decided):
        found.append("more was written than decided")
    return found
