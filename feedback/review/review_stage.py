"""The review stage of a turn: open cases, read and decide them, act on clocks, assign, write final answers, notify."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.labelling_platform.verification import is_verification_due, record_verification
from feedback.policy.tiers import Tier
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.assignment import assign_cases
from feedback.review.case_decisions import ChangedReviewCache, decide_cases, move_first_tier_cases
from feedback.review.case_state_machine import OPEN_STATES, CaseWorkflow
from feedback.review.case_triggers import SecondLookCache, has_clock, list_open_requests, open_cases
from feedback.review.eligibility import EligibilityCache, EligibleVotes, reopen_for_others
from feedback.review.final_answers import write_final_answers
from feedback.review.notifications import Post, deliver_notifications, notify_requesters, record_notification
from feedback.review.review_context import CaseCache, ReviewContext, ReviewResult
from feedback.review.sla_clock import Alarm, new_alarms
from feedback.store import CaseRow, Store
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.model_cache import PredictionCache
from ml_backend.errors import LabelStudioError
from ml_backend.left_out import contained
from ml_backend.registry import Bundle

_MAX_DRAFT_REQUESTS = 50  # a turn: each case is one request


class ReviewStage:
    """The review of every project of one store.

    Without a platform, cases are opened and those of the first tier decided, but nothing is assigned or written.
    """

    def __init__(
        self, store: Store, platform: LabellingPlatform | None, *, clock: Callable[[], float], post: Post | None = None
    ) -> None:
        self._store = store
        self._platform = platform
        self._clock = clock
        self._post = post
        self._emails: dict[int, str] = {}  # asked for when somebody new has answered
        self._eligibility = EligibilityCache()
        self._cases = CaseCache()
        self._refused: dict[str, set[str]] = {}  # by project
        self._second_looks = SecondLookCache()
        self._changed_reviews = ChangedReviewCache()

    def exclude_ineligible_votes(self, snapshot: ProjectSnapshot) -> EligibleVotes:
        """Return the snapshot without the votes that do not count in the first tier.

        While Label Studio does not answer, the votes of people whose address we do not know count.
        """
        return self._eligibility.exclude(self._store, snapshot, self._list_emails_of(snapshot))

    def _list_emails_of(self, snapshot: ProjectSnapshot) -> Mapping[int, str] | None:
        """Return the address of each user; None where the policy names nobody, or Label Studio does not answer."""
        if not snapshot.policy.people or self._platform is None:
            return None
        if not {vote.person for vote in snapshot.votes} <= self._emails.keys():
            try:
                self._emails = dict(self._platform.list_emails())
            except LabelStudioError:
                return None
        return self._emails

    def run(
        self,
        snapshot: ProjectSnapshot,
        consensus_labels: ConsensusLabels,
        champion: Bundle | None,
        prediction_cache: PredictionCache,
        *,
        eligible: EligibleVotes | None,
        sync_review_project: Callable[[str], object],
        may_write: Callable[[], bool],
    ) -> ReviewResult:
        """Move the cases of a project as far as they can be moved now. Safe to run twice, or to kill at any point.

        The tasks of excluded votes are reopened for other people. `sync_review_project` collects what changed in the
        review project of an id; `may_write` is asked before each write to Label Studio.
        """
        store, policy, project = self._store, snapshot.policy, snapshot.project.id
        notifies = bool(eligible and eligible.excluded) or bool(policy.notify)
        has_review = len(policy.tiers) > 1 or has_clock(policy.tiers[policy.first_tier])
        is_needed = notifies or has_review or store.cases.list_cases(project, states=OPEN_STATES)
        if not (is_needed or list_open_requests(store, project, policy)):
            return ReviewResult()
        verifies = is_verification_due(store, project, "review")
        if verifies:
            self._refused.pop(project, None)
        context = ReviewContext(
            store=store,
            workflow=CaseWorkflow(store, project, policy, now_s=self._clock()),
            snapshot=snapshot,
            consensus_labels=consensus_labels,
            champion=champion,
            prediction_cache=prediction_cache,
            sync_review_project=sync_review_project,
            may_write=may_write,
            cases=self._cases.read(store, project),
            verifies=verifies,
            refused=self._refused.setdefault(project, set()),
        )
        open_cases(context, self._second_looks)
        move_first_tier_cases(context)
        try:
            self._work_on_platform(context, eligible)
        except LabelStudioError as error:
            context.result.notes.append(f"review goes on later: {error}")
        notify_requesters(context)
        if self._post is not None:
            now_s = self._clock()
            context.result.notes += deliver_notifications(store, project, policy, self._post, now_s=now_s)
        return context.result

    def _work_on_platform(self, context: ReviewContext, eligible: EligibleVotes | None) -> None:
        platform = self._platform if context.snapshot.project.connected else None
        if platform is None:
            _act_on_clocks(context, None)
            return
        list_emails = cache(platform.list_emails)  # once a turn, and only where somebody has to be named
        decide_cases(context, list_emails, self._changed_reviews)
        _act_on_clocks(context, platform)
        if eligible is not None:
            reopen_for_others(context, platform, eligible)
        assign_cases(context, platform, list_emails)
        write_final_answers(context, platform)
        if context.verifies and context.may_write():
            record_verification(context.store, context.project, "review")


def _act_on_clocks(context: ReviewContext, platform: LabellingPlatform | None) -> None:
    """Check the clocks of all open cases, and do what their tier says about each new alarm."""
    cases = context.list_open_cases()
    if platform is not None:
        cases = _start_cases_with_drafts(context, cases, platform)
    for case in cases:
        with contained("watch the clocks", f"case {case.id}"):
            _act_on_case_alarms(context, case)


def _act_on_case_alarms(context: ReviewContext, case: CaseRow) -> None:
    """Do what the tier says about each new alarm of one case."""
    tier, workflow, current = context.policy.tiers.get(case.tier), context.workflow, case
    if tier is None:
        return
    for alarm in new_alarms(case, tier, workflow.calendar(case.tier), workflow.now_s):
        moved = _act_on_alarm(context, current, tier, alarm)
        if moved is None or (moved.entered_s, moved.tier) != (case.entered_s, case.tier):
            break  # somebody else moved it, or the alarm has restarted its clocks
        current = moved


def _act_on_alarm(context: ReviewContext, case: CaseRow, tier: Tier, alarm: Alarm) -> CaseRow | None:
    why = f"the {alarm.clock} clock {'has run out' if alarm.breached else 'is at risk'}"
    body = {"clock": alarm.clock, "breached": alarm.breached, "late_s": round(alarm.late_s, 1)}
    breaches = case.breaches + alarm.breached
    if alarm.breached and tier.on_breach == "escalate" and context.policy.tier_after(case.tier):
        moved = context.escalate(case, why, body=body, breaches=breaches)
    elif alarm.breached and tier.on_breach == "reassign" and case.tier != context.policy.first_tier:
        moved = context.move(case, "reassign", note=why, body=body, breaches=breaches)
    else:
        alarms = (*case.alarms, alarm.name)
        moved = context.move(case, "warn", note=why, body=body, breaches=breaches, alarms=alarms)
    if moved is not None:
        record_notification(context.store, moved, why, tier.notify, now_s=context.workflow.now_s, at_tier=case.tier)
    return moved


def _start_cases_with_drafts(
    context: ReviewContext, cases: list[CaseRow], platform: LabellingPlatform
) -> list[CaseRow]:
    """Start the queued cases whose task has a draft; return all cases as they are then.

    Label Studio sends no event for a draft, so we ask about the cases whose first-action clock runs, soonest due first.
    """
    case_of_task: dict[int, CaseRow] = {}
    for case in cases:
        task = case.task if case.tier == context.policy.first_tier else case.review_task
        if case.state == "queued" and case.started_s is None and case.first_due_s is not None and task is not None:
            case_of_task[task] = case
    soonest = sorted(case_of_task, key=lambda task: case_of_task[task].first_due_s or 0.0)[:_MAX_DRAFT_REQUESTS]
    started: dict[int, CaseRow] = {}
    for task, (person, at_s) in platform.list_first_drafts(soonest).items() if soonest else ():
        case = case_of_task[task]
        if at_s < case.entered_s:
            continue  # left from an earlier stay
        moved = context.move(case, "start", person=person, note="a draft was seen", started_s=at_s)
        if moved is not None:
            started[case.id] = moved
    return [started.get(case.id, case) for case in cases]
