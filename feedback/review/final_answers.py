"""Final answers: what review decides replaces the votes, and is written to the source project once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.audit_splits import AUDIT_ROLES
from feedback.project.incremental_caches import Changes, RecentProjects, changed_since
from feedback.project.snapshot import ProjectSnapshot
from feedback.project.task_cache import merged
from feedback.review.case_state_machine import ON_REQUEST, OPEN_STATES, SECOND_LOOK
from feedback.review.notifications import notify_requesters_of_change
from feedback.review.review_context import CaseCache, Cases, ReviewContext, in_current_round
from feedback.store import CaseRow, Store
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.dataset import ConsensusLabel
from ml_backend.codecs import get_codec
from ml_backend.labelstudio.parsing import own_unique_id
from ml_backend.left_out import RequestRows, take_in_turn
from ml_backend.records import Answer

_MAX_ANSWERS_PER_TURN = 50  # each is two requests, and the reviewers' next answers wait for the end of the turn


@dataclass(frozen=True, slots=True)
class FinalAnswers:
    """What review says about tasks, which replaces their votes. Every mapping is by task id."""

    cases: Mapping[int, CaseRow] = field(default_factory=dict, repr=False)  # decided or resolved
    withheld: frozenset[int] = field(
        default=frozenset(), repr=False
    )  # not for the first tier: under review, or no answer is right
    provisional: Mapping[int, Answer] = field(default_factory=dict, repr=False)  # valid until a second look decides
    votes_wanted: Mapping[int, int] = field(default_factory=dict, repr=False)  # people so far; one more is asked
    changes: Changes = field(default=Changes(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The final answers of a project, and what they were read from."""

    basis: object = None  # the policy and the draws
    cases: Changes = field(default=Changes())
    # by task: open again in the first tier, or an audit task that was decided with the proposal on the screen
    reopened: Mapping[int, CaseRow] = field(default_factory=dict, repr=False)
    final: FinalAnswers = FinalAnswers()


@dataclass(frozen=True, slots=True)
class _Applied:
    """The labels of a project with its final answers, and what they were made of."""

    source: ConsensusLabels
    final: FinalAnswers
    snapshot: Changes
    settled: Mapping[int, ConsensusLabel] = field(repr=False)
    labels: ConsensusLabels


class FinalAnswerCache:
    """Keeps the final answers of the projects used last; only changed cases are read, and only changed tasks labelled.

    What it returns is always equal to what a new cache returns.
    """

    def __init__(self) -> None:
        self._cases = CaseCache()
        self._loaded = RecentProjects[_Loaded]()
        self._applied = RecentProjects[_Applied]()

    def load(self, store: Store, snapshot: ProjectSnapshot) -> FinalAnswers:
        """Return what review has decided, and which tasks are under review."""
        project, last = snapshot.project.id, self._loaded.get(snapshot.project.id) or _Loaded()
        loaded = _load(self._cases.read(store, project), snapshot, last)
        self._loaded.put(project, loaded, size=len(loaded.final.cases))
        return loaded.final

    def apply(self, labels: ConsensusLabels, final: FinalAnswers, snapshot: ProjectSnapshot) -> ConsensusLabels:
        """Replace the consensus of votes by the final answers of review.

        A task under review is neither settled nor asked for more votes, and so is one without a right answer. A task
        that is looked at a second time keeps its answer until the second look is decided.
        """
        project = snapshot.project.id
        if final == FinalAnswers():
            self._applied.drop(project)
            return labels
        last, changed = self._applied.get(project), None
        if last is not None:
            changed = changed_since(
                (labels.changes, last.source.changes),
                (final.changes, last.final.changes),
                (snapshot.changes, last.snapshot),
            )
        if last is not None and labels is last.source and final is last.final and changed == frozenset():
            applied = last
        else:
            if last is None or changed is None:
                last = _Applied(labels, final, snapshot.changes, {}, ConsensusLabels((), {}))
                tasks = {label.task for label in labels.settled} | final.cases.keys() | final.provisional.keys()
            else:
                tasks = set(changed)
            settled = merged(last.settled, _final_labels(sorted(tasks), labels, final, snapshot), tasks)
            needs_votes, changes = _final_needs_votes(labels, final), last.labels.changes.then(tasks)
            applied = _Applied(
                labels, final, snapshot.changes, settled, ConsensusLabels(tuple(settled.values()), needs_votes, changes)
            )
        self._applied.put(project, applied, size=len(applied.settled))
        return applied.labels


def write_final_answers(context: ReviewContext, platform: LabellingPlatform) -> None:
    """Write the decided answers to the source project, up to a number of them a turn."""
    decided = context.store.cases.list_cases(context.project, states=("decided",))
    context.result.more_to_do |= len(decided) > _MAX_ANSWERS_PER_TURN
    requests = RequestRows("write the final answer")
    for case in take_in_turn(decided, _MAX_ANSWERS_PER_TURN, turn=context.workflow.now_s):
        if not context.may_write():
            return
        with requests.row(f"case {case.id}"):
            _write_final_answer(context, platform, case)


