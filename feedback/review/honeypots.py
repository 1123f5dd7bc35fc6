"""Honeypots: decided cases among the review tasks, by which the accuracy of reviewers is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from feedback.review import sla_clock
from feedback.review.case_state_machine import SECOND_LOOK, priority_value
from feedback.review.review_answers import parse_review
from feedback.review.review_context import ReviewContext
from feedback.review.review_task_content import review_task_data, review_task_key
from feedback.stats.hash_sampling import draw
from feedback.store import CaseRow, Record, ReviewRow, Store, urgency
from ml_backend.labelstudio.review_project_client import ReviewTask
from ml_backend.left_out import contained

HONEYPOT_ROUND = 0  # the round of a honeypot's review; the rounds of a case begin with 1
_RECORD_KIND = "honeypot"
_MAX_RECORDS = 1000  # newest honeypots that are read
_MAX_CASES = 1000  # newest cases that honeypots are made of


def choose_honeypots(context: ReviewContext, new: Sequence[CaseRow]) -> list[tuple[CaseRow, ReviewTask]]:
    """Return decided cases, each with a review task for it, to be mixed with a random share of these new review tasks.

    Only cases whose final answer at least two reviewers gave are used. The task looks like that of a second look.
    """
    share, secret = context.policy.second_look.honeypots, context.snapshot.splits.secret
    keys = {review_task_key(case): case.tier for case in new} if share else {}
    drawn = {key: tier for key, tier in keys.items() if draw(secret, "honeypot", key) < share}
    if not drawn:
        return []
    agreed = context.store.cases.list_agreed_cases(context.project, n_people=2, limit=_MAX_CASES)
    certain = [case for case in agreed if case.task in context.snapshot.tasks]
    chosen: list[tuple[CaseRow, ReviewTask]] = []
    for key, tier in drawn.items() if certain else ():
        case = certain[int(draw(secret, "honeypot case", key) * len(certain))]
        # the number on the task is that of a decided case, too: one that no case has would give the honeypot away, and
        # one of an open case would be taken for that case
        number = certain[int(draw(secret, "honeypot number", key) * len(certain))].id
        second_look = CaseRow(context.project, case.task, "queued", tier, id=number, rule=SECOND_LOOK, copies=1)
        second_look = replace(second_look, priority=priority_value("low"))
        calendar, now_s = context.workflow.calendar(tier), context.workflow.now_s
        shown = sla_clock.start_clocks(second_look, context.policy.tiers[tier], calendar, now_s)
        chosen.append((case, ReviewTask(review_task_data(shown, context.snapshot), (), urgency(shown), 1)))
    return chosen


def record_honeypot(store: Store, project: str, tier: str, review_project: str, task: int, case: CaseRow) -> None:
    """Record that a review task is a honeypot made of a case."""
    body = {"review_project": review_project, "task": task, "case": case.id, "tier": tier}
    store.records.create_record(project, _RECORD_KIND, body, key=f"{review_project}/{task}")


def list_honeypots(store: Store, project: str) -> dict[str, dict[int, Record]]:
    """Return the newest honeypots by review project and task."""
    found: dict[str, dict[int, Record]] = {}
    for record in store.records.list_records(project, _RECORD_KIND, limit=_MAX_RECORDS):
        found.setdefault(str(record.body["review_project"]), {})[int(record.body["task"])] = record
    return found


def save_honeypot_reviews(context: ReviewContext, honeypots: Mapping[str, Mapping[int, Record]]) -> None:
    """Save the reviews of honeypots; they are used for the reviewers' accuracy and for nothing else."""
    store, snapshot = context.store, context.snapshot
    reviews: list[ReviewRow] = []
    for review_project, records in honeypots.items():
        closed = [row.id for row in store.tasks.list_task_rows(review_project, only=list(records)) if row.is_labeled]
        unsaved = store.reviews.list_unsaved_annotations(review_project, closed)
        for annotation in store.annotations.list_annotations(review_project, only=unsaved):
            if annotation.task is None or annotation.imported:
                continue
            record = records[annotation.task]
            case, tier = int(record.body["case"]), str(record.body["tier"])
            with contained("read the review", f"review task {annotation.task}"):
                review = parse_review(
                    annotation, snapshot.control, snapshot.policy, case=case, round_number=HONEYPOT_ROUND, tier=tier
                )
                reviews.append(replace(review, review_project=review_project))
    if reviews:
        store.reviews.save_reviews(reviews)
