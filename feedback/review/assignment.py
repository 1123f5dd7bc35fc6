"""Assigning cases: each open case has a review task, which stays open until enough reviewers have answered it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import repeat

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.guidelines import get_instruction
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.case_decisions import list_human_annotations
from feedback.review.case_state_machine import is_blind
from feedback.review.honeypots import choose_honeypots, list_honeypots, record_honeypot, save_honeypot_reviews
from feedback.review.protocols import apply_protocol
from feedback.review.readers_left import tell_cases_without_readers
from feedback.review.review_context import ReviewContext
from feedback.review.review_task_content import (
    HISTORY,
    KEY,
    SKIP,
    prefilled_regions,
    review_label_config,
    review_task_data,
    review_task_key,
    shown_digest,
    stay_key,
)
from feedback.store import CaseRow, ProjectRow, ReviewProjectRow, ReviewRow, Store, TaskRow, urgency
from feedback.store.log import events
from ml_backend.errors import LabelStudioError, NotFound
from ml_backend.labelstudio.review_project_client import ReviewProjectSettings, ReviewTask, review_marker
from ml_backend.left_out import RequestRows, compute_rows, contained, take_in_turn
from ml_backend.records import Task

_MAX_UPDATES_PER_TURN = 50  # each is three requests
_MAX_TASKS_PER_TURN = 200  # one request imports them, and each that several people answer needs another one


def assign_cases(
    context: ReviewContext, platform: LabellingPlatform, list_emails: Callable[[], Mapping[int, str]]
) -> None:
    """Give each open case its review task, keep the tasks open that need more answers, and withdraw stale ones.

    A case that nobody is left to decide is told. `list_emails` returns the e-mail address of each user of Label Studio.
    Safe to repeat: review tasks that a kill left unrecorded are found and recorded.
    """
    _record_imported_tasks(context, platform)
    cases = context.list_open_cases(in_first_tier=False)
    honeypots = list_honeypots(context.store, context.project)
    save_honeypot_reviews(context, honeypots)
    for row in context.store.review_projects.list_review_projects(context.project).values():
        expected = {case.review_task for case in cases if case.review_project == row.id} | honeypots.get(
            row.id, {}
        ).keys()
        _withdraw_stale_review_tasks(context, platform, row.id, expected)
    waiting = [case for case in cases if case.state in ("queued", "started")]
    for tier in dict.fromkeys(case.tier for case in waiting):
        if tier not in context.policy.tiers:
            context.result.notes.append(f"cases wait at tier {tier!r}, which the policy no longer has")
        elif context.may_write():
            with contained("assign the cases", f"tier {tier}"):
                _assign_tier(context, platform, tier, [case for case in waiting if case.tier == tier])
    tell_cases_without_readers(context, list_emails)


def _assign_tier(context: ReviewContext, platform: LabellingPlatform, tier: str, cases: Sequence[CaseRow]) -> None:
    review_project = ensure_review_project(
        context.store, platform, context.snapshot, tier, verifies=context.verifies, notes=context.result.notes
    )
    review_tasks = [case.review_task for case in cases if case.review_task is not None]
    existing = {row.id for row in context.store.tasks.list_task_rows(review_project, only=review_tasks)}
    # somebody may have deleted a review task, or the whole review project; or a new policy makes the tier blind
    unassigned = [
        case
        for case in cases
        if case.review_project != review_project
        or case.review_task not in existing
        or is_blind(case, context.policy) != case.blind
    ]
    context.result.more_to_do |= len(unassigned) > _MAX_TASKS_PER_TURN
    if unassigned:
        part = take_in_turn(unassigned, _MAX_TASKS_PER_TURN, turn=context.workflow.now_s)
        _create_review_tasks(context, platform, tier, review_project, part)
    new = {case.id for case in unassigned}
    assigned = [case for case in cases if case.id not in new]
    if context.verifies:
        proposals = {case.review_task: _make_proposal(context, case) for case in assigned if case.review_task}
        if n_incomplete := platform.complete_review_tasks(review_project, proposals):
            context.result.notes.append(f"{n_incomplete} review tasks had lost their proposal or urgency; restored")
    _update_review_tasks(context, platform, review_project, assigned)
    _keep_tasks_open(context, platform, review_project, assigned)


def ensure_review_project(
    store: Store,
    platform: LabellingPlatform,
    snapshot: ProjectSnapshot,
    tier: str,
    *,
    notes: list[str],
    verifies: bool = False,
) -> str:
    """Return the id of a tier's review project; create or update it if its label config or its webhook changed.

    After a full sync it is compared again, since somebody may have changed its settings, or it may exist twice. A
    review project that cannot have a webhook is only polled: the notes get the reason, and the next turn tries again.
    """
    project = snapshot.project.id
    config = review_label_config(snapshot.config, tier, snapshot.policy)
    instruction = get_instruction(store, project)
    digest = hashlib.sha256(f"{config} {platform.review_webhook_id} {instruction}".encode()).hexdigest()[:16]
    last = store.review_projects.list_review_projects(project).get(tier)
    is_current = last is not None and last.config_digest == digest
    if last is not None and is_current and not verifies:
        return last.id
    title = f"{snapshot.policy.tiers[tier].title or tier} · {snapshot.project.title or project}"
    description = f"Review of project {project}, tier {tier}. hitl creates and updates this project."
    ensured = platform.ensure_review_project(
        ReviewProjectSettings(review_marker(project, tier), title, config, description, instruction),
        known=last.id if last else "",
    )
    review_project = ensured.id
    if ensured.duplicates:
        notes.append(
            f"review projects {', '.join(ensured.duplicates)} were made for tier {tier}, too, and are not used: "
            f"{review_project} is. Delete them in Label Studio if they hold no answers."
        )
    if last is not None and is_current and last.id == review_project:
        return review_project
    row = store.projects.get_project(review_project) or ProjectRow(review_project)
    # before the webhook: its events must find the source project whose turn reads them
    store.projects.save_project(replace(row, title=title, label_config=config, source=project))
    try:
        platform.register_review_webhook(review_project)
    except LabelStudioError as error:
        if not error.is_refusal:
            raise
        digest = ""
        notes.append(f"review project {review_project} has no webhook and is only polled: {error}")
    store.review_projects.save_review_project(project, ReviewProjectRow(review_project, tier, digest))
    return review_project


def _record_imported_tasks(context: ReviewContext, platform: LabellingPlatform) -> None:
    """Record review tasks that were imported just before a kill: people may have answered them already.

    They are among the newest of their review project, and have the key of the case's next review task. What the
    interrupted import left out is added.
    """
    unassigned = [
        replace(case, copies=case.copies + 1)
        for case in context.list_open_cases(in_first_tier=False)
        if case.review_task is None and case.state != "waiting" and case.tier in context.policy.tiers
    ]
    case_of_key = {review_task_key(case): case for case in unassigned}
    tiers, requests = {case.tier for case in unassigned}, RequestRows("record the review task")
    for tier, row in context.store.review_projects.list_review_projects(context.project).items():
        if tier not in tiers:
            continue
        review_project = row.id
        newest = context.store.tasks.list_newest_task_ids(review_project, limit=2 * _MAX_TASKS_PER_TURN)
        for task in context.store.tasks.list_tasks(review_project, only=newest):
            case = case_of_key.pop(str(task.data.get(KEY)), None)
            if case is not None and context.may_write():
                with requests.row(f"task {case.task}"):
                    if _is_deleted(context, platform, review_project, task.id):
                        continue
                    case = context.with_model_answer(case)
                    platform.complete_review_tasks(review_project, {task.id: _make_proposal(context, case)})
                    _record_assignment(context, case, review_project, task.id)


def _is_deleted(context: ReviewContext, platform: LabellingPlatform, review_project: str, task: int) -> bool:
    """Return whether Label Studio no longer has a review task: a deletion of ours may have had no answer."""
    if task in platform.get_tasks_page(review_project, above=task - 1, size=1).annotation_ids:
        return False
    context.store.append(events.deletions(review_project, "task", [task], source="own"), want=None)
    return True


def _create_review_tasks(
    context: ReviewContext, platform: LabellingPlatform, tier: str, review_project: str, cases: Sequence[CaseRow]
) -> None:
    """Import a review task for each case, with honeypots among them."""
    store = context.store
    counted = [context.with_model_answer(replace(case, copies=case.copies + 1)) for case in cases]
    made = compute_rows(
        "make the review task", counted, partial(_make_review_tasks, context), name=lambda case: f"case {case.id}"
    )
    counted = [case for case, review_task in zip(counted, made, strict=True) if review_task is not None]
    review_tasks = [review_task for review_task in made if review_task is not None]
    honeypots = [(case, review_task, True) for case, review_task in choose_honeypots(context, counted)]
    new = [*zip(counted, review_tasks, repeat(False)), *honeypots]

    def import_part(part: Sequence[tuple[CaseRow, ReviewTask, bool]]) -> Sequence[Task]:
        try:
            return platform.import_review_tasks(review_project, [review_task for _case, review_task, _ in part])
        except NotFound as error:
            store.review_projects.forget_review_project(context.project, tier)
            what = f"review project {review_project} of tier {tier} is gone; the next turn makes another one"
            raise LabelStudioError(what) from error  # without its status: no row is the cause
        except LabelStudioError as error:
            if len(part) == 1 and error.is_refusal and not error.of_service:
                context.refused.add(_digest(review_project, part[0][1]))
            raise

    new = [row for row in new if _digest(review_project, row[1]) not in context.refused]
    found = RequestRows("import the review task").compute(new, import_part, name=lambda row: f"task {row[0].task}")
    store.append_tasks([task for task in found if task is not None and task.created_at], source="own")
    for (case, _review_task, is_honeypot), task in zip(new, found, strict=True):
        if task is not None and is_honeypot:
            record_honeypot(store, context.project, tier, review_project, task.id, case)
        elif task is not None:
            _record_assignment(context, case, review_project, task.id)


def _digest(review_project: str, review_task: ReviewTask) -> str:
    content = json.dumps([review_project, review_task.data, review_task.result], sort_keys=True, default=repr)
    return hashlib.sha256(content.encode()).hexdigest()


def _make_review_tasks(context: ReviewContext, cases: Sequence[CaseRow]) -> list[ReviewTask]:
    """Return the content of the cases' review tasks; `copies` of each case already counts its task."""
    snapshot, case_ids = context.snapshot, [case.id for case in cases]
    events = context.store.cases.list_events_of_cases(case_ids)
    reviews = context.store.reviews.list_reviews_of_cases(case_ids)
    return [
        replace(
            _make_proposal(context, case),
            data=review_task_data(case, snapshot, context.votes_on(case.task), reviews[case.id], events[case.id]),
        )
        for case in cases
    ]


