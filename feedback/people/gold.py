"""Gold tasks among the others: when one is due, which one, and when it has been seen too often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from feedback.draws import draw
from feedback.errors import VotesError

_PURPOSE = "gold"


@dataclass(frozen=True, slots=True)
class GoldPlan:
    """How gold is mixed in; checked once."""

    share: float = 0.05  # of the tasks after onboarding, in [0, 1)
    onboarding: int = 10  # the first answers of each person are all gold
    retire_after: int = 200  # answers, after which people know a gold task by heart

    def __post_init__(self) -> None:
        if not 0.0 <= self.share < 1.0:
            raise VotesError(f"share is {self.share}, wanted a share from 0 to less than 1.")
        if self.onboarding < 0 or self.retire_after < 1:
            raise VotesError("onboarding is 0 or more answers, retire_after at least one.")


def is_due(secret: str, project: str, person: int, answers: int, *, plan: GoldPlan) -> bool:
    """Whether this person's next task, after `answers` answers, is a gold one.

    The draw is keyed: nobody can tell from the outside when gold comes, and asking twice gives the same.

    >>> [is_due("key", "7", 1, answers, plan=GoldPlan(share=0.0, onboarding=2)) for answers in range(4)]
    [True, True, False, False]
    """
    return answers < plan.onboarding or draw(secret, _PURPOSE, f"{project}/{person}/{answers}") < plan.share


def choose(secret: str, person: int, uses: Mapping[int, int], seen: Iterable[int], *, plan: GoldPlan) -> int | None:
    """The gold task for this person: not seen by them, not retired, least used; None where there is none left.

    `uses` counts the answers to each gold task. Equally used ones go in an order of each person's own, so that two who
    sit side by side do not meet the same task at the same time.

    >>> choose("key", 1, {10: 3, 11: 0, 12: 0}, seen=[11], plan=GoldPlan())
    12
    """
    known = set(seen)
    open_ones = [task for task, used in uses.items() if task not in known and used < plan.retire_after]
    return min(open_ones, key=lambda task: (uses[task], draw(secret, _PURPOSE, f"{person}:{task}")), default=None)


def retired(uses: Mapping[int, int], *, plan: GoldPlan) -> tuple[int, ...]:
    """The gold tasks that need a successor, most used first.

    >>> retired({10: 3, 11: 250, 12: 400}, plan=GoldPlan())
    (12, 11)
    """
    spent = [task for task, used in uses.items() if used >= plan.retire_after]
    return tuple(sorted(spent, key=lambda task: (-uses[task], task)))
