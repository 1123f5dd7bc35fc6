"""Askers: whoever pushed a signal and named where is told the answer that stands, once, and again when it changes."""

from __future__ import annotations

from dataclasses import replace

from feedback.review.notifications import NOTICE, says
from feedback.review.round_state import Round
from feedback.store import CaseRow, Record, Signal, Store
from ml_backend.records import Answer


def tell(round_: Round) -> None:
    """Write down what those are to be told who were told nothing yet, as far as their task is decided.

    They named one of [notify]: whoever may send signals cannot make us call any machine.
    """
    store, project = round_.store, round_.project
    waiting = store.unanswered(project, NOTICE)
    if not waiting:
        return
    cases = {case.task: case for case in store.cases(project, tasks=sorted({one.task or 0 for one in waiting}))}
    wanting = round_.consensus_labels.wanting  # others are asked, and may change the answer
    agreed = {one.task: one.answer for one in round_.consensus_labels.settled if one.task not in wanting}
    for signal in waiting:
        case = cases.get(signal.task or 0)
        if case is not None and case.state == "resolved":
            _note(store, signal, case, now_s=round_.book.now_s)
        elif case is None and signal.task in agreed:
            _note(store, signal, _without(round_, signal.task, agreed[signal.task]), now_s=round_.book.now_s)


def tell_again(store: Store, case: CaseRow, *, now_s: float) -> None:
    """Write down a new answer, which is about to stand, for those who were told another one."""
    case = replace(case, state="resolved")
    for signal in store.signals(case.project, task=case.task):
        last = _last_told(store, signal, case) if signal.callback else None
        if last is not None and last.body["says"]["answer"] != says(case, "decided")["answer"]:
            _note(store, signal, case, now_s=now_s, round_=case.round)


def _note(store: Store, signal: Signal, case: CaseRow, *, now_s: float, round_: int = 0) -> None:
    body = says(case, "decided", signal=signal.name, asked=signal.key)
    key = f"asked-{signal.id}{f'-{round_}' if round_ else ''}"
    store.record(signal.project, NOTICE, {"to": signal.callback, "says": body, "at_s": now_s}, key=key)


def _last_told(store: Store, signal: Signal, case: CaseRow) -> Record | None:
    """What somebody was told last; None where they were told nothing."""
    endings = (*(f"-{number}" for number in range(case.round - 1, 0, -1)), "")
    told = (store.latest(signal.project, NOTICE, key=f"asked-{signal.id}{ending}") for ending in endings)
    return next(filter(None, told), None)


def _without(round_: Round, task: int, answer: Answer) -> CaseRow:
    """What votes alone decided, as a case would say it."""
    return CaseRow(round_.project, task, "resolved", round_.first, why="people agree", answer=answer)