def _make_proposal(context: ReviewContext, case: CaseRow) -> ReviewTask:
    """Return what a case's review task shows beside its data: the proposed answer, the urgency, how many may answer."""
    regions = prefilled_regions(case, context.snapshot.control, context.policy)
    return ReviewTask({}, tuple(regions), urgency(case), context.policy.tiers[case.tier].n_reviewers)


def _record_assignment(context: ReviewContext, case: CaseRow, review_project: str, task: int) -> None:
    """Record the review task of a case; `copies` of the case already counts it."""
    blind, shown = is_blind(case, context.policy), shown_digest(case, context.policy)
    changes = {"review_project": review_project, "review_task": task, "copies": case.copies}
    body = {"review_project": review_project, "task": task, "blind": blind}
    context.move(case, "assign", body=body, blind=blind, shown=shown, **changes)


def _update_review_tasks(
    context: ReviewContext, platform: LabellingPlatform, review_project: str, cases: Sequence[CaseRow]
) -> None:
    """Update the review tasks that nobody has begun and that show something else now, up to a number of them a turn.

    A first model serves, a time was promised, or a new policy allows other verdicts. The prediction stays the same row,
    since somebody may have it open.
    """
    policy, changed = context.policy, list[tuple[CaseRow, CaseRow]]()  # as they are, and as they will be
    for case in cases:
        if case.state == "queued" and case.started_s is None and case.review_task is not None:
            now = case if is_blind(case, policy) else context.with_model_answer(case)
            if shown_digest(now, policy) != case.shown:
                changed.append((case, now))
    context.result.more_to_do |= len(changed) > _MAX_UPDATES_PER_TURN
    part = take_in_turn(changed, _MAX_UPDATES_PER_TURN, turn=context.workflow.now_s)
    requests = RequestRows("update the review task")
    for case, now in part:
        task = case.review_task or 0
        if list_human_annotations(context, review_project, [task]) or not context.may_write():
            continue
        with requests.row(f"task {case.task}"):
            (review_task,) = _make_review_tasks(context, [now])
            updated = platform.update_review_task(review_project, task, review_task.data, proposal=review_task)
            context.store.append_tasks([updated], source="own")
            if (now.proposal, now.prediction) == (case.proposal, case.prediction):
                context.store.cases.save_shown(case, shown_digest(case, policy))
            else:
                _record_assignment(context, now, review_project, task)


