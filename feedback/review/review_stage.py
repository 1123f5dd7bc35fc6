"""The review stage of a turn: open cases, read and decide them, act on clocks, assign, write final answers, notify."""

from __future__ import annotations

from collections.abc import Callable

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.assignment import assign_cases
from feedback.review.case_cache import CaseCache
from feedback.review.case_decisions import ChangedReviewCache, decide_cases
from feedback.review.case_triggers import SecondLookCache, has_clock, list_open_requests, open_cases
from feedback.review.case_workflow import CaseWorkflow
from feedback.review.eligibility import Eligibility, EligibilityCache, EligibleVotes, reopen_for_others
from feedback.review.final_answers import write_final_answers
from feedback.review.first_tier import move_first_tier_cases
from feedback.review.notifications import Post, deliver_notifications, notify_requesters
from feedback.review.review_context import ReviewContext, ReviewResult
from feedback.review.sla_breaches import act_on_clocks
from feedback.review.state_machine import OPEN_STATES
from feedback.store import Store
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.model_cache import PredictionCache
from ml_backend.errors import LabelStudioError
from ml_backend.registry import Bundle


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
        self._second_looks = SecondLookCache()
        self._changed_reviews = ChangedReviewCache()

    def exclude_ineligible_votes(self, snapshot: ProjectSnapshot) -> EligibleVotes:
        """Return the snapshot without the votes of people who may not answer in the first tier.

        While Label Studio does not answer, the votes of people whose address we do not know count.
        """
        if not snapshot.policy.people or self._platform is None:
            return EligibleVotes(snapshot)
        if not {vote.person for vote in snapshot.votes} <= self._emails.keys():
            try:
                self._emails = dict(self._platform.list_emails())
            except LabelStudioError:
                return EligibleVotes(snapshot)
        return self._eligibility.exclude(self._store, snapshot, Eligibility(self._emails))

    def run(
        self,
        snapshot: ProjectSnapshot,
        consensus_labels: ConsensusLabels,
        champion: Bundle | None,
        prediction_cache: PredictionCache,
        *,
        eligible: EligibleVotes | None = None,
        sync_review_project: Callable[[str], object] = lambda _review_project: None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> ReviewResult:
        """Move the cases of a project as far as they can be moved now. Safe to run twice, or to kill at any point.

        Parameters
        ----------
        eligible
            The excluded votes, whose tasks are reopened for other people.
        sync_review_project
            Collects what changed in a review project; called with its id.
        may_write
            Asked before each write to Label Studio.
        """
        store, policy, project = self._store, snapshot.policy, snapshot.project.id
        notifies = bool(eligible and eligible.excluded) or bool(policy.notify)
        has_review = len(policy.tiers) > 1 or has_clock(policy.tiers[policy.first_tier])
        is_needed = notifies or has_review or store.cases.list_cases(project, states=OPEN_STATES)
        if not (is_needed or list_open_requests(store, project, policy)):
            return ReviewResult()
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
            act_on_clocks(context, None)
            return
        decide_cases(context, platform.list_emails, self._changed_reviews)
        act_on_clocks(context, platform)
        if eligible is not None:
            reopen_for_others(context, platform, eligible)
        assign_cases(context, platform)
        write_final_answers(context, platform)
