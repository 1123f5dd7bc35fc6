"""The desk: one round over a project's cases: open, settle, read and decide, watch, hand out, bring back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.assignment import assign_cases
from feedback.review.case_decisions import decide_cases
from feedback.review.case_triggers import list_open_requests, open_cases
from feedback.review.case_workflow import CaseWorkflow
from feedback.review.eligibility import Eligibility, EligibleVotes, exclude_ineligible_votes, reopen_for_others
from feedback.review.final_answers import write_final_answers
from feedback.review.first_tier import move_first_tier_cases
from feedback.review.notifications import Post, deliver_notifications, notify_requesters
from feedback.review.review_context import ModelAnswer, ReviewContext, ReviewResult
from feedback.review.sla_breaches import act_on_clocks
from feedback.review.state_machine import OPEN_STATES
from feedback.store import Store
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.explanations import opinion
from feedback.training.model_cache import PredictionCache
from ml_backend.errors import LabelStudioError
from ml_backend.records import Answer
from ml_backend.registry import Bundle


class ReviewStage:
    """Review of every project over one store; without rooms it opens and settles cases, and hands nothing out."""

    def __init__(
        self, store: Store, platform: LabellingPlatform | None, *, clock: Callable[[], float], post: Post | None = None
    ) -> None:
        self._store = store
        self._platform = platform
        self._clock = clock
        self._post = post
        self._emails: dict[int, str] = {}  # asked of Label Studio when somebody new has answered

    def exclude_ineligible_votes(self, snapshot: ProjectSnapshot) -> EligibleVotes:
        """The scene without the votes that do not count: of people who may not answer in the first tier.

        While Label Studio is away, votes of people whom we do not know yet count.
        """
        if not snapshot.policy.people or self._platform is None:
            return EligibleVotes(snapshot)
        if not {vote.person for vote in snapshot.votes} <= set(self._emails):
            try:
                self._emails = dict(self._platform.list_emails())
            except LabelStudioError:
                return EligibleVotes(snapshot)
        return exclude_ineligible_votes(self._store, snapshot, Eligibility(self._emails))

    def run(
        self,
        snapshot: ProjectSnapshot,
        consensus_labels: ConsensusLabels,
        champion: Bundle | None,
        prediction_cache: PredictionCache,
        *,
        eligible: EligibleVotes | None = None,
        sync_review_project: Callable[[str], object] = lambda _room: None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> ReviewResult:
        """Do whatever the cases of a project ask for now. Safe to run twice, or to kill anywhere.

        `sync_review_project` brings in what changed in a review project, `may_write`
        is asked before each write to Label Studio.
        """
        store, policy = self._store, snapshot.policy
        waits = bool(eligible and eligible.excluded) or bool(policy.notify)
        asked = waits or policy_has_review(snapshot) or store.cases.list_cases(snapshot.project.id, states=OPEN_STATES)
        if not (asked or list_open_requests(store, snapshot.project.id, policy)):
            return ReviewResult()
        workflow = CaseWorkflow(self._store, snapshot.project.id, snapshot.policy, now_s=self._clock())
        model_answer = _make_model_answer(snapshot, champion, prediction_cache)
        version = champion.version if champion else ""
        context = ReviewContext(
            self._store, workflow, snapshot, consensus_labels, version, model_answer, sync_review_project, may_write
        )
        context.explain = _make_explain(snapshot, champion, prediction_cache)
        open_cases(context)
        move_first_tier_cases(context)
        platform = self._platform if snapshot.project.connected else None
        try:
            if platform is not None:
                decide_cases(context, platform.list_emails)
            act_on_clocks(context, platform)
            if platform is not None:
                if eligible is not None:
                    context.result.reopened = reopen_for_others(
                        self._store, platform, eligible, consensus_labels, may_write, now_s=workflow.now_s
                    )
                assign_cases(context, platform)
                write_final_answers(context, platform)
        except LabelStudioError as error:
            context.result.notes.append(f"review goes on later: {error}")
        notify_requesters(context)
        if self._post is not None:
            now_s = self._clock()
            context.result.notes += deliver_notifications(
                self._store, context.project, snapshot.policy, self._post, now_s=now_s
            )
        return context.result


def policy_has_review(snapshot: ProjectSnapshot) -> bool:
    """Whether a policy asks for review at all: another tier, or a clock on the only one."""
    tiers = list(snapshot.policy.tiers.values())
    return len(tiers) > 1 or bool(tiers[0].first_action_s or tiers[0].resolve_s)


def _make_model_answer(
    snapshot: ProjectSnapshot, champion: Bundle | None, prediction_cache: PredictionCache
) -> ModelAnswer:
    """What the champion says of a task; all tasks are asked about at the first question, one by one it is slow."""
    rows = cache(lambda: prediction_cache.proba(champion, snapshot, list(snapshot.tasks)))

    def model_answer(task: int) -> tuple[Answer | None, float | None]:
        return (None, None) if champion is None else champion.predict_label(rows()[task])

    return model_answer


def _make_explain(
    snapshot: ProjectSnapshot, champion: Bundle | None, prediction_cache: PredictionCache
) -> Callable[[int], Mapping[str, Any]]:
    """The same with what spoke for it; asked of the few cases that are handed out."""

    def opines(task: int) -> Mapping[str, Any]:
        rows = prediction_cache.proba(champion, snapshot, [task])
        return {} if champion is None else opinion(champion, snapshot.data(task), rows[task])

    return opines