def _keep_tasks_open(
    context: ReviewContext, platform: LabellingPlatform, review_project: str, cases: Sequence[CaseRow]
) -> None:
    """Reopen the review tasks that were closed before enough counted answers came, for example by an invalid one."""
    reviews = context.store.reviews.list_reviews_of_cases([case.id for case in cases])
    review_tasks = [case.review_task for case in cases if case.review_task is not None]
    rows = {row.id: row for row in context.store.tasks.list_task_rows(review_project, only=review_tasks)}
    requests = RequestRows("keep the review task open")
    for case in cases:
        with requests.row(f"task {case.task}"):
            _keep_task_open(context, platform, rows[case.review_task or 0], case, reviews[case.id])


def _keep_task_open(
    context: ReviewContext, platform: LabellingPlatform, row: TaskRow, case: CaseRow, reviews: Sequence[ReviewRow]
) -> None:
    review_project = case.review_project or ""
    of_stay = [review for review in reviews if (review.round, review.entered_s) == stay_key(case)]
    if not of_stay:
        return  # no person can have closed it
    counted = [review for review in of_stay if review.counted]
    n_answers = sum(review.verdict != SKIP for review in of_stay)
    result = apply_protocol(counted, context.policy.tiers[case.tier])
    overlap = n_answers + max(1, result.n_reviewers - len(counted))
    if context.policy.tiers[case.tier].protocol == "two-reader" and len(counted) >= 2:
        _show_reviews_to_adjudicator(context, platform, review_project, case, reviews)
    annotations = list_human_annotations(context, review_project, [row.id])
    # somebody may just have answered: the next turn reads that before another person is asked
    unread = len({annotation.person for annotation in annotations if not annotation.was_cancelled}) > n_answers
    if (row.is_labeled or row.overlap < overlap) and not unread and context.may_write():
        context.store.append_tasks([platform.reopen_task(review_project, row.id, overlap)], source="own")


