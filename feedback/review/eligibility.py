"""Who may answer a task or a case: by tier, by skill, and no person decides their own case."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.policy import Policy
from feedback.project.incremental_caches import Changes, RecentProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.project.task_cache import merged
from feedback.project.vote_cache import VoteTable
from feedback.review.blind_answers import SAW_ANOTHER, find_seen_votes, list_tasks_to_check_again
from feedback.review.case_state_machine import ON_REQUEST
from feedback.review.review_context import ReviewContext
from feedback.review.review_task_content import SKIP
from feedback.store import CaseRow, ReviewRow, Skip, Store, Vote
from feedback.store.log import events
from feedback.store.tables.main_tables import UncountedAnswer
from ml_backend.left_out import RequestRows, name_some
from ml_backend.number_format import format_count, format_counted

_MAX_TASKS_PER_TURN = 200  # each is a request of about 0.1 s, and the next turn waits for them


@dataclass(frozen=True, slots=True)
class Involved:
    """The people who have dealt with a case before it came to where it is."""

    answered: frozenset[int | None] = frozenset()  # in other tiers, or before somebody asked for a person
    escalated: frozenset[int | None] = frozenset()


NOBODY = Involved()


def find_involved(
    case: CaseRow,
    policy: Policy,
    *,
    votes: Iterable[Vote],
    skips: Iterable[Skip],
    reviews: Iterable[ReviewRow],
    current: Collection[int] = (),
) -> Involved:
    """Return who has dealt with a case before.

    `votes` and `skips` are those of its task in the source project, `reviews` the saved ones of all rounds and tiers;
    `current` are the annotations that the case is decided from now.
    """
    answered: set[int | None] = {vote.person for vote in votes}
    escalated: set[int | None] = set()
    if policy.tiers[policy.first_tier].skip_means == "escalate":
        escalated |= {skip.person for skip in skips}
    for review in reviews:
        if review.tier != case.tier or _decided_before_appeal(case, review):
            answered.add(review.person)
        if review.annotation not in current and escalates(review, policy):
            escalated.add(review.person)
    return Involved(frozenset(answered), frozenset(escalated))


def escalates(review: ReviewRow, policy: Policy) -> bool:
    """Return whether a review sends its case one tier up: by its verdict, or by a skip that means that."""
    if review.verdict == SKIP:
        return review.tier in policy.tiers and policy.tiers[review.tier].skip_means == "escalate"
    return review.counted and review.verdict == "escalate"


def exclusion_reason(
    emails: Mapping[int, str], person: int | None, case: CaseRow, involved: Involved, policy: Policy
) -> str:
    """Return why a person may not decide a case; "" where they may.

    `emails` are addresses by user id, by which the policy names people. A policy without [people] lets everybody answer
    in every tier; with it, people who are not listed may answer in the first tier only, and have no skills.
    """
    tier = policy.tiers[case.tier]
    if person in involved.escalated:
        return "has escalated this case, so others decide it"
    if person in involved.answered and not tier.own_cases:
        return "has answered this case before, and nobody decides their own case"
    if not policy.people:
        return ""
    listed = policy.person(emails.get(person, "") if person is not None else "")
    if case.tier not in policy.tiers_of(listed):
        return f"is not among the people of {case.tier}"
    skills = listed.skills if listed else ()
    missing = [skill for skill in (*tier.skills, *case.skills) if skill not in skills]
    return f"lacks what this case needs: {', '.join(dict.fromkeys(missing))}" if missing else ""


def _decided_before_appeal(case: CaseRow, review: ReviewRow) -> bool:
    """Return whether a review decided the case before somebody asked for a person: its author may not decide again."""
    return case.rule == ON_REQUEST and 0 < review.round < case.round and review.counted


@dataclass(frozen=True, slots=True)
class EligibleVotes:
    """A snapshot without the votes that do not count, and the excluded votes with the reasons."""

    snapshot: ProjectSnapshot
    excluded: Mapping[int, tuple[Vote, str]] = field(default_factory=dict)  # by annotation


@dataclass(frozen=True, slots=True)
class _Checked:
    """The eligible votes of a project, and what they were decided from."""

    source: ProjectSnapshot
    emails: Mapping[int, str] | None
    eligible: EligibleVotes


class EligibilityCache:
    """Keeps the eligible votes of the projects used last; only the votes of changed tasks are checked again.

    What it returns is always equal to what a new cache returns.
    """

    def __init__(self) -> None:
        self._checked = RecentProjects[_Checked]()

    def exclude(self, store: Store, snapshot: ProjectSnapshot, emails: Mapping[int, str] | None) -> EligibleVotes:
        """Leave out the votes of people who may not answer in the first tier, or lack a skill that the rule asks for.

        On audit tasks, votes that a prediction was shown with are left out, too. Each is recorded once, with its
        reason. Without `emails` nobody is asked who they are.
        """
        project = snapshot.project.id
        last = self._checked.get(project)
        changed, votes = None, snapshot.votes_by_task
        if (
            last is not None
            and (last.source.policy, last.emails) == (snapshot.policy, emails)
            and (emails is None or last.source.routes is snapshot.routes)
        ):
            changed = snapshot.changes.since(last.source.changes.revision)
        known = last.eligible.excluded if last is not None else {}
        unchanged: dict[int, tuple[Vote, str]] = {}
        if changed is not None:
            unknown = [vote for vote, reason in known.values() if reason == SAW_ANOTHER]
            changed |= list_tasks_to_check_again(unknown) & votes.keys()
            unchanged = {number: row for number, row in known.items() if row[0].task not in changed}
            votes = {task: votes[task] for task in sorted(changed) if task in votes}
        by_person = {} if emails is None else _excluded_of(snapshot, emails, votes)
        excluded = unchanged | find_seen_votes(store, snapshot, votes) | by_person
        recorded = {number: why for number, (_vote, why) in known.items()}
        if last is None:
            recorded = store.uncounted.list_excluded(project)
        store.uncounted.replace_excluded(
            project,
            [
                UncountedAnswer(annotation, vote.task, vote.person, reason)
                for annotation, (vote, reason) in excluded.items()
                if recorded.get(annotation) != reason
            ],
            removed=recorded.keys() - excluded.keys(),
        )
        eligible = _without(snapshot, excluded, last, changed)
        self._checked.put(project, _Checked(snapshot, emails, eligible), size=len(excluded))
        return eligible


def describe_eligibility_change(snapshot: ProjectSnapshot, policy: Policy, emails: Mapping[int, str]) -> str:
    """Return how many recorded answers another policy takes out and lets in, in a sentence; "" where none.

    `snapshot` is the project under the active policy, with all its votes; `emails` are addresses by user id. Each task
    keeps the rule that decided it last, so what another rule asks of people is seen by the next turn only.
    """
    if not snapshot.votes_by_task:
        return ""
    if not emails:
        return "how many recorded answers would count is not known, because Label Studio gave no address of its users."
    now = _excluded_of(snapshot, emails, snapshot.votes_by_task)
    then = _excluded_of(replace(snapshot, policy=policy), emails, snapshot.votes_by_task)
    out = [row for annotation, row in then.items() if annotation not in now]
    back = [row for annotation, row in now.items() if annotation not in then]
    parts = []
    if out:
        people = sorted({emails.get(vote.person or 0, f"person {vote.person}") for vote, _why in out})
        reasons = "; ".join(dict.fromkeys(why for _vote, why in out))
        parts.append(f"{_count_answers(out)} would no longer count ({name_some(people, most=5)}: {reasons})")
    if back:
        parts.append(f"{_count_answers(back)} would count again")
    return f"{', and '.join(parts)}." if parts else ""


def _count_answers(rows: Collection[tuple[Vote, str]]) -> str:
    n_people = len({vote.person for vote, _why in rows})
    answers = "recorded answer" if len(rows) == 1 else "recorded answers"
    return f"{format_count(len(rows))} {answers} of {format_counted(n_people, 'person', 'people')}"


def reopen_for_others(context: ReviewContext, platform: LabellingPlatform, eligible: EligibleVotes) -> None:
    """Reopen the source tasks that an excluded vote has closed, a number of them a turn."""
    snapshot = eligible.snapshot
    settled = {label.task for label in context.consensus_labels.settled}
    n_excluded: dict[int, int] = {}
    for vote, _reason in eligible.excluded.values():
        if vote.task not in settled and vote.task not in snapshot.routes.held:
            n_excluded[vote.task] = n_excluded.get(vote.task, 0) + 1
    requests = RequestRows("re-open for others")
    for task_id, excluded in n_excluded.items():
        task = snapshot.tasks[task_id]
        n_answers = excluded + len(snapshot.votes_by_task.get(task_id, ()))
        if len(context.result.reopened) >= _MAX_TASKS_PER_TURN:
            context.result.more_to_do = True
            break
        if (task.is_labeled or task.overlap <= n_answers) and context.may_write():
            with requests.row(f"task {task_id}"):
                reopened = platform.reopen_task(context.project, task_id, n_answers + 1)
                event = events.event_from_task(reopened, "own", seen_s=context.workflow.now_s)
                context.store.append([event], want=None)
                context.result.reopened[task_id] = reopened


def _excluded_of(
    snapshot: ProjectSnapshot, emails: Mapping[int, str], votes: Mapping[int, tuple[Vote, ...]]
) -> dict[int, tuple[Vote, str]]:
    """Return those of the votes that do not count, with the reasons, by annotation."""
    policy = snapshot.policy
    skills_of_rule = {rule.id: rule.skills for rule in policy.routing}
    reasons: dict[tuple[int, tuple[str, ...]], str] = {}  # by person and skills: few, while votes are many
    excluded: dict[int, tuple[Vote, str]] = {}
    for task, given in votes.items():
        route = snapshot.routes.standing.get(task)
        skills = skills_of_rule.get(route.rule, ()) if route and not route.sample else ()
        for vote in given:
            reason = reasons.get((vote.person, skills))
            if reason is None:
                case = CaseRow(snapshot.project.id, task, "queued", policy.first_tier, skills=skills)
                reason = reasons[vote.person, skills] = exclusion_reason(emails, vote.person, case, NOBODY, policy)
            if reason:
                excluded[vote.annotation] = (vote, reason)
    return excluded


def _without(
    snapshot: ProjectSnapshot,
    excluded: Mapping[int, tuple[Vote, str]],
    last: _Checked | None,
    changed: Collection[int] | None,
) -> EligibleVotes:
    """Return the snapshot without the excluded votes, with the tasks that differ from the last one."""
    if not excluded and (last is None or not last.eligible.excluded):
        return EligibleVotes(snapshot)
    if last is not None and snapshot is last.source and excluded == last.eligible.excluded:
        return last.eligible
    tasks = {vote.task for vote, _reason in excluded.values()}
    counted = {
        task: tuple(vote for vote in snapshot.votes_by_task[task] if vote.annotation not in excluded) for task in tasks
    }
    votes = merged(snapshot.votes_by_task, {task: given for task, given in counted.items() if given}, tasks)
    former = Changes() if last is None or changed is None else last.eligible.snapshot.changes
    changes = former.then(changed or ())
    return EligibleVotes(replace(snapshot, votes=VoteTable.of(votes), changes=changes), excluded)
