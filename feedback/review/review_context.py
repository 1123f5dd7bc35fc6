"""What all parts of a project's review share in one turn, and how each of them moves a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, TypeVar

from feedback.policy import Policy
from feedback.project.incremental_caches import Changes, RecentProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.review import sla_clock
from feedback.review.case_state_machine import (
    ESCALATED,
    ON_REQUEST,
    OPEN_STATES,
    SECOND_LOOK,
    CaseMoved,
    CaseWorkflow,
    Event,
)
from feedback.store import CaseRow, Skip, Store, Vote
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.model_cache import PredictionCache
from feedback.training.prediction_explanation import explain_prediction
from ml_backend.records import Answer, Task
from ml_backend.registry import Bundle

_VoteOrSkip = TypeVar("_VoteOrSkip", Vote, Skip)


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases of a project at one moment."""

    by_task: Mapping[int, CaseRow] = field(default_factory=dict, repr=False)
    changes: Changes = field(default=Changes(), compare=False)  # tasks whose case changed
    newest: int = 0  # change number of the newest change


class CaseCache:
    """Keeps the cases of the projects used last. They always equal a fresh read of the store."""

    def __init__(self) -> None:
        self._kept = RecentProjects[Cases]()

    def read(self, store: Store, project: str) -> Cases:
        """Return the cases as they are now."""
        cases = _read_changed(store, project, self._kept.get(project) or Cases())
        self._kept.put(project, cases, size=len(cases.by_task))
        return cases


def _read_changed(store: Store, project: str, last: Cases) -> Cases:
    rows, newest, n_cases = store.cases.list_changed_cases(project, last.newest)
    if not rows and len(last.by_task) == n_cases and last.changes.revision:
        return last
    changed = {case.id for case in rows}  # a case may have got another task number
    others = {task: case for task, case in last.by_task.items() if case.id not in changed}
    by_task = {**others, **{case.task: case for case in rows}}
    if len(by_task) != n_cases:  # cases were erased
        return _read_changed(store, project, Cases())
    return Cases(
        by_task, last.changes.then((last.by_task.keys() - others.keys()) | {case.task for case in rows}), newest
    )


@dataclass
class ReviewResult:
    """What the review of a project did in one turn."""

    opened: int = 0  # cases opened or reopened
    resolved: int = 0
    more_to_do: bool = False  # at once, in the next turn
    reopened: dict[int, Task] = field(default_factory=dict)  # source tasks opened for other people, as they are now
    notes: list[str] = field(default_factory=list)  # problems, for the notes of the turn


