"""Which tasks people have settled, and which need another opinion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from feedback.learning.dataset import Settled
from ml_backend.records import Answer


class _Said(Protocol):
    """What settling needs of a vote: one person's latest answer to one task."""

    @property
    def task(self) -> int: ...
    @property
    def answer(self) -> Answer: ...
    @property
    def annotation(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Settlement:
    """Every answered task, in one of two states."""

    settled: tuple[Settled, ...]
    wanting: Mapping[int, int]  # task -> votes it has, for tasks that need one more


def settle(votes: Iterable[_Said], wanted: Mapping[int, int], *, max_votes: int) -> Settlement:
    """Settle by majority: a task is done when it has the votes it wants and one answer leads.

    `wanted` gives the votes of tasks that want more than one. A tie asks for one more vote until `max_votes`
    (or the wanted number, if larger); what is still tied then stays unsettled and is asked no more.

    >>> from ml_backend.records import Answer
    >>> from types import SimpleNamespace as Vote
    >>> spam, ham = Answer("choices", ("spam",)), Answer("choices", ("ham",))
    >>> votes = [Vote(task=1, answer=spam, annotation=7), Vote(task=1, answer=ham, annotation=8)]
    >>> settle(votes, {1: 2}, max_votes=3)
    Settlement(settled=(), wanting={1: 2})
    """
    by_task: dict[int, list[_Said]] = {}
    for vote in votes:
        by_task.setdefault(vote.task, []).append(vote)
    settled, wanting = [], {}
    for task, said in sorted(by_task.items()):
        wants = wanted.get(task, 1)
        leaders = _leaders(said)
        if len(said) >= wants and len(leaders) == 1:
            settled.append(_settled(task, leaders[0], said))
        elif len(said) < max(wants, max_votes):
            wanting[task] = len(said)
    return Settlement(tuple(settled), wanting)


def _leaders(said: Sequence[_Said]) -> list[Answer]:
    counts = Counter(vote.answer for vote in said)
    most = max(counts.values())
    return [answer for answer, count in counts.items() if count == most]


def _settled(task: int, answer: Answer, said: Sequence[_Said]) -> Settled:
    behind = sum(vote.answer == answer for vote in said)
    # a person who was outvoted taught the answer too: their annotation counts as learned from
    return Settled(task, answer, len(said), behind / len(said), tuple(sorted(vote.annotation for vote in said)))
