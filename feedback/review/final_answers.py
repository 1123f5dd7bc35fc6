"""Finals: what review decided stands above votes, and goes back to the source project once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from feedback.labelling_platform.interface import ReviewProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.cases import ON_REQUEST, SECOND_LOOK, Book
from feedback.review.requesters import tell_again
from feedback.review.round_state import since
from feedback.review.state_machine import LIVE
from feedback.store import CaseRow, Store, Vote
from feedback.training.dataset import Settled
from feedback.training.label_decisions import ConsensusLabels
from ml_backend.codecs import codec
from ml_backend.label_config import Control
from ml_backend.labelstudio.review_projects import unique_id
from ml_backend.records import Answer


@dataclass(frozen=True, slots=True)
class Above:
    """What review holds above the votes of the first tier."""

    finals: Mapping[int, CaseRow] = field(repr=False)  # decided or resolved
    away: frozenset[int] = field(repr=False)  # not for the first tier: under review, or without a right answer
    again: Mapping[int, Answer] = field(default_factory=dict, repr=False)  # decided, and looked at a second time
    owed: Mapping[int, int] = field(default_factory=dict, repr=False)  # task -> people; another one was asked for


def above(store: Store, snapshot: ProjectSnapshot) -> Above:
    """Read what review has decided, and what it still has, from the cases."""
    finals, away, again = dict[int, CaseRow](), set[int](), dict[int, Answer]()
    for case in store.cases(snapshot.project.id, but_tier=snapshot.policy.first_tier):
        if case.state in ("decided", "resolved"):
            finals[case.task] = case
        if case.state in ("decided", "resolved") and case.answer is None:
            away.add(case.task)  # no answer is right: nobody is asked again
        elif case.state in LIVE and case.rule != SECOND_LOOK and case.tier in snapshot.policy.tiers:
            away.add(case.task)
        elif case.state in LIVE and case.rule == SECOND_LOOK and case.proposal is not None:
            again[case.task] = case.proposal
    return Above(finals, frozenset(away), again, _owed(store, snapshot))


def _owed(store: Store, snapshot: ProjectSnapshot) -> dict[int, int]:
    """Answered tasks that the first tier is to look at again, and nobody has since their case was begun anew.

    With each, how many people have answered it.
    """
    anew = store.cases_anew(snapshot.project.id, snapshot.policy.first_tier, ON_REQUEST, states=LIVE)
    if not anew:
        return {}
    votes: dict[int, list[Vote]] = {}
    for vote in snapshot.votes:
        votes.setdefault(vote.task, []).append(vote)
    owed = [case.task for case in anew if case.task in votes and not since(case, votes[case.task])]
    return {task: len({vote.person for vote in votes[task]}) for task in owed}


def with_finals(consensus_labels: ConsensusLabels, found: Above, snapshot: ProjectSnapshot) -> ConsensusLabels:
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


def write_back(store: Store, rooms: ReviewProjects, book: Book, case: CaseRow, control: Control) -> CaseRow:
    """Bring a decided answer to the source project as ground truth; safe to repeat after a kill anywhere."""
    if case.answer is None:
        tell_again(store, case, now_s=book.now_s)  # before the move: a kill between must not lose it
        return book.move(case, "write", note="no answer is right; nothing is written")
    names = [unique_id(f"{case.project}/{case.id}/{number}") for number in range(1, case.round + 1)]
    store.own(case.project, unique_ids=names[-1:])  # first: a webhook may bring it before the answer to our request
    result = codec(case.answer.kind).encode(case.answer, control, None)
    annotation, starred = rooms.write_final(case.project, case.task, result, unique_id=names[-1], ours=names)
    store.own(case.project, annotations=[annotation])
    tell_again(store, case, now_s=book.now_s)
    words = "written as ground truth" if starred else "written without a star: a person's ground truth stays"
    return book.move(case, "write", note=words, annotation=annotation)
