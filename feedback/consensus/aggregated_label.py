"""An opinion: what the votes on one task say together, how sure that is, and what it weighs in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from feedback.votes import Floats
from ml_backend.records import Answer


class VoteLike(Protocol):
    """What weighing needs of a vote: who said what of which task."""

    @property
    def task(self) -> int:
        """Label Studio's id."""
        ...

    @property
    def person(self) -> int:
        """Label Studio's id."""
        ...

    @property
    def answer(self) -> Answer:
        """Their latest."""
        ...


@dataclass(frozen=True, slots=True)
class AggregatedLabel:
    """What the votes on one task say together."""

    answer: Answer  # one that somebody gave
    confidence: float  # probability that it is right, (0, 1]
    weight: float  # for training, (0, 1]: the lead over chance; what may as well be a guess weighs next to nothing
    doubted: bool = False  # an answer that nobody gave is likelier: somebody else should be asked


@dataclass(frozen=True, slots=True)
class AggregatedLabels:
    """Opinions by task; none where majorities decide, and `reason` says why."""

    by_task: Mapping[int, AggregatedLabel] = field(default_factory=dict, repr=False)
    method: str = "majority"
    reason: str = ""
    gain: Mapping[int, float] = field(default_factory=dict, repr=False)  # of another vote, where no new task is left
    lead: Mapping[int, float] = field(default_factory=dict, repr=False)  # the same, less what a new task would tell
    answers: tuple[Answer, ...] = ()  # every answer that was given
    rows: Mapping[int, Floats] = field(default_factory=dict, repr=False)  # task -> probability of each of `answers`
