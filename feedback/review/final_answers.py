"""Final answers: what review decides replaces the votes, and is written to the source project once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.case_workflow import ON_REQUEST, SECOND_LOOK, CaseWorkflow
from feedback.review.errors import CaseMoved
from feedback.review.notifications import notify_requesters_of_change
from feedback.review.review_context import ReviewContext, in_current_round
from feedback.review.state_machine import OPEN_STATES
from feedback.store import CaseRow, Store, Vote
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.dataset import ConsensusLabel
from ml_backend.codecs import codec
from ml_backend.errors import LabelStudioError
from ml_backend.label_config import Control
from ml_backend.labelstudio.review_project_client import unique_id
from ml_backend.records import Answer

_MAX_ANSWERS_PER_TURN = 50  # each is two requests, and the reviewers' next answers wait for the end of the turn
_CLIENT_ERROR, _SERVER_ERROR = 400, 500


@dataclass(frozen=True, slots=True)
class FinalAnswers:
    """What review says about tasks, which replaces their votes. Every mapping is by task id."""

    cases: Mapping[int, CaseRow] = field(repr=False)  # decided or resolved
    withheld: frozenset[int] = field(repr=False)  # not for the first tier: under review, or no answer is right
    provisional: Mapping[int, Answer] = field(default_factory=dict, repr=False)  # valid until a second look decides
    votes_wanted: Mapping[int, int] = field(default_factory=dict, repr=False)  # people so far; one more is asked


def load_final_answers(store: Store, snapshot: ProjectSnapshot) -> FinalAnswers:
    """Return what review has decided, and which tasks are under review."""
    policy = snapshot.policy
    decided, withheld, provisional = dict[int, CaseRow](), set[int](), dict[int, Answer]()
    for case in store.cases.list_cases(snapshot.project.id, but_tier=policy.first_tier):
        if case.state in ("decided", "resolved"):
            decided[case.task] = case
            if case.answer is None:
                withheld.add(case.task)  # no answer is right: nobody is asked again
        elif case.state in OPEN_STATES and case.rule != SECOND_LOOK and case.tier in policy.tiers:
            withheld.add(case.task)
        elif case.state in OPEN_STATES and case.rule == SECOND_LOOK and case.proposal is not None:
            provisional[case.task] = case.proposal
    return FinalAnswers(decided, frozenset(withheld), provisional, _count_votes_of_reopened(store, snapshot))


def _count_votes_of_reopened(store: Store, snapshot: ProjectSnapshot) -> dict[int, int]:
    """Return how many people have answered each task that the first tier must answer again and has not yet."""
    reopened = store.cases.list_reopened_cases(
        snapshot.project.id, snapshot.policy.first_tier, ON_REQUEST, states=OPEN_STATES
    )
    if not reopened:
        return {}
    tasks = {case.task for case in reopened}
    votes: dict[int, list[Vote]] = {}
    for vote in snapshot.votes:
        if vote.task in tasks:
            votes.setdefault(vote.task, []).append(vote)
    waiting = [case.task for case in reopened if case.task in votes and not in_current_round(case, votes[case.task])]
    return {task: len({vote.person for vote in votes[task]}) for task in waiting}


def apply_final_answers(
    consensus_labels: ConsensusLabels, final: FinalAnswers, snapshot: ProjectSnapshot
) -> ConsensusLabels:
    """Replace the consensus of votes by the final answers of review.

    A task under review is neither settled nor asked for more votes, and so is one without a right answer. A task that
    is looked at a second time keeps its answer until the second look is decided.
    """
    if not (final.cases or final.withheld or final.provisional or final.votes_wanted):
        return consensus_labels
    annotations: dict[int, list[int]] = {}
    if final.cases:
        for vote in snapshot.votes:
            if vote.task in final.cases:
                annotations.setdefault(vote.task, []).append(vote.annotation)
    labels = {
        label.task: label
        for label in consensus_labels.settled
        if label.task not in final.cases and label.task not in final.withheld
    }
    for task, case in final.cases.items():
        if case.answer is not None and task in snapshot.tasks:
            own = tuple(sorted(annotations.get(task, ())))
            labels[task] = ConsensusLabel(task, case.answer, max(1, len(own)), 1.0, own)
    for task, answer in final.provisional.items():
        if task not in labels and task in snapshot.tasks:
            labels[task] = ConsensusLabel(task, answer, 1, 1.0, ())
    needs_more_votes = {
        task: count
        for task, count in consensus_labels.needs_more_votes.items()
        if task not in final.cases and task not in final.withheld
    }
    needs_more_votes |= final.votes_wanted
    return replace(
        consensus_labels, settled=tuple(labels[task] for task in sorted(labels)), needs_more_votes=needs_more_votes
    )


def write_final_answers(context: ReviewContext, platform: LabellingPlatform) -> None:
    """Write the decided answers to the source project, up to a number of them a turn."""
    decided = context.store.cases.list_cases(context.project, states=("decided",))
    context.result.more_to_do |= len(decided) > _MAX_ANSWERS_PER_TURN
    for case in decided[:_MAX_ANSWERS_PER_TURN]:
        if not context.may_write():
            return
        try:
            _write_final_answer(context.store, platform, context.workflow, case, context.snapshot.control)
        except CaseMoved as error:
            context.result.notes.append(str(error))
        except LabelStudioError as error:
            if error.status is None or not _CLIENT_ERROR <= error.status < _SERVER_ERROR:
                raise
            context.result.notes.append(f"the answer of case {case.id} is not written: {error}")
        else:
            context.result.resolved += 1


def _write_final_answer(
    store: Store, platform: LabellingPlatform, workflow: CaseWorkflow, case: CaseRow, control: Control
) -> CaseRow:
    """Write a decided answer to the source project as ground truth; safe to repeat after a kill at any point."""
    if case.answer is None:
        # before the move: a kill in between must not lose the notification
        notify_requesters_of_change(store, case, now_s=workflow.now_s)
        return workflow.move(case, "write", note="no answer is right; nothing is written")
    names = [unique_id(f"{case.project}/{case.id}/{number}") for number in range(1, case.round + 1)]
    # before the request: a webhook may report the annotation before the request returns
    store.annotations.create_own_annotations(case.project, unique_ids=names[-1:])
    result = codec(case.answer.kind).encode(case.answer, control, None)
    annotation, starred = platform.write_final_answer(case.project, case.task, result, unique_id=names[-1], ours=names)
    store.annotations.create_own_annotations(case.project, annotations=[annotation])
    notify_requesters_of_change(store, case, now_s=workflow.now_s)
    note = "written as ground truth" if starred else "written without a star: a person's ground truth stays"
    return workflow.move(case, "write", note=note, annotation=annotation)
