"""A turn of the loop: what it may ask of Label Studio, what it has to say, and what it did."""

from __future__ import annotations

from dataclasses import dataclass, field

from feedback.jobs.lease import Held
from feedback.store import Store


@dataclass(frozen=True, slots=True)
class Turn:
    """What one pass of the loop did."""

    project: str
    at_s: float
    collected: int  # events that no webhook had brought
    answers: int  # votes of people on our control
    trainable: int  # of these, on tasks that models may learn from
    settled: int
    reopened: int
    version: str  # the model that serves, "" before the first
    verdict: str  # what was said of a challenger, "" when none was due
    asked: str  # why a window was written, "" when the old one still serves
    window: str  # the window that is served
    notes: tuple[str, ...]
    waits: str = ""  # what the first model still waits for, "" once one serves


@dataclass(frozen=True, slots=True)
class TurnContext:
    """A turn while it runs: the lease that it runs under, and what there is to tell of it."""

    store: Store
    project: str
    held: Held | None
    poll: bool  # whether Label Studio is asked what changed
    notes: list[str] = field(default_factory=list)

    def may_write(self) -> bool:
        """Asked before every write: a pause, a disconnect or a lost lease stops the next one."""
        row = self.store.projects.get_project(self.project)
        return row is not None and row.connected and not row.paused and (self.held is None or self.held.holds())

    def again(self) -> None:
        """Ask for another turn: something was left for it."""
        self.store.jobs.request_job(self.project, "turn")
