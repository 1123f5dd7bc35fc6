"""Deciding cases: in the first tier by the votes in the source project, in others by the protocol of their reviews."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from feedback.project.incremental_caches import Changes, RecentProjects
from feedback.review.case_state_machine import ESCALATED, SECOND_LOOK, priority_value
from feedback.review.case_triggers import SKIPPED, blocked_reason
from feedback.review.eligibility import escalates, find_involved
from feedback.review.overrides import override_of_review
from feedback.review.protocols import apply_protocol
from feedback.review.review_answers import new_reviews, parse_review, read_reviews
from feedback.review.review_context import Cases, ReviewContext, in_current_round
from feedback.review.review_task_content import KEY, SKIP, read_review_task_key, review_task_key_prefix
from feedback.store import CaseEvent, CaseRow, ReviewRow, Skip, Store, Vote
from feedback.training.dataset import ConsensusLabel
from ml_backend.errors import NotFound
from ml_backend.left_out import contained
from ml_backend.number_format import format_percent
from ml_backend.records import Annotation, Answer, Task

_DECIDED = "came after the case was decided"
_MOVED_ON = "came after the case had moved on"


@dataclass(frozen=True, slots=True)
class _Checked:
    """Up to where a project's saved reviews were compared with their annotations."""

    cases: Changes
    heads: Mapping[str, int]  # last event of the log of each review project
    changed: Sequence[tuple[int, str, int]]  # reviews that had changed then


@dataclass(frozen=True, slots=True)
class ReviewChanges:
    """The saved reviews that changed, and where an answer may have come too late since the last time."""

    changed: Sequence[tuple[int, str, int]]  # (case, review project, annotation)
    cases: Sequence[int] | None = None  # the cases that moved since; None: any
    annotations: Mapping[str, Collection[int]] = field(default_factory=dict)  # the new ones, by review project


class ChangedReviewCache:
    """Finds saved reviews whose annotation changed since; only what happened since the last time is compared.

    What it finds is always what `store.reviews.list_changed_reviews` returns for the whole project.
    """

    def __init__(self) -> None:
        self._checked = RecentProjects[_Checked]()

    def find(self, store: Store, project: str, cases: Cases) -> ReviewChanges:
        """Return the reviews that changed, and what else happened in the review projects since the last time."""
        last = self._checked.get(project)
        heads = {
            number: store.events.get_head(number) for number in store.review_projects.list_review_project_ids(project)
        }
        tasks = None if last is None else cases.changes.since(last.cases.revision)
        changed_cases, annotations = None, dict[str, set[int]]()
        if last is None or tasks is None:
            found = store.reviews.list_changed_reviews(project)
        else:
            for _case, number, annotation in last.changed:
                annotations.setdefault(number, set()).add(annotation)
            for number, head in heads.items():
                if (seen := last.heads.get(number, 0)) != head:
                    annotations.setdefault(number, set()).update(store.events.list_changes(number, seen).annotations)
            changed_cases = [cases.by_task[task].id for task in tasks if task in cases.by_task]
            found = store.reviews.list_changed_reviews(project, cases=changed_cases, annotations=annotations)
        self._checked.put(project, _Checked(cases.changes, heads, found), size=len(found))
        return ReviewChanges(found, changed_cases, annotations)


def decide_cases(
    context: ReviewContext, list_emails: Callable[[], Mapping[int, str]], changed_reviews: ChangedReviewCache
) -> None:
    """Read the new reviews of all open cases and move each case as far as its protocol allows.

    Answers that come after their case was decided, or has moved on, are kept as reviews that do not count.
    `list_emails` returns the e-mail address of each user of Label Studio; it is called only if there are reviews.
    """
    _sync_review_projects(context)
    found = changed_reviews.find(context.store, context.project, context.cases)
    for case_id, review_project, annotation in found.changed:
        with contained("read the changed review", f"case {case_id}"):
            _reopen_changed(context, case_id, review_project, annotation)
    _decide_open_cases(context, list_emails)
    _save_late_reviews(context, found)