@dataclass
class ReviewContext:
    """One project in one turn. Each part reads the cases again, because the part before it may have moved them."""

    store: Store
    workflow: CaseWorkflow
    snapshot: ProjectSnapshot
    consensus_labels: ConsensusLabels
    champion: Bundle | None
    prediction_cache: PredictionCache
    sync_review_project: Callable[[str], object]  # collects what changed in a review project
    may_write: Callable[[], bool]  # asked before each write to Label Studio
    cases: Cases  # at the start of the review
    verifies: bool = False  # whether review projects and tasks are compared with Label Studio in this turn
    refused: set[str] = field(default_factory=set)  # digests of refused review tasks: tried again after a full sync
    result: ReviewResult = field(default_factory=ReviewResult)

    @property
    def project(self) -> str:
        """Return the id of the source project."""
        return self.snapshot.project.id

    @property
    def policy(self) -> Policy:
        """Return the policy of the project."""
        return self.snapshot.policy

    @property
    def model(self) -> str:
        """Return the version of the champion; "" without one."""
        return self.champion.version if self.champion else ""

    @cached_property
    def _probabilities(self) -> Mapping[int, Any]:
        """Return the champion's probabilities for all tasks, predicted at once because that is faster."""
        return self.prediction_cache.proba(self.champion, self.snapshot, list(self.snapshot.tasks))

    def model_answer(self, task: int) -> tuple[Answer | None, float | None]:
        """Return the champion's answer to a task, and its confidence."""
        return (None, None) if self.champion is None else self.champion.predict_label(self._probabilities[task])

    def votes_on(self, task: int) -> list[Vote]:
        """Return the votes on a task, oldest first."""
        votes = self.snapshot.votes_by_task.get(task, ())
        return sorted(votes, key=lambda vote: (vote.at_s, vote.annotation))

    def skips_on(self, tasks: Sequence[int]) -> Mapping[int, Sequence[Skip]]:
        """Return the skips of these tasks in the source project, by task."""
        found: dict[int, list[Skip]] = {}
        for skip in self.store.annotations.list_skips(self.project, tasks=tasks):
            found.setdefault(skip.task, []).append(skip)
        return found

    def list_open_cases(self, *, in_first_tier: bool | None = None) -> list[CaseRow]:
        """Return the cases on which people still have to act: of the first tier, of the others, or all (None)."""
        cases = [
            case
            for case in self.store.cases.list_cases(self.project, states=OPEN_STATES)
            if case.task in self.snapshot.tasks
        ]
        return [case for case in cases if in_first_tier in (None, case.tier == self.policy.first_tier)]

    def move(self, case: CaseRow, event: Event, **options: Any) -> CaseRow | None:
        """Move a case; return None if somebody else moved it, which the next turn reads."""
        return self._unless_moved(partial(self.workflow.move, case, event, **options))

    def reopen(self, case: CaseRow, new: CaseRow, *, within_s: float = 0.0) -> CaseRow | None:
        """Start another round of a case, which begins as `new` does; return None if somebody else moved it."""
        reopened = self._unless_moved(partial(self.workflow.reopen, case, new, within_s=within_s))
        self.result.opened += reopened is not None
        return reopened

    def _unless_moved(self, change: Callable[[], CaseRow]) -> CaseRow | None:
        try:
            changed = change()
        except CaseMoved as error:
            self.result.notes.append(str(error))
            return None
        self.result.resolved += changed.state == "resolved"
        return changed

    def escalate(self, case: CaseRow, why: str, **options: Any) -> CaseRow | None:
        """Move a case one tier up; a promised time that has not passed stays promised."""
        promised = case.rule == ON_REQUEST and case.due_s is not None and case.due_s > self.workflow.now_s
        calendar, now_s = self.workflow.calendar(case.tier), self.workflow.now_s
        within_s = sla_clock.business_seconds(calendar, now_s, case.due_s or 0.0) if promised else 0.0
        rule = case.rule if promised else ESCALATED
        return self.move(case, "escalate", note=why, within_s=within_s, **{"why": why, "rule": rule, **options})

    def with_explanation(self, case: CaseRow) -> CaseRow:
        """Return the case with the model's answer and the reasons for it, if it has none yet."""
        if case.prediction:
            return case
        if case.proposed_by == "model" and case.proposal is not None and case.model != self.model:
            proposed = {"model": case.model, "answer": case.proposal.key, "confidence": case.confidence}
            return replace(case, prediction={**proposed, "note": "not available: another model gave this answer"})
        if self.champion is None:
            return replace(case, prediction={})
        probabilities = self.prediction_cache.proba(self.champion, self.snapshot, [case.task])
        prediction = explain_prediction(self.champion, self.snapshot.data(case.task), probabilities[case.task])
        return replace(case, prediction=prediction)

    def with_model_answer(self, case: CaseRow) -> CaseRow:
        """Return the case with the explanation, and with the champion's answer as its proposal.

        Only where no model served when the case was opened: a proposal that a reviewer rejected stays away.
        """
        explained = self.with_explanation(case)
        never_had_one = case.proposal is None and not case.model and case.rule not in (ESCALATED, SECOND_LOOK)
        answer, confidence = self.model_answer(case.task) if never_had_one else (None, None)
        if answer is None:
            return explained
        return replace(explained, proposal=answer, proposed_by="model", confidence=confidence, model=self.model)


def in_current_round(case: CaseRow, rows: Sequence[_VoteOrSkip]) -> list[_VoteOrSkip]:
    """Return the votes or skips of the case's present round.

    Those before a case was reopened, or before somebody asked for a person, belong to the past.
    """
    restarted = case.round > 1 or case.rule == ON_REQUEST
    return [row for row in rows if not restarted or row.at_s > case.entered_s]
