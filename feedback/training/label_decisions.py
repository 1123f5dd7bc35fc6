"""Which tasks people have settled, and which need another opinion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from feedback.consensus.aggregated_label import AggregatedLabel
from feedback.training.dataset import Settled
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
class ConsensusLabels:
    """Every answered task: settled, waiting for another vote, or neither, where people differ to the end."""

    settled: tuple[Settled, ...]
    wanting: Mapping[int, int]  # task -> votes it has, for tasks that need one more; a settled one may be asked again


def settle(
    votes: Iterable[_Said],
    wanted: Mapping[int, int],
    *,
    max_votes: int,
    opinions: Mapping[int, AggregatedLabel] | None = None,
    sure: float = 1.0,
    again: Set[int] = frozenset(),
) -> ConsensusLabels:
    """Settle by majority: a task is done when it has the votes it wants and one answer leads.

    `wanted` gives the votes of tasks that want more than one. A tie asks for one more vote until `max_votes`
    (or the wanted number, if larger); what is still tied then stays unsettled and is asked no more.

    Where `opinions` know better (people weighed by their reliability), theirs is the answer, and a tie is settled once
    they are as `sure`. The tasks of `again` are asked for one more vote below `max_votes`, settled or not.

    >>> from ml_backend.records import Answer
    >>> from types import SimpleNamespace as Vote
    >>> spam, ham = Answer("choices", ("spam",)), Answer("choices", ("ham",))
    >>> votes = [Vote(task=1, answer=spam, annotation=7), Vote(task=1, answer=ham, annotation=8)]
    >>> settle(votes, {1: 2}, max_votes=3)
    ConsensusLabels(settled=(), wanting={1: 2})
    """
    by_task: dict[int, list[_Said]] = {}
    for vote in votes:
        by_task.setdefault(vote.task, []).append(vote)
    settled, wanting = [], {}
    for task, said in sorted(by_task.items()):
        wants = wanted.get(task, 1)
        leaders, opinion = _leaders(said), (opinions or {}).get(task)
        decided = len(leaders) == 1 or (opinion is not None and opinion.confidence >= sure)
        done = decided and len(said) >= wants
        if done:
            answer = leaders[0] if opinion is None else opinion.answer
            settled.append(_settled(task, answer, said, opinion))
        if len(said) < (max_votes if done and task in again else 0 if done else max(wants, max_votes)):
            wanting[task] = len(said)
    return ConsensusLabels(tuple(settled), wanting)


def _leaders(said: Sequence[_Said]) -> list[Answer]:
    counts = Counter(vote.answer for vote in said)
    most = max(counts.values())
    return [answer for answer, count in counts.items() if count == most]


def _settled(task: int, answer: Answer, said: Sequence[_Said], opinion: AggregatedLabel | None) -> Settled:
    behind = sum(vote.answer == answer for vote in said) / len(said)
    # a person who was outvoted taught the answer too: their annotation counts as learned from
    annotations = tuple(sorted(vote.annotation for vote in said))
    if opinion is None:
        return Settled(task, answer, len(said), behind, annotations, confidence=behind, weight=round(behind, 2))
    confidence, weight = opinion.confidence, opinion.weight
    behind = behind or confidence  # of what was fused nobody gave just this, and all of them some of it
    return Settled(task, answer, len(said), behind, annotations, confidence=confidence, weight=weight)