def _show_reviews_to_adjudicator(
    context: ReviewContext,
    platform: LabellingPlatform,
    review_project: str,
    case: CaseRow,
    reviews: Sequence[ReviewRow],
) -> None:
    """Add both reviews to the review task, since the third reviewer must see what the first two disagree on."""
    events = context.store.cases.list_case_events(case.id)
    votes = context.votes_on(case.task)
    data = review_task_data(case, context.snapshot, votes, reviews, events, adjudicates=True)
    shown = context.store.tasks.get_task(review_project, case.review_task or 0)
    if shown is not None and shown.data.get(HISTORY) != data[HISTORY] and context.may_write():
        context.store.append_tasks([platform.update_review_task(review_project, shown.id, data)], source="own")


def _withdraw_stale_review_tasks(
    context: ReviewContext, platform: LabellingPlatform, review_project: str, expected: Collection[int | None]
) -> None:
    """Take the open review tasks that are not expected out of the label stream, so that nobody works in vain.

    Their case was decided or moved to another tier, or a kill made an import run twice. A task that somebody has
    answered is part of the case's history and stays, hidden; others are deleted.
    """
    store = context.store
    stale = [row.id for row in store.tasks.list_task_rows(review_project, only_open=True) if row.id not in expected]
    context.result.more_to_do |= len(stale) > _MAX_TASKS_PER_TURN
    requests = RequestRows("withdraw the review task")
    for task in take_in_turn(stale, _MAX_TASKS_PER_TURN, turn=context.workflow.now_s):
        if not context.may_write():
            break
        with requests.row(f"review task {task}"), suppress(NotFound):
            if store.annotations.list_annotations(review_project, tasks=[task]):
                hidden = events.event_from_task(
                    platform.hide_task(review_project, task), "own", seen_s=context.workflow.now_s
                )
                store.append([hidden], want=None)
            elif platform.delete_review_task(review_project, task):
                store.append(events.deletions(review_project, "task", [task], source="own"), want=None)