def _decide_open_cases(context: ReviewContext, list_emails: Callable[[], Mapping[int, str]]) -> None:
    cases = [case for case in context.list_open_cases(in_first_tier=False) if case.state != "waiting"]
    if not cases:
        return
    events = context.store.cases.list_events_of_cases([case.id for case in cases])
    review_tasks = {case.id: _find_review_tasks(events[case.id]) for case in cases}
    given = _group_annotations(context, chain.from_iterable(review_tasks.values()))
    answered = [case for case in cases if review_tasks[case.id].keys() & given.keys()]
    saved = context.store.reviews.list_reviews_of_cases([case.id for case in answered])
    skips = context.skips_on([case.task for case in answered])
    for case in answered:
        with contained("read the reviews", f"case {case.id}"):
            answers = [
                (annotation, is_blind)
                for made, is_blind in review_tasks[case.id].items()
                if made in given and _belongs_to_stay(context.store.tasks.get_task(*made), case)
                for annotation in given[made]
            ]
            if not answers:
                continue
            involved = find_involved(
                case,
                context.policy,
                votes=context.votes_on(case.task),
                skips=skips.get(case.task, ()),
                reviews=saved[case.id],
                current={annotation.id for annotation, _is_blind in answers},
            )
            reviews = read_reviews(case, answers, context.snapshot.control, context.policy, list_emails(), involved)
            if new := new_reviews(reviews, saved[case.id]):
                _move_by_protocol(context, case, reviews, new)


def _group_annotations(
    context: ReviewContext, review_tasks: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], list[Annotation]]:
    """Return the annotations of people on these review tasks, by review project and task."""
    tasks_of: dict[str, list[int]] = {}
    for review_project, task in review_tasks:
        tasks_of.setdefault(review_project, []).append(task)
    found: dict[tuple[str, int], list[Annotation]] = {}
    for review_project, tasks in tasks_of.items():
        for annotation in list_human_annotations(context, review_project, tasks):
            found.setdefault((review_project, annotation.task or 0), []).append(annotation)
    return found


def _save_late_reviews(context: ReviewContext, found: ReviewChanges) -> None:
    store = context.store
    late = store.reviews.list_late_annotations(context.project, cases=found.cases, annotations=found.annotations)
    cases = {case: store.cases.get_case(case) for case in {case for case, _project, _annotation in late}}
    reviews: list[ReviewRow] = []
    for case_id, review_project, number in late:
        case = cases[case_id]
        with contained("read the late reviews", f"case {case_id}"):
            reviews += _read_late_reviews(context, case, review_project, number)
    if reviews:
        store.reviews.save_reviews(reviews)


def _read_late_reviews(context: ReviewContext, case: CaseRow, review_project: str, number: int) -> list[ReviewRow]:
    store, policy, reviews = context.store, context.policy, list[ReviewRow]()
    for annotation in store.annotations.list_annotations(review_project, only=[number]):
        shown = store.tasks.get_task(review_project, annotation.task or 0)
        round_number, tier = read_review_task_key(str(shown.data.get(KEY, "")) if shown else "")
        if annotation.person in context.snapshot.project.bots or tier not in policy.tiers:
            continue
        review = parse_review(
            annotation, context.snapshot.control, policy, case=case.id, round_number=round_number, tier=tier
        )
        moved = (round_number, tier) == (case.round, case.tier) and case.state in ("decided", "resolved")
        reviews.append(replace(review, review_project=review_project, refused=_DECIDED if moved else _MOVED_ON))
    return reviews


def move_first_tier_cases(context: ReviewContext) -> None:
    """Move the open cases of the first tier as far as the votes and skips in the source project allow."""
    cases = context.list_open_cases(in_first_tier=True)
    if not cases:
        return
    labels = {label.task: label for label in context.consensus_labels.settled}
    skips = context.skips_on([case.task for case in cases])
    for case in cases:
        with contained("move the case", f"case {case.id}"):
            votes = in_current_round(case, context.votes_on(case.task))
            _move_by_votes(
                context, case, votes, in_current_round(case, skips.get(case.task, ())), labels.get(case.task)
            )


