"""Admitting: in the first tier, too, the answer of somebody who may not give one does not count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from feedback.labelling_platform.interface import ReviewProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.review_answers import Staff
from feedback.store import CaseRow, Store, Vote
from feedback.store.log import events
from feedback.training.label_decisions import ConsensusLabels
from ml_backend.records import Task


@dataclass(frozen=True, slots=True)
class Admitted:
    """A scene without the votes that do not count, and why each of those does not."""

    snapshot: ProjectSnapshot
    refused: Mapping[int, tuple[Vote, str]] = field(default_factory=dict)  # by annotation


def admit(store: Store, snapshot: ProjectSnapshot, staff: Staff) -> Admitted:
    """Leave out the votes of people whom the policy keeps from the first tier, or from a rule that wants a skill.

    Each is recorded once with its reason. Without any [people] everybody may answer everything.
    """
    policy = snapshot.policy
    skills = {rule.id: rule.skills for rule in policy.routing}
    refused: dict[int, tuple[Vote, str]] = {}
    for vote in snapshot.votes:
        standing = snapshot.routes.standing.get(vote.task)
        wanted = skills.get(standing.rule, ()) if standing else ()
        case = CaseRow(snapshot.project.id, vote.task, "queued", policy.first_tier, skills=wanted)
        if why := staff.exclusion(vote.person, case, (), policy):
            refused[vote.annotation] = (vote, why)
    for annotation, (vote, why) in refused.items():
        body = {"task": vote.task, "person": vote.person, "annotation": annotation, "why": why}
        store.record(snapshot.project.id, "not counted", body, key=f"{annotation}: {why}")
    if not refused:
        return Admitted(snapshot)
    return Admitted(
        replace(snapshot, votes=tuple(one for one in snapshot.votes if one.annotation not in refused)), refused
    )


def open_again(
    store: Store,
    rooms: ReviewProjects,
    admitted: Admitted,
    consensus_labels: ConsensusLabels,
    may_write: Callable[[], bool],
    *,
    now_s: float,
) -> dict[int, Task]:
    """Let others answer the tasks that such a vote has closed; the tasks as they are now."""
    snapshot = admitted.snapshot
    settled = {one.task for one in consensus_labels.settled}
    counted: dict[int, int] = {}
    for vote in snapshot.votes:
        counted[vote.task] = counted.get(vote.task, 0) + 1
    closed: dict[int, int] = {}
    for vote, _why in admitted.refused.values():
        if vote.task not in settled and vote.task not in snapshot.routes.held:
            closed[vote.task] = closed.get(vote.task, 0) + 1
    found: dict[int, Task] = {}
    for task, refused in closed.items():
        now = snapshot.tasks[task]
        given = refused + counted.get(task, 0)
        if (now.is_labeled or now.overlap <= given) and may_write():
            found[task] = rooms.reopen(snapshot.project.id, task, given + 1)
            store.append([events.of_one_task(found[task], "own", seen_s=now_s)], want=None)
    return found
