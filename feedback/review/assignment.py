"""Handing out: a copy of each case where its tier looks, open until enough have read it, and gone when it is stale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from feedback.labelling_platform.interface import ReviewProjects, ReviewTask
from feedback.project.review_project_records import forget_review_project, list_review_projects
from feedback.review import honeypots
from feedback.review.case_context import facts, here, history
from feedback.review.case_decisions import said_on
from feedback.review.cases import is_blind
from feedback.review.errors import CaseMoved
from feedback.review.final_answers import write_back
from feedback.review.protocols import rule
from feedback.review.review_projects import clear, room_of
from feedback.review.review_task_content import HISTORY, KEY, SKIP, key_of, proposal, task_data
from feedback.review.round_state import Round
from feedback.store import CaseEvent, CaseRow, ReviewRow
from ml_backend.errors import LabelStudioError

_AT_ONCE = 200  # copies a turn: one request brings them in, and one more each where several read
_BACK_AT_ONCE = 50  # final answers a turn: each is two requests, and reviewers' next answers wait for the turn's end
_NOT_FOUND, _REFUSED, _AWAY = 404, 400, 500


def hand_out(round_: Round, rooms: ReviewProjects) -> None:
    """Bring the review projects in line with the cases. Safe to repeat: what a kill left without its case finds it."""
    _adopt(round_, rooms)
    live = round_.live(first=False)
    pots = honeypots.placed(round_.store, round_.project)
    honeypots.read(round_, pots)
    for body in list_review_projects(round_.store, round_.project).values():
        if body["room"]:
            room = str(body["room"])
            clear(round_.store, rooms, room, live, kept=pots.get(room, {}), may_write=round_.may_write)
    waiting = [case for case in live if case.state in ("queued", "started")]
    for tier in dict.fromkeys(case.tier for case in waiting):
        if tier not in round_.snapshot.policy.tiers:
            round_.worked.notes.append(f"cases wait at tier {tier!r}, which the policy no longer has")
        elif round_.may_write():
            room = room_of(round_.store, rooms, round_.snapshot, tier, round_.worked.notes)
            here = [case for case in waiting if case.tier == tier]
            there = {row.id for row in round_.store.task_rows(room)}
            # somebody may have deleted a copy, or the whole review project
            bare = [case for case in here if case.review_project != room or case.review_task not in there]
            round_.worked.left |= len(bare) > _AT_ONCE
            if bare:
                _put_in(round_, rooms, tier, room, bare[:_AT_ONCE])
            placed = {case.id for case in bare}
            _keep_open(round_, rooms, room, [case for case in here if case.id not in placed])


def bring_back(round_: Round, rooms: ReviewProjects) -> None:
    """Write decided answers into the source project."""
    decided = round_.store.cases(round_.project, states=("decided",))
    round_.worked.left |= len(decided) > _BACK_AT_ONCE
    for case in decided[:_BACK_AT_ONCE]:
        if not round_.may_write():
            return
        try:
            write_back(round_.store, rooms, round_.book, case, round_.snapshot.control)
        except CaseMoved as error:
            round_.worked.notes.append(str(error))
        except LabelStudioError as error:
            if error.status is None or not _REFUSED <= error.status < _AWAY:
                raise
            round_.worked.notes.append(f"the answer of case {case.id} is not written: {error}")
        else:
            round_.worked.resolved += 1


def _adopt(round_: Round, rooms: ReviewProjects) -> None:
    """Copies that a kill left between their import and the case's move: people may have answered them already.

    They are the newest of their project, and named as the case's next copy would be. What an import that was cut short
    left out is added.
    """
    bare = [case for case in round_.live(first=False) if case.review_task is None and case.state != "waiting"]
    bare = [replace(case, copies=case.copies + 1) for case in bare if case.tier in round_.snapshot.policy.tiers]
    wanted = {key_of(case): case for case in bare}
    for tier, body in list_review_projects(round_.store, round_.project).items():
        room = str(body["room"])
        if not room or not any(case.tier == tier for case in bare):
            continue
        newest = [row.id for row in round_.store.task_rows(room)[-2 * _AT_ONCE :]]
        for task in round_.store.tasks(room, only=newest):
            case = wanted.pop(str(task.data.get(KEY)), None)
            if case is not None and round_.may_write():
                case = round_.with_opinion(case)
                rooms.complete(room, task.id, *_copies(round_, [case]))
                _place(round_, case, room, task.id)


def _copies(round_: Round, numbered: Sequence[CaseRow]) -> list[ReviewTask]:
    """Cases as their reviewers are to find them; each counts the copy already."""
    numbers = [case.id for case in numbered]
    trails, looks = round_.store.steps_of(numbers), round_.store.looks_of(numbers)
    return [
        ReviewTask(
            _data(round_, case, looks[case.id], trails[case.id]),
            tuple(proposal(case, round_.snapshot.control, round_.snapshot.policy)),
            case.priority,
            round_.snapshot.policy.tiers[case.tier].readers,
        )
        for case in numbered
    ]


def _place(round_: Round, numbered: CaseRow, room: str, task: int) -> None:
    """Note where the copy of a case stands; `numbered` counts it already."""
    changes = {"review_project": room, "review_task": task, "copies": numbered.copies}
    body = {"room": room, "task": task, "blind": is_blind(numbered, round_.snapshot.policy)}
    round_.move(numbered, "place", body=body, **changes)


def _put_in(round_: Round, rooms: ReviewProjects, tier: str, room: str, cases: Sequence[CaseRow]) -> None:
    store = round_.store
    numbered = [round_.with_opinion(replace(case, copies=case.copies + 1)) for case in cases]
    copies = _copies(round_, numbered)
    known = honeypots.choose(round_, [key_of(case) for case in numbered])
    try:
        tasks = rooms.put_in(room, [*copies, *(copy for _case, copy in known)])
    except LabelStudioError as error:
        if error.status == _NOT_FOUND:
            forget_review_project(store, round_.project, tier)
        raise
    store.append_tasks([task for task in tasks if task.created_at], source="own")
    for (case, _copy), task in zip(known, tasks[len(numbered) :], strict=True):
        honeypots.remember(store, round_.project, tier, room, task.id, case)
    for case, task in zip(numbered, tasks[: len(numbered)], strict=True):
        _place(round_, case, room, task.id)


def _data(
    round_: Round, case: CaseRow, looks: Sequence[ReviewRow], trail: Sequence[CaseEvent], *, settles: bool = False
) -> dict[str, object]:
    votes, snapshot = round_.votes.get(case.task, ()), round_.snapshot
    about, before = (
        facts(case, snapshot, settles=settles),
        history(case, snapshot, votes, looks, trail, settles=settles),
    )
    return task_data(case, snapshot.tasks[case.task].data, about, before)


def _keep_open(round_: Round, rooms: ReviewProjects, room: str, cases: Sequence[CaseRow]) -> None:
    """Whatever closed a copy (an answer that does not count, a change of settings), it is open until it is read."""
    looks = round_.store.looks_of([case.id for case in cases])
    rows = {row.id: row for row in round_.store.task_rows(room)}
    for case in cases:
        row = rows[case.review_task or 0]
        mine = [look for look in looks[case.id] if (look.round, look.entered_s) == here(case)]
        if not mine:
            continue  # nobody can have closed it
        counted = [look for look in mine if look.counted]
        answered = sum(look.verdict != SKIP for look in mine)
        ruling = rule(counted, round_.snapshot.policy.tiers[case.tier])
        overlap = answered + max(1, ruling.wanted - len(counted))
        if round_.snapshot.policy.tiers[case.tier].protocol == "two-reader" and len(counted) >= 2:
            _tell_the_third(round_, rooms, room, case, looks[case.id])
        # somebody may just have answered: the next turn reads it before anybody else is asked
        unread = len({one.person for one in said_on(round_, room, row.id) if not one.was_cancelled}) > answered
        if (row.is_labeled or row.overlap < overlap) and not unread and round_.may_write():
            now = rooms.reopen(room, row.id, overlap)
            round_.store.append_tasks([now], source="own")


def _tell_the_third(round_: Round, rooms: ReviewProjects, room: str, case: CaseRow, looks: Sequence[ReviewRow]) -> None:
    """Two readers differ, and whoever settles it sees what both said; the copy may be open all the time."""
    data = _data(round_, case, looks, round_.store.steps(case.id), settles=True)
    shown = round_.store.task(room, case.review_task or 0)
    if shown is not None and shown.data.get(HISTORY) != data[HISTORY] and round_.may_write():
        round_.store.append_tasks([rooms.rewrite(room, shown.id, data)], source="own")
