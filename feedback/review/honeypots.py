"""Honeypots: cases whose answer is known, put among the others, so that reviewers are measured where truth is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from feedback.labelling_platform.interface import ReviewTask
from feedback.review import sla_clock
from feedback.review.case_workflow import SECOND_LOOK
from feedback.review.review_answers import parse_review
from feedback.review.review_context import ReviewContext
from feedback.review.review_task_content import case_history, describe_case, review_task_data
from feedback.stats.hash_sampling import draw
from feedback.store import CaseRow, Record, ReviewRow, Store
from feedback.store.log.projections import epoch_s

HONEYPOT_ROUND = 0  # of a look at a honeypot: no round of any case
_RECORD_KIND = "honeypot"
_MAX_RECORDS = 1000  # honeypots that are remembered at once


def choose_honeypots(context: ReviewContext, keys: Sequence[str]) -> list[tuple[CaseRow, ReviewTask]]:
    """A known case for a share of new copies, drawn by their keys; nothing tells it from a second look.

    Known are cases that several people decided alike, or that went through more than one tier.
    """
    share = context.snapshot.policy.second_look.honeypots
    secret = context.snapshot.draws.secret
    drawn = [key for key in keys if share and draw(secret, "honeypot", key) < share]
    if not drawn:
        return []
    known = [
        case
        for case in context.store.cases.list_cases(context.project, states=("resolved",))
        if case.answer is not None
    ]
    reviews = context.store.reviews.list_reviews_of_cases([case.id for case in known])
    sure = [case for case in known if case.task in context.snapshot.tasks and _n_agreeing(case, reviews[case.id]) >= 2]
    if not sure:
        return []
    chosen = [sure[int(draw(secret, "honeypot case", key) * len(sure))] for key in drawn]
    # of a decided case, too: a number that no case has would tell a honeypot, and one that waits would be taken for it
    numbers = [sure[int(draw(secret, "honeypot number", key) * len(sure))].id for key in drawn]
    pots = zip(chosen, drawn, numbers, strict=True)
    return [(case, _as_review_task(context, case, key, number)) for case, key, number in pots]


def record_honeypot(store: Store, project: str, tier: str, room: str, task: int, case: CaseRow) -> None:
    """Note that a task of a review project is a honeypot."""
    store.records.create_record(
        project, _RECORD_KIND, {"room": room, "task": task, "case": case.id, "tier": tier}, key=f"{room}/{task}"
    )


def list_honeypots(store: Store, project: str) -> dict[str, dict[int, Record]]:
    """The newest honeypots, by room and task."""
    found: dict[str, dict[int, Record]] = {}
    for record in store.records.list_records(project, _RECORD_KIND, limit=_MAX_RECORDS):
        found.setdefault(str(record.body["room"]), {})[int(record.body["task"])] = record
    return found


def read_honeypot_reviews(context: ReviewContext, pots: Mapping[str, Mapping[int, Record]]) -> None:
    """Keep what reviewers said of honeypots; it counts for their accuracy and for nothing else."""
    store, snapshot = context.store, context.snapshot
    closed = {
        (room, row.id): record
        for room, records in pots.items()
        for row in store.tasks.list_task_rows(room)
        if (record := records.get(row.id)) is not None and row.is_labeled
    }
    known = {
        (review.review_project, review.annotation)
        for review in store.reviews.list_reviews(context.project)
        if review.round == HONEYPOT_ROUND
    }
    reviews: list[ReviewRow] = []
    for (room, task), record in closed.items():
        for one in store.annotations.list_annotations(room, task=task):
            if (room, one.id) in known or one.was_cancelled or one.imported:
                continue
            said = parse_review(one, snapshot.control, snapshot.policy)
            body: Mapping[str, Any] = record.body
            reviews.append(
                ReviewRow(
                    review_project=room,
                    annotation=one.id,
                    case=int(body["case"]),
                    round=HONEYPOT_ROUND,
                    tier=str(body["tier"]),
                    entered_s=0.0,
                    person=one.person,
                    verdict=said.verdict,
                    answer=said.answer,
                    reason=said.reason,
                    comment=said.comment,
                    feedback=said.feedback,
                    shown=None,
                    seen=one.updated_at,
                    at_s=epoch_s(one.updated_at),
                    lead_time_s=one.lead_time_s,
                    counted=False,
                    refused="",
                )
            )
    if reviews:
        store.reviews.save_reviews(reviews)


def _n_agreeing(case: CaseRow, reviews: Sequence[ReviewRow]) -> int:
    """How many people gave the final answer."""
    return len({review.person for review in reviews if review.counted and review.answer == case.answer})


def _as_review_task(context: ReviewContext, case: CaseRow, key: str, number: int) -> ReviewTask:
    """A known case as a second look at it would be handed out beside the copy of this key, under another number."""
    tier = key.split("-", 3)[3].rpartition("-")[0]
    fresh = CaseRow(context.project, case.task, "queued", tier, id=number, rule=SECOND_LOOK, copies=1)
    shown = sla_clock.start_clocks(
        fresh, context.snapshot.policy.tiers[tier], context.workflow.calendar(tier), context.workflow.now_s
    )
    about, before = describe_case(shown, context.snapshot), case_history(shown, context.snapshot, (), (), ())
    return ReviewTask(review_task_data(shown, context.snapshot.tasks[case.task].data, about, before), (), 0.5, 1)
