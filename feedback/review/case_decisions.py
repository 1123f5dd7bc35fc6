"""Deciding: what reviewers said moves their cases, as the tier's protocol has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from feedback.project.review_project_records import forget_review_project, list_review_projects
from feedback.review.cases import ESCALATED, ON_REQUEST, Need
from feedback.review.overrides import of_look
from feedback.review.protocols import rule
from feedback.review.review_answers import Staff, news, read_looks
from feedback.review.review_task_content import KEY, SKIP, read_said, stay_of
from feedback.review.round_state import Round
from feedback.store import CaseEvent, CaseRow, ReviewRow
from ml_backend.errors import LabelStudioError
from ml_backend.records import Annotation, Task

_NOT_FOUND = 404


def decide_cases(round_: Round, emails: Callable[[], Mapping[int, str]]) -> None:
    """Read what is new in the review projects, and move each case as far as its tier's protocol says."""
    _gather(round_)
    _changed(round_)
    live = [case for case in round_.live(first=False) if case.state != "waiting"]
    if not live:
        return
    numbers = [case.id for case in live]
    trails, kept = round_.store.steps_of(numbers), round_.store.looks_of(numbers)
    staff: Staff | None = None
    for case in live:
        annotations = [
            one
            for room, task in copies_of(trails[case.id])
            for one in said_on(round_, room, task)
            if _is_of(round_.store.task(room, task), case)
        ]
        if not annotations:
            continue
        staff = staff or Staff(emails())
        below: set[int | None] = {vote.person for vote in round_.votes.get(case.task, ())}
        below |= {look.person for look in kept[case.id] if look.tier != case.tier or _appealed(case, look)}
        looks = read_looks(case, annotations, round_.snapshot.control, round_.snapshot.policy, staff, below)
        if new := news(looks, kept[case.id]):
            _decide(round_, case, looks, new)


def _gather(round_: Round) -> None:
    """Bring in what webhooks missed; a review project that is gone is made anew by whoever needs it next."""
    for tier, body in list_review_projects(round_.store, round_.project).items():
        if room := str(body["room"]):
            try:
                round_.gather(room)
            except LabelStudioError as error:
                if error.status != _NOT_FOUND:
                    raise
                forget_review_project(round_.store, round_.project, tier)


def said_on(round_: Round, room: str, task: int) -> list[Annotation]:
    """What people have said on a copy, skips included; neither imports nor what we write ourselves."""
    bots = round_.snapshot.project.bots
    return [one for one in round_.store.annotations(room, task=task) if one.person not in bots and not one.imported]


def _is_of(copy: Task | None, case: CaseRow) -> bool:
    """Whether a copy is of this stay of a case: Label Studio on SQLite gives numbers of deleted tasks again."""
    return copy is not None and str(copy.data.get(KEY, "")).startswith(stay_of(case))


def _appealed(case: CaseRow, look: ReviewRow) -> bool:
    """Whether somebody asked for a person after this look: whoever decided then does not decide about it."""
    return case.rule == ON_REQUEST and 0 < look.round < case.round and look.counted


def _changed(round_: Round) -> None:
    """Begin another round where somebody has changed or withdrawn the answer that decided a case."""
    for number, room, annotation in round_.store.changed_looks(round_.project):
        case = round_.store.case(number)
        (kept,) = [look for look in round_.store.looks(round_.project, case=number) if look.annotation == annotation]
        said = None
        for one in round_.store.annotations(room):
            if one.id == annotation:
                said = read_said(one, round_.snapshot.control, round_.snapshot.policy)
                kept = replace(kept, seen=one.updated_at)
        if said is not None and (said.verdict, said.answer or kept.answer) == (kept.verdict, kept.answer):
            round_.store.save_looks([kept])  # a comment, or nothing at all
        elif case.state in ("decided", "resolved") and case.tier in round_.snapshot.policy.tiers:
            why = (
                "the answer that decided it was withdrawn" if said is None else "the answer that decided it was changed"
            )
            kept_need = Need(case.task, case.tier, why, rule=ESCALATED, skills=case.skills, segment=case.segment)
            said_now = said.answer if said is not None else None
            need = replace(kept_need, proposal=said_now, proposed_by=case.tier if said_now else "")
            round_.reopen(case, need)


def copies_of(trail: Sequence[CaseEvent]) -> list[tuple[str, int]]:
    """Every copy (room, task) of a case since it came to its tier: an old one may have been answered after all."""
    found: list[tuple[str, int]] = []
    for step in trail:
        if step.event in ("open", "escalate", "recall", "reopen", "answered"):
            found = []
        elif step.event == "place":
            found.append((str(step.body["room"]), int(step.body["task"])))
    return found


def _decide(round_: Round, case: CaseRow, looks: Sequence[ReviewRow], new: Sequence[ReviewRow]) -> None:
    """Move a case by what its readers say; the looks are kept in the same transaction as the move."""
    if not any(look.counted for look in new):
        _not_counted(round_, case, new)
        return
    counted = sorted((look for look in looks if look.counted), key=lambda look: (look.at_s, look.annotation))
    ruling = rule(counted, round_.snapshot.policy.tiers[case.tier])
    above, last = round_.above(case.tier), counted[-1]
    note = ruling.note or _words(last, round_)
    said: dict[str, Any] = {"looks": new, "person": last.person}
    if ruling.comes == "guideline":
        moved = round_.move(case, "ask", note=last.comment or note, **said)
    elif ruling.comes == "decide" or (ruling.comes == "none" and not above):
        said["body"] = {"answer": ruling.answer.key if ruling.answer else None}
        moved = round_.move(case, "decide", note=note, answer=ruling.answer, **said)
    elif ruling.comes in ("escalate", "none") and above:
        given = next((look.answer for look in reversed(counted) if look.answer is not None), case.proposal)
        proposal = None if ruling.comes == "none" else given
        by = case.tier if proposal is not None else ""
        moved = round_.escalate(case, note, proposal=proposal, proposed_by=by, **said)
    else:
        moved = round_.move(case, "look", note=note, **said)
    if moved is not None:
        rows = [of_look(look, round_.snapshot, case) for look in new]
        round_.store.save_overrides([row for row in rows if row is not None])


def _not_counted(round_: Round, case: CaseRow, new: Sequence[ReviewRow]) -> None:
    """A skip means what the tier says; an answer that does not count re-opens the case at once."""
    last = new[-1]
    if last.verdict != SKIP:
        round_.move(case, "refuse", looks=new, person=last.person, note=last.refused)
    elif round_.snapshot.policy.tiers[case.tier].skip_means == "escalate" and round_.above(case.tier):
        round_.escalate(case, "a reviewer skipped it", looks=new, person=last.person)
    elif case.started_s is None:
        round_.move(case, "start", looks=new, person=last.person, note="skipped; others are asked")
    else:
        round_.store.save_looks(new)


def _words(look: ReviewRow, round_: Round) -> str:
    reason = round_.snapshot.policy.reasons.get(look.reason, look.reason)
    return ": ".join(part for part in (look.verdict, reason) if part)