def _load(cases: Cases, snapshot: ProjectSnapshot, last: _Loaded) -> _Loaded:
    """Bring final answers up to date with the cases that changed."""
    policy, basis = snapshot.policy, (snapshot.policy.hash, snapshot.splits)
    changed = cases.changes.since(last.cases.revision) if last.basis == basis else None
    if changed is None:
        last = _Loaded()
    tasks = frozenset(cases.by_task) if changed is None else changed
    decided, reopened = dict[int, CaseRow](), dict[int, CaseRow]()
    withheld, provisional = set[int](), dict[int, Answer]()
    for case in [cases.by_task[task] for task in sorted(tasks) if task in cases.by_task]:
        is_open = case.state in OPEN_STATES
        if _is_asked_again(case, snapshot):
            reopened[case.task] = case
        if case.tier == policy.first_tier:
            continue
        if case.state in ("decided", "resolved"):
            decided[case.task] = case
            if case.answer is None and case.task not in reopened:
                withheld.add(case.task)  # no answer is right: nobody is asked again
        elif is_open and case.rule != SECOND_LOOK and case.tier in policy.tiers:
            withheld.add(case.task)
        elif is_open and case.rule == SECOND_LOOK and case.proposal is not None:
            provisional[case.task] = case.proposal
    final, reopened = last.final, merged(last.reopened, reopened, tasks)
    votes_wanted = _count_votes_of_reopened(reopened.values(), snapshot)
    if changed is not None and not changed and votes_wanted == final.votes_wanted:
        return replace(last, cases=cases.changes)
    new = FinalAnswers(
        merged(final.cases, decided, tasks),
        (final.withheld - tasks) | withheld,
        merged(final.provisional, provisional, tasks),
        votes_wanted,
        final.changes.then(tasks | {task for task, _count in votes_wanted.items() ^ final.votes_wanted.items()}),
    )
    return _Loaded(basis, cases.changes, reopened, new)


def _count_votes_of_reopened(reopened: Iterable[CaseRow], snapshot: ProjectSnapshot) -> dict[int, int]:
    """Return how many people have answered each task that the first tier must answer again and has not yet."""
    found = dict[int, int]()
    for case in reopened:
        votes = snapshot.votes_by_task.get(case.task, ())
        if (votes and not in_current_round(case, votes)) if case.state in OPEN_STATES else not votes:
            found[case.task] = len({vote.person for vote in votes})
    return found


def _is_asked_again(case: CaseRow, snapshot: ProjectSnapshot) -> bool:
    """Return whether the first tier answers again: a reopened case, or an audit task whose decision was not blind."""
    if case.tier == snapshot.policy.first_tier:
        return case.state in OPEN_STATES and (case.round > 1 or case.rule == ON_REQUEST)
    return case.state in ("decided", "resolved") and _is_seen_audit(case, snapshot)


def _is_seen_audit(case: CaseRow, snapshot: ProjectSnapshot) -> bool:
    """Return whether a case on an audit task was not blind: what was decided then measures no model."""
    return not (case.measures or case.blind) and snapshot.roles.get(case.task) in AUDIT_ROLES


def _final_labels(
    tasks: Iterable[int], labels: ConsensusLabels, final: FinalAnswers, snapshot: ProjectSnapshot
) -> dict[int, ConsensusLabel]:
    """Return the labels of these tasks, in their order; a task that is not settled has none.

    The label of an audit task is the answer that the first tier settled: a later tier, which rules may choose, decides
    only where that could not.
    """
    found: dict[int, ConsensusLabel] = {}
    votes, settled = snapshot.votes_by_task, labels.settled
    for task in tasks:
        case = final.cases.get(task)
        place = bisect_left(settled, task, key=attrgetter("task"))
        voted = settled[place] if place < len(settled) and settled[place].task == task else None
        if voted is not None and snapshot.roles.get(task) in AUDIT_ROLES:
            found[task] = voted
            continue
        if case is not None and not _is_seen_audit(case, snapshot):
            if case.answer is not None and task in snapshot.tasks:
                annotations = tuple(sorted(vote.annotation for vote in votes.get(task, ())))
                found[task] = ConsensusLabel(task, case.answer, max(1, len(annotations)), 1.0, annotations)
            continue
        if task in final.withheld:
            continue
        if voted is not None:
            found[task] = voted
        elif task in final.provisional and task in snapshot.tasks:
            found[task] = ConsensusLabel(task, final.provisional[task], 1, 1.0, ())
    return found


def _final_needs_votes(labels: ConsensusLabels, final: FinalAnswers) -> dict[int, int]:
    """Return the tasks that need more votes, with how many people have answered them."""
    needs_votes = {
        task: count
        for task, count in labels.needs_more_votes.items()
        if task not in final.cases and task not in final.withheld
    }
    return {**needs_votes, **final.votes_wanted}


def _write_final_answer(context: ReviewContext, platform: LabellingPlatform, case: CaseRow) -> None:
    """Write a decided answer to the source project as ground truth; safe to repeat after a kill at any point."""
    store, now_s = context.store, context.workflow.now_s
    if case.answer is None:
        # before the move: a kill in between must not lose the notification
        notify_requesters_of_change(store, case, now_s=now_s)
        context.move(case, "write", note="no answer is right; nothing is written")
        return
    names = [own_unique_id(f"review/{case.project}/{case.id}/{number}") for number in range(1, case.round + 1)]
    # before the request: a webhook may report the annotation before the request returns
    store.annotations.create_own_annotations(case.project, unique_ids=names[-1:])
    result = get_codec(case.answer.kind).encode(case.answer, context.snapshot.control, None)
    annotation, starred = platform.write_final_answer(case.project, case.task, result, unique_id=names[-1], ours=names)
    store.annotations.create_own_annotations(case.project, annotations=[annotation])
    notify_requesters_of_change(store, case, now_s=now_s)
    note = "written as ground truth" if starred else "written without a star: a person's ground truth stays"
    context.move(case, "write", note=note, annotation=annotation)