def leading_answer(votes: Sequence[Vote]) -> Answer | None:
    """Return the answer that more people gave than any other; None for a tie."""
    counts = Counter(vote.answer for vote in votes).most_common(2)
    return counts[0][0] if counts and (len(counts) == 1 or counts[0][1] > counts[1][1]) else None


def list_human_annotations(context: ReviewContext, review_project: str, tasks: Collection[int]) -> list[Annotation]:
    """Return people's annotations of a review task, skips included, without imports and without our own."""
    bots = context.snapshot.project.bots
    return [
        annotation
        for annotation in context.store.annotations.list_annotations(review_project, tasks=tasks)
        if annotation.person not in bots and not annotation.imported
    ]


def _find_review_tasks(events: Sequence[CaseEvent]) -> dict[tuple[str, int], bool]:
    """Return whether each review task of a case, as (review project, task), is blind, since it came to its tier.

    Earlier review tasks are included: somebody may have answered one before it was deleted, and a new policy may make a
    tier blind.
    """
    found: dict[tuple[str, int], bool] = {}
    for event in events:
        if event.event in ("open", "escalate", "recall", "reopen", "answered"):
            found = {}
        elif event.event == "assign":
            found[str(event.body["review_project"]), int(event.body["task"])] = bool(event.body.get("blind"))
    return found


def _move_by_votes(
    context: ReviewContext, case: CaseRow, votes: Sequence[Vote], skips: Sequence[Skip], label: ConsensusLabel | None
) -> None:
    """Settle, escalate or start a case by the consensus, votes and skips of its present round."""
    policy = context.policy
    if label is not None and votes:
        note = f"{label.votes} answered, {format_percent(label.support)} the same"
        body = {"answer": label.answer.key}
        context.move(case, "settle", note=note, person=votes[-1].person, body=body, answer=label.answer)
        return
    skipped = bool(skips) and policy.tiers[case.tier].skip_means == "escalate"
    wants_votes = case.task in context.consensus_labels.needs_more_votes
    blocked = blocked_reason(len(votes), wants_votes=wants_votes, skipped=skipped)
    if blocked is not None and policy.tier_after(case.tier) is not None:
        why, rule = blocked
        person = skips[-1].person if rule == SKIPPED else None
        leading = leading_answer(votes)
        proposal: dict[str, Any] = {"proposal": leading, "proposed_by": "people"} if leading is not None else {}
        context.move(case, "escalate", note=why, person=person, why=why, rule=rule, **proposal)
        return
    actions = [*((vote.at_s, vote.person) for vote in votes), *((skip.at_s, skip.person) for skip in skips)]
    if actions and case.started_s is None:
        at_s, person = min(actions)
        context.move(case, "start", person=person, note="the first answer is there", body={"at_s": at_s})


def _sync_review_projects(context: ReviewContext) -> None:
    """Collect what webhooks missed; forget a review project that was deleted, so that it is created again."""
    for tier, row in context.store.review_projects.list_review_projects(context.project).items():
        try:
            context.sync_review_project(row.id)
        except NotFound:
            context.store.review_projects.forget_review_project(context.project, tier)


def _belongs_to_stay(review_task: Task | None, case: CaseRow) -> bool:
    """Return whether a task is of this stay of the case: Label Studio on SQLite reuses the ids of deleted tasks."""
    return review_task is not None and str(review_task.data.get(KEY, "")).startswith(review_task_key_prefix(case))


