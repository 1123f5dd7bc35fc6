"""Handing out: a copy of each case where its tier looks, open until enough have read it, and gone when it is stale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from feedback.labelling_platform.interface import LabellingPlatform, ReviewTask
from feedback.review import honeypots
from feedback.review.case_decisions import list_human_annotations
from feedback.review.case_workflow import is_blind
from feedback.review.errors import CaseMoved
from feedback.review.final_answers import write_final_answer
from feedback.review.protocols import apply_protocol
from feedback.review.review_context import ReviewContext
from feedback.review.review_projects import ensure_review_project, remove_stale_tasks
from feedback.review.review_task_content import (
    HISTORY,
    KEY,
    SKIP,
    case_history,
    describe_case,
    prefilled_regions,
    review_task_data,
    review_task_key,
    stay_key,
)
from feedback.store import CaseEvent, CaseRow, ReviewRow
from ml_backend.errors import LabelStudioError

_MAX_TASKS_PER_TURN = 200  # copies a turn: one request brings them in, and one more each where several read
_MAX_ANSWERS_PER_TURN = (
    50  # final answers a turn: each is two requests, and reviewers' next answers wait for the turn's end
)
_NOT_FOUND, _CLIENT_ERROR, _SERVER_ERROR = 404, 400, 500


def assign_cases(context: ReviewContext, platform: LabellingPlatform) -> None:
    """Bring the review projects in line with the cases. Safe to repeat: what a kill left without its case finds it."""
    _adopt_unrecorded_tasks(context, platform)
    live = context.list_open_cases(in_first_tier=False)
    pots = honeypots.list_honeypots(context.store, context.project)
    honeypots.read_honeypot_reviews(context, pots)
    for body in context.store.review_projects.list_review_projects(context.project).values():
        if body["room"]:
            room = str(body["room"])
            remove_stale_tasks(
                context.store, platform, room, live, kept=pots.get(room, {}), may_write=context.may_write
            )
    waiting = [case for case in live if case.state in ("queued", "started")]
    for tier in dict.fromkeys(case.tier for case in waiting):
        if tier not in context.snapshot.policy.tiers:
            context.result.notes.append(f"cases wait at tier {tier!r}, which the policy no longer has")
        elif context.may_write():
            room = ensure_review_project(context.store, platform, context.snapshot, tier, context.result.notes)
            here = [case for case in waiting if case.tier == tier]
            there = {row.id for row in context.store.tasks.list_task_rows(room)}
            # somebody may have deleted a copy, or the whole review project
            bare = [case for case in here if case.review_project != room or case.review_task not in there]
            context.result.more_to_do |= len(bare) > _MAX_TASKS_PER_TURN
            if bare:
                _create_review_tasks(context, platform, tier, room, bare[:_MAX_TASKS_PER_TURN])
            placed = {case.id for case in bare}
            _keep_tasks_open(context, platform, room, [case for case in here if case.id not in placed])


def write_final_answers(context: ReviewContext, platform: LabellingPlatform) -> None:
    """Write decided answers into the source project."""
    decided = context.store.cases.list_cases(context.project, states=("decided",))
    context.result.more_to_do |= len(decided) > _MAX_ANSWERS_PER_TURN
    for case in decided[:_MAX_ANSWERS_PER_TURN]:
        if not context.may_write():
            return
        try:
            write_final_answer(context.store, platform, context.workflow, case, context.snapshot.control)
        except CaseMoved as error:
            context.result.notes.append(str(error))
        except LabelStudioError as error:
            if error.status is None or not _CLIENT_ERROR <= error.status < _SERVER_ERROR:
                raise
            context.result.notes.append(f"the answer of case {case.id} is not written: {error}")
        else:
            context.result.resolved += 1


def _adopt_unrecorded_tasks(context: ReviewContext, platform: LabellingPlatform) -> None:
    """Copies that a kill left between their import and the case's move: people may have answered them already.

    They are the newest of their project, and named as the case's next copy would be. What an import that was cut short
    left out is added.
    """
    bare = [
        case
        for case in context.list_open_cases(in_first_tier=False)
        if case.review_task is None and case.state != "waiting"
    ]
    bare = [replace(case, copies=case.copies + 1) for case in bare if case.tier in context.snapshot.policy.tiers]
    wanted = {review_task_key(case): case for case in bare}
    for tier, body in context.store.review_projects.list_review_projects(context.project).items():
        room = str(body["room"])
        if not room or not any(case.tier == tier for case in bare):
            continue
        newest = [row.id for row in context.store.tasks.list_task_rows(room)[-2 * _MAX_TASKS_PER_TURN :]]
        for task in context.store.tasks.list_tasks(room, only=newest):
            case = wanted.pop(str(task.data.get(KEY)), None)
            if case is not None and context.may_write():
                case = context.with_explanation(case)
                platform.complete_review_task(room, task.id, *_review_tasks(context, [case]))
                _record_assignment(context, case, room, task.id)


def _review_tasks(context: ReviewContext, numbered: Sequence[CaseRow]) -> list[ReviewTask]:
    """Cases as their reviewers are to find them; each counts the copy already."""
    numbers = [case.id for case in numbered]
    trails, reviews = (
        context.store.cases.list_events_of_cases(numbers),
        context.store.reviews.list_reviews_of_cases(numbers),
    )
    return [
        ReviewTask(
            _review_task_data(context, case, reviews[case.id], trails[case.id]),
            tuple(prefilled_regions(case, context.snapshot.control, context.snapshot.policy)),
            case.priority,
            context.snapshot.policy.tiers[case.tier].n_reviewers,
        )
        for case in numbered
    ]


def _record_assignment(context: ReviewContext, numbered: CaseRow, room: str, task: int) -> None:
    """Note where the copy of a case stands; `numbered` counts it already."""
    changes = {"review_project": room, "review_task": task, "copies": numbered.copies}
    body = {"room": room, "task": task, "blind": is_blind(numbered, context.snapshot.policy)}
    context.move(numbered, "place", body=body, **changes)


def _create_review_tasks(
    context: ReviewContext, platform: LabellingPlatform, tier: str, room: str, cases: Sequence[CaseRow]
) -> None:
    store = context.store
    numbered = [context.with_explanation(replace(case, copies=case.copies + 1)) for case in cases]
    copies = _review_tasks(context, numbered)
    known = honeypots.choose_honeypots(context, [review_task_key(case) for case in numbered])
    try:
        tasks = platform.import_review_tasks(room, [*copies, *(copy for _case, copy in known)])
    except LabelStudioError as error:
        if error.status == _NOT_FOUND:
            store.review_projects.forget_review_project(context.project, tier)
        raise
    store.append_tasks([task for task in tasks if task.created_at], source="own")
    for (case, _copy), task in zip(known, tasks[len(numbered) :], strict=True):
        honeypots.record_honeypot(store, context.project, tier, room, task.id, case)
    for case, task in zip(numbered, tasks[: len(numbered)], strict=True):
        _record_assignment(context, case, room, task.id)


def _review_task_data(
    context: ReviewContext,
    case: CaseRow,
    reviews: Sequence[ReviewRow],
    trail: Sequence[CaseEvent],
    *,
    settles: bool = False,
) -> dict[str, object]:
    votes, snapshot = context.votes.get(case.task, ()), context.snapshot
    about, before = (
        describe_case(case, snapshot, settles=settles),
        case_history(case, snapshot, votes, reviews, trail, settles=settles),
    )
    return review_task_data(case, snapshot.tasks[case.task].data, about, before)


def _keep_tasks_open(context: ReviewContext, platform: LabellingPlatform, room: str, cases: Sequence[CaseRow]) -> None:
    """Whatever closed a copy (an answer that does not count, a change of settings), it is open until it is read."""
    reviews = context.store.reviews.list_reviews_of_cases([case.id for case in cases])
    rows = {row.id: row for row in context.store.tasks.list_task_rows(room)}
    for case in cases:
        row = rows[case.review_task or 0]
        mine = [review for review in reviews[case.id] if (review.round, review.entered_s) == stay_key(case)]
        if not mine:
            continue  # nobody can have closed it
        counted = [review for review in mine if review.counted]
        answered = sum(review.verdict != SKIP for review in mine)
        ruling = apply_protocol(counted, context.snapshot.policy.tiers[case.tier])
        overlap = answered + max(1, ruling.wanted - len(counted))
        if context.snapshot.policy.tiers[case.tier].protocol == "two-reader" and len(counted) >= 2:
            _show_both_reviews(context, platform, room, case, reviews[case.id])
        # somebody may just have answered: the next turn reads it before anybody else is asked
        unread = (
            len({one.person for one in list_human_annotations(context, room, row.id) if not one.was_cancelled})
            > answered
        )
        if (row.is_labeled or row.overlap < overlap) and not unread and context.may_write():
            now = platform.reopen_task(room, row.id, overlap)
            context.store.append_tasks([now], source="own")


def _show_both_reviews(
    context: ReviewContext, platform: LabellingPlatform, room: str, case: CaseRow, reviews: Sequence[ReviewRow]
) -> None:
    """Two readers differ, and whoever settles it sees what both said; the copy may be open all the time."""
    data = _review_task_data(context, case, reviews, context.store.cases.list_case_events(case.id), settles=True)
    shown = context.store.tasks.get_task(room, case.review_task or 0)
    if shown is not None and shown.data.get(HISTORY) != data[HISTORY] and context.may_write():
        context.store.append_tasks([platform.update_review_task(room, shown.id, data)], source="own")
