"""One round over a project's cases: what all its parts share, and how each of them moves a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from feedback.project.snapshot import ProjectSnapshot
from feedback.review import sla
from feedback.review.case_triggers import Says
from feedback.review.cases import ESCALATED, ON_REQUEST, Book, Need
from feedback.review.errors import CaseMoved
from feedback.review.state_machine import LIVE, Event
from feedback.store import CaseRow, Skip, Store, Vote
from feedback.training.label_decisions import ConsensusLabels
from ml_backend.records import Task

_Said = TypeVar("_Said", Vote, Skip)


@dataclass
class Worked:
    """What one round did; `notes` are for the turn's own."""

    opened: int = 0
    moved: int = 0
    resolved: int = 0
    left: bool = False  # there is more to do at once
    reopened: dict[int, Task] = field(default_factory=dict)  # source tasks that others may answer now, as they are
    notes: list[str] = field(default_factory=list)


@dataclass
class Round:
    """The project as this round sees it; cases are read anew by each part, since the one before has moved them."""

    store: Store
    book: Book
    snapshot: ProjectSnapshot
    consensus_labels: ConsensusLabels
    model: str  # the version of the champion; "" without one
    says: Says  # what the champion says of a task
    gather: Callable[[str], object]  # brings in what changed in a review project
    may_write: Callable[[], bool]
    worked: Worked = field(default_factory=Worked)
    opine: Callable[[int], Mapping[str, Any]] = lambda _task: {}  # what the champion says of a task, and why

    @property
    def project(self) -> str:
        """The source project."""
        return self.snapshot.project.id

    @property
    def first(self) -> str:
        """The tier that is the source project itself."""
        return self.snapshot.policy.first_tier

    @cached_property
    def votes(self) -> dict[int, list[Vote]]:
        """Votes by their task, in the order of time."""
        found: dict[int, list[Vote]] = {}
        for vote in sorted(self.snapshot.votes, key=lambda vote: (vote.at_s, vote.annotation)):
            found.setdefault(vote.task, []).append(vote)
        return found

    @cached_property
    def skips(self) -> dict[int, list[Skip]]:
        """Skips in the source project by their task."""
        found: dict[int, list[Skip]] = {}
        for skip in self.store.skips(self.project):
            found.setdefault(skip.task, []).append(skip)
        return found

    def live(self, *, first: bool | None = None) -> list[CaseRow]:
        """Cases that somebody must still do something about; of the first tier, of those above, or all."""
        cases = [one for one in self.store.cases(self.project, states=LIVE) if one.task in self.snapshot.tasks]
        return cases if first is None else [one for one in cases if (one.tier == self.first) == first]

    def above(self, tier: str) -> str | None:
        """The tier that a case escalates to."""
        return self.snapshot.policy.tier_after(tier) if tier in self.snapshot.policy.tiers else None

    def move(self, case: CaseRow, event: Event, **options: Any) -> CaseRow | None:
        """Move a case; None where somebody else has, which the next round reads."""
        try:
            moved = self.book.move(case, event, **options)
        except CaseMoved as error:
            self.worked.notes.append(str(error))
            return None
        self.worked.moved += 1
        self.worked.resolved += moved.state == "resolved"
        return moved

    def reopen(self, case: CaseRow, need: Need) -> CaseRow | None:
        """Begin another round of a case; None where somebody else has moved it."""
        try:
            begun = self.book.reopen(case, need)
        except CaseMoved as error:
            self.worked.notes.append(str(error))
            return None
        self.worked.opened += 1
        return begun

    def with_opinion(self, case: CaseRow) -> CaseRow:
        """The case with what the model says and what spoke for it, as far as it is not known already."""
        if case.opinion:
            return case
        if case.proposed_by == "model" and case.proposal is not None and case.model != self.model:
            said = {"model": case.model, "answer": case.proposal.key, "confidence": case.confidence}
            return replace(case, opinion={**said, "note": "not known: the model that said so no longer serves"})
        return replace(case, opinion=self.opine(case.task))

    def escalate(self, case: CaseRow, why: str, **options: Any) -> CaseRow | None:
        """Move a case one tier up; a promise that somebody was given goes with it."""
        promised = case.rule == ON_REQUEST and case.due_s is not None and case.due_s > self.book.now_s
        calendar = self.book.calendar(case.tier)
        within_s = sla.worked(calendar, self.book.now_s, case.due_s or 0.0) if promised else 0.0
        rule = case.rule if promised else ESCALATED
        return self.move(case, "escalate", note=why, within_s=within_s, **{"why": why, "rule": rule, **options})


def since(case: CaseRow, rows: Sequence[_Said]) -> list[_Said]:
    """The votes or skips of a case's present round: what was said before it was re-opened is history.

    So is what people had said before somebody asked for a person.
    """
    anew = case.round > 1 or case.rule == ON_REQUEST
    return [row for row in rows if not anew or row.at_s > case.entered_s]