def _reopen_changed(context: ReviewContext, case_id: int, review_project: str, annotation_id: int) -> None:
    """Start another round of a case whose deciding answer was changed or withdrawn."""
    store, policy = context.store, context.policy
    case = store.cases.get_case(case_id)
    reviews = store.reviews.list_reviews_of_cases([case_id])[case_id]
    saved = next(review for review in reviews if review.annotation == annotation_id)
    parsed = None
    for annotation in store.annotations.list_annotations(review_project, only=[annotation_id]):
        parsed = parse_review(
            annotation, context.snapshot.control, policy, case=case_id, round_number=case.round, tier=case.tier
        )
        saved = replace(saved, annotation_version=annotation.updated_at)
    if parsed is not None and (parsed.verdict, parsed.answer or saved.answer) == (saved.verdict, saved.answer):
        store.reviews.save_reviews([saved])  # only the comment changed, or nothing
    elif case.state in ("decided", "resolved") and case.tier in policy.tiers:
        change = "withdrawn" if parsed is None else "changed"
        proposal = parsed.answer if parsed is not None else None
        proposed_by = case.tier if proposal else ""
        if case.rule == SECOND_LOOK:  # the next reviewer sees no earlier answer either; the one before it is valid
            proposal, proposed_by = case.proposal, case.proposed_by
        new = CaseRow(
            case.project,
            case.task,
            "queued",
            case.tier,
            priority=priority_value("normal"),
            why=f"the answer that decided it was {change}",
            rule=SECOND_LOOK if case.rule == SECOND_LOOK else ESCALATED,
            skills=case.skills,
            segment=case.segment,
            measures=case.measures,
            proposal=proposal,
            proposed_by=proposed_by,
        )
        context.reopen(case, new)


def _move_by_protocol(
    context: ReviewContext, case: CaseRow, reviews: Sequence[ReviewRow], new: Sequence[ReviewRow]
) -> None:
    """Move a case by its reviews; the new ones are saved in the same transaction."""
    counted = sorted(
        (review for review in reviews if review.counted), key=lambda review: (review.at_s, review.annotation)
    )
    result = apply_protocol(counted, context.policy.tiers[case.tier])
    skip = next((review for review in new if review.verdict == SKIP and escalates(review, context.policy)), None)
    if skip is not None and result.outcome == "wait" and context.policy.tier_after(case.tier):
        context.escalate(case, "a reviewer skipped it", reviews=new, person=skip.person)
        return
    if not any(review.counted for review in new):
        _handle_uncounted(context, case, new)
        return
    tier_above, last = context.policy.tier_after(case.tier), counted[-1]
    note = result.note or _verdict_note(last, context)
    options: dict[str, Any] = {"reviews": new, "person": last.person}
    if result.outcome == "guideline":
        moved = context.move(case, "ask", note=last.comment or note, **options)
    elif result.outcome == "decide" or (result.outcome == "none" and not tier_above):
        options["body"] = {"answer": result.answer.key if result.answer else None}
        moved = context.move(case, "decide", note=note, answer=result.answer, **options)
    elif result.outcome in ("escalate", "none") and tier_above:
        newest = next((review.answer for review in reversed(counted) if review.answer is not None), case.proposal)
        proposal = None if result.outcome == "none" else newest
        proposed_by = case.tier if proposal is not None else ""
        moved = context.escalate(case, note, proposal=proposal, proposed_by=proposed_by, **options)
    else:
        moved = context.move(case, "review", note=note, **options)
    if moved is not None:
        rows = [override_of_review(review, context.snapshot, case) for review in new]
        context.store.overrides.save_overrides([row for row in rows if row is not None])


def _handle_uncounted(context: ReviewContext, case: CaseRow, new: Sequence[ReviewRow]) -> None:
    """Handle new reviews of which none counts: one that is refused reopens the case, a skip starts it."""
    refused = [review for review in new if review.verdict != SKIP]
    last = refused[-1] if refused else new[-1]
    if refused:
        context.move(case, "refuse", reviews=new, person=last.person, note=last.refused)
    elif case.started_s is None:
        context.move(case, "start", reviews=new, person=last.person, note="skipped; others are asked")
    else:
        context.store.reviews.save_reviews(new)


def _verdict_note(review: ReviewRow, context: ReviewContext) -> str:
    reason = context.policy.reasons.get(review.reason, review.reason)
    return ": ".join(part for part in (review.verdict, reason) if part)
