"""Who may not answer a task or a case: people, tiers, skills, and nobody decides their own case."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.policy import Policy
from feedback.project.snapshot import ProjectSnapshot
from feedback.store import CaseRow, Store, Vote
from feedback.store.log import events
from feedback.training.consensus_labels import ConsensusLabels
from ml_backend.records import Task


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Decides who may answer, from the e-mail address of each user, by which the policy names people."""

    emails: Mapping[int, str]  # user id -> address

    def exclusion_reason(
        self, person: int | None, case: CaseRow, answered_before: Collection[int | None], policy: Policy
    ) -> str:
        """Return why a person may not decide a case; "" where they may.

        `answered_before` are the people who answered the case in other tiers. A policy without [people] lets everybody
        answer in every tier.
        """
        tier = policy.tiers[case.tier]
        if person in answered_before and not tier.own_cases:
            return "has answered this case before, and nobody decides their own case"
        if not policy.people:
            return ""
        email = self.emails.get(person, "") if person is not None else ""
        listed = policy.person(email)
        if listed is None:
            return f"is not among the people of {case.tier}"
        if case.tier not in (listed.tiers or (policy.first_tier,)):
            return f"is not among the people of {case.tier}"
        missing = [skill for skill in (*tier.skills, *case.skills) if skill not in listed.skills]
        return f"lacks what this case needs: {', '.join(dict.fromkeys(missing))}" if missing else ""


@dataclass(frozen=True, slots=True)
class EligibleVotes:
    """A snapshot without the votes that do not count, and the excluded votes with the reasons."""

    snapshot: ProjectSnapshot
    excluded: Mapping[int, tuple[Vote, str]] = field(default_factory=dict)  # by annotation


def exclude_ineligible_votes(store: Store, snapshot: ProjectSnapshot, eligibility: Eligibility) -> EligibleVotes:
    """Leave out the votes of people who may not answer in the first tier, or lack a skill that the rule asks for.

    Each is recorded once, with its reason.
    """
    policy = snapshot.policy
    skills_of_rule = {rule.id: rule.skills for rule in policy.routing}
    reasons: dict[tuple[int, tuple[str, ...]], str] = {}  # (person, skills): few, while votes are many
    excluded: dict[int, tuple[Vote, str]] = {}
    for vote in snapshot.votes:
        route = snapshot.routes.standing.get(vote.task)
        skills = skills_of_rule.get(route.rule, ()) if route else ()
        reason = reasons.get((vote.person, skills))
        if reason is None:
            case = CaseRow(snapshot.project.id, vote.task, "queued", policy.first_tier, skills=skills)
            reason = reasons[vote.person, skills] = eligibility.exclusion_reason(vote.person, case, (), policy)
        if reason:
            excluded[vote.annotation] = (vote, reason)
    for annotation, (vote, reason) in excluded.items():
        body = {"task": vote.task, "person": vote.person, "annotation": annotation, "why": reason}
        store.records.create_record(snapshot.project.id, "not counted", body, key=f"{annotation}: {reason}")
    if not excluded:
        return EligibleVotes(snapshot)
    votes = tuple(vote for vote in snapshot.votes if vote.annotation not in excluded)
    return EligibleVotes(replace(snapshot, votes=votes), excluded)


def reopen_for_others(
    store: Store,
    platform: LabellingPlatform,
    eligible: EligibleVotes,
    consensus_labels: ConsensusLabels,
    may_write: Callable[[], bool],
    *,
    now_s: float,
) -> dict[int, Task]:
    """Reopen the source tasks that an excluded vote has closed; return them as they are now, by id."""
    snapshot = eligible.snapshot
    settled = {label.task for label in consensus_labels.settled}
    n_excluded: dict[int, int] = {}
    for vote, _reason in eligible.excluded.values():
        if vote.task not in settled and vote.task not in snapshot.routes.held:
            n_excluded[vote.task] = n_excluded.get(vote.task, 0) + 1
    if not n_excluded:
        return {}
    n_counted: dict[int, int] = {}
    for vote in snapshot.votes:
        n_counted[vote.task] = n_counted.get(vote.task, 0) + 1
    reopened: dict[int, Task] = {}
    for task_id, excluded in n_excluded.items():
        task = snapshot.tasks[task_id]
        n_answers = excluded + n_counted.get(task_id, 0)
        if (task.is_labeled or task.overlap <= n_answers) and may_write():
            reopened[task_id] = platform.reopen_task(snapshot.project.id, task_id, n_answers + 1)
            store.append([events.of_one_task(reopened[task_id], "own", seen_s=now_s)], want=None)
    return reopened
