"""Finals: what review decided stands above votes, and goes back to the source project once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.case_workflow import ON_REQUEST, SECOND_LOOK, CaseWorkflow
from feedback.review.notifications import notify_requesters_of_change
from feedback.review.review_context import in_current_round
from feedback.review.state_machine import OPEN_STATES
from feedback.store import CaseRow, Store, Vote
from feedback.training.dataset import Settled
from feedback.training.label_decisions import ConsensusLabels
from ml_backend.codecs import codec
from ml_backend.label_config import Control
from ml_backend.labelstudio.review_projects import unique_id
from ml_backend.records import Answer


@dataclass(frozen=True, slots=True)
class FinalAnswers:
    """What review holds above the votes of the first tier."""

    finals: Mapping[int, CaseRow] = field(repr=False)  # decided or resolved
    away: frozenset[int] = field(repr=False)  # not for the first tier: under review, or without a right answer
    again: Mapping[int, Answer] = field(default_factory=dict, repr=False)  # decided, and looked at a second time
    owed: Mapping[int, int] = field(default_factory=dict, repr=False)  # task -> people; another one was asked for


def load_final_answers(store: Store, snapshot: ProjectSnapshot) -> FinalAnswers:
    """Read what review has decided, and what it still has, from the cases."""
    finals, away, again = dict[int, CaseRow](), set[int](), dict[int, Answer]()
    for case in store.cases.list_cases(snapshot.project.id, but_tier=snapshot.policy.first_tier):
        if case.state in ("decided", "resolved"):
            finals[case.task] = case
        if case.state in ("decided", "resolved") and case.answer is None:
            away.add(case.task)  # no answer is right: nobody is asked again
        elif case.state in OPEN_STATES and case.rule != SECOND_LOOK and case.tier in snapshot.policy.tiers:
            away.add(case.task)
        elif case.state in OPEN_STATES and case.rule == SECOND_LOOK and case.proposal is not None:
            again[case.task] = case.proposal
    return FinalAnswers(finals, frozenset(away), again, _votes_wanted_again(store, snapshot))


def _votes_wanted_again(store: Store, snapshot: ProjectSnapshot) -> dict[int, int]:
    """Answered tasks that the first tier is to look at again, and nobody has since their case was begun anew.

    With each, how many people have answered it.
    """
    anew = store.cases.list_reopened_cases(
        snapshot.project.id, snapshot.policy.first_tier, ON_REQUEST, states=OPEN_STATES
    )
    if not anew:
        return {}
    votes: dict[int, list[Vote]] = {}
    for vote in snapshot.votes:
        votes.setdefault(vote.task, []).append(vote)
    owed = [case.task for case in anew if case.task in votes and not in_current_round(case, votes[case.task])]
    return {task: len({vote.person for vote in votes[task]}) for task in owed}


def apply_final_answers(
    consensus_labels: ConsensusLabels, found: FinalAnswers, snapshot: ProjectSnapshot
) -> ConsensusLabels:
    """Put final answers in place of what votes alone say; a task that is under review is neither settled nor asked.

    A task of which review says that no answer is right is settled by nobody. What is looked at a second time stands as
    it was decided until somebody says otherwise.
    """
    votes: dict[int, list[int]] = {}
    for vote in snapshot.votes:
        if vote.task in found.finals:
            votes.setdefault(vote.task, []).append(vote.annotation)
    kept = [one for one in consensus_labels.settled if one.task not in found.finals and one.task not in found.away]
    kept += [
        Settled(task, case.answer, max(1, len(votes.get(task, ()))), 1.0, tuple(sorted(votes.get(task, ()))))
        for task, case in found.finals.items()
        if case.answer is not None and task in snapshot.tasks
    ]
    there = {one.task for one in kept}
    kept += [
        Settled(task, answer, 1, 1.0, ())
        for task, answer in found.again.items()
        if task not in there and task in snapshot.tasks
    ]
    wanting = {
        task: count
        for task, count in consensus_labels.wanting.items()
        if task not in found.finals and task not in found.away
    }
    wanting |= found.owed
    return replace(consensus_labels, settled=tuple(sorted(kept, key=lambda one: one.task)), wanting=wanting)


def write_final_answer(
    store: Store, platform: LabellingPlatform, workflow: CaseWorkflow, case: CaseRow, control: Control
) -> CaseRow:
    """Bring a decided answer to the source project as ground truth; safe to repeat after a kill anywhere."""
    if case.answer is None:
        notify_requesters_of_change(
            store, case, now_s=workflow.now_s
        )  # before the move: a kill between must not lose it
        return workflow.move(case, "write", note="no answer is right; nothing is written")
    names = [unique_id(f"{case.project}/{case.id}/{number}") for number in range(1, case.round + 1)]
    store.annotations.create_own_annotations(
        case.project, unique_ids=names[-1:]
    )  # first: a webhook may bring it before the answer to our request
    result = codec(case.answer.kind).encode(case.answer, control, None)
    annotation, starred = platform.write_final_answer(case.project, case.task, result, unique_id=names[-1], ours=names)
    store.annotations.create_own_annotations(case.project, annotations=[annotation])
    notify_requesters_of_change(store, case, now_s=workflow.now_s)
    words = "written as ground truth" if starred else "written without a star: a person's ground truth stays"
    return workflow.move(case, "write", note=words, annotation=annotation)
