"""Mix audit tasks, second opinions, gold tasks and the ranked tasks into the places of a window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from feedback.project.audit_splits import AUDIT_ROLES
from feedback.project.routing_decisions import NORMAL
from ml_backend.records import Answer
from sampling.ordering import TaskStream, interleave_streams

_SECOND_OPINION_SHARE = 0.2  # of the places left by the audit, for second opinions: they decide nearly certain labels


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task that somebody may still answer."""

    task: int
    role: str  # "train", "tune", "judge", "certify" or "gold"
    blind: bool  # nothing may be shown on it
    audit_order: float  # order among audit tasks, [0, 1)
    reopened: bool = False  # waits for another person's opinion
    priority: int = NORMAL  # place in PRIORITIES: a smaller one is asked first

    @property
    def is_audit(self) -> bool:
        """Return whether it is asked in the order of the audit, and at its quota beside every priority."""
        return self.role in AUDIT_ROLES and not self.reopened


@dataclass(frozen=True, slots=True)
class Place:
    """One row of the window; its index is its place in the queue."""

    task: int
    answer: Answer | None
    confidence: float | None
    blind: bool
    reason: str  # "audit", "gold", "second opinion", "strategy", "random" or "unreadable"


def interleave(
    open_tasks: Sequence[OpenTask],
    ranked: Sequence[tuple[int, str]],
    predictions: Mapping[int, tuple[Answer | None, float | None]],
    *,
    size: int,
    audit_quota: float,
    gold: Sequence[int] = (),
    gold_share: float = 0.0,
    first: Sequence[int] = (),
) -> list[Place]:
    """Mix audit tasks, second opinions and the strategy's order into at most `size` places.

    `ranked` orders the tasks that models may learn from, best first, with the reason; `predictions` holds what the
    champion says of a task. Audit tasks take `audit_quota` of the places, evenly spread, in hash order, as long
    as there are any. Gold tasks take `gold_share` of the places in the order given; the open ones of `first` come
    before everything: people who answered them are not served them again.

    >>> tasks = [OpenTask(task, "train", False, 0.0) for task in (1, 2)] + [OpenTask(3, "judge", True, 0.4)]
    >>> [place.task for place in interleave(tasks, [(2, "strategy"), (1, "random")], {}, size=3, audit_quota=0.5)]
    [3, 2, 1]
    """
    by_id = {item.task: item for item in open_tasks}
    audit = sort_audit(open_tasks)
    reopened = sorted(item.task for item in open_tasks if item.reopened and item.role != "gold")
    front = [task for task in first if task in by_id][:size]
    known = [task for task in gold if task in by_id and task not in front]
    reasons = {task: reason for task, reason in ranked if task in by_id}
    known_share = min(gold_share, 1.0 - audit_quota) if known else 0.0
    rest = 1.0 - audit_quota - known_share
    second = _SECOND_OPINION_SHARE if reopened and reasons else float(bool(reopened))
    streams = [
        TaskStream("audit", [item.task for item in audit], audit_quota),
        TaskStream("gold", known, known_share),
        TaskStream("second opinion", reopened, rest * second),
        TaskStream("ranked", list(reasons), rest * (1.0 - second)),
    ]
    rows = [(task, "gold") for task in front] + list(interleave_streams(streams, size=size - len(front)))
    return [_place(by_id[task], reasons.get(task, why), predictions) for task, why in rows]


def sort_audit(open_tasks: Iterable[OpenTask]) -> list[OpenTask]:
    """Return the audit tasks among these in the order of the audit."""
    return sorted((item for item in open_tasks if item.is_audit), key=lambda item: (item.audit_order, item.task))


def _place(item: OpenTask, reason: str, predictions: Mapping[int, tuple[Answer | None, float | None]]) -> Place:
    answer, confidence = (None, None) if item.blind else predictions.get(item.task, (None, None))
    return Place(item.task, answer, confidence, item.blind, reason)
