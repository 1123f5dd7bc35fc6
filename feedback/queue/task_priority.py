"""What makes a task urgent: the order in which open tasks are asked, each priority by itself."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from feedback.consensus.labelling_functions import suggest_labels
from feedback.policy import Policy
from feedback.project.routing_decisions import NORMAL
from feedback.project.snapshot import ProjectSnapshot
from feedback.queue.interleave import OpenTask, Place, interleave, sort_audit
from feedback.training.model_cache import Floats, PredictionCache
from ml_backend.left_out import contained
from ml_backend.records import Answer
from ml_backend.registry import Bundle
from sampling.ordering import Ordering, TaskStream, interleave_streams, order_tasks
from sampling.pool import Pool


def rank_tasks(
    snapshot: ProjectSnapshot,
    opened: Sequence[OpenTask],
    champion: Bundle | None,
    prediction_cache: PredictionCache,
    *,
    number: int,
    audit_rows: int,
) -> list[Place]:
    """Order the open tasks, each priority by itself; the same snapshot and number give the same places.

    Audit tasks take their quota beside every priority: what is urgent must not keep the audit waiting.
    """
    audit, quota, places = sort_audit(opened), audit_quota(snapshot.policy, audit_rows), list[Place]()
    priorities = sorted({item.priority for item in opened if not item.is_audit}) or [NORMAL]
    for priority in priorities:
        part = [item for item in opened if item.priority == priority and not item.is_audit]
        is_last = priority == priorities[-1]
        n_audit = len(audit) if is_last else audit_beside(sum(not item.reopened for item in part), quota)
        beside, audit = audit[:n_audit], audit[n_audit:]
        rank = partial(
            _rank_one_priority, snapshot, champion=champion, prediction_cache=prediction_cache, number=number
        )
        if is_last and priority >= NORMAL:
            places += rank([*part, *beside], audit_share=quota)
        else:  # what is urgent begins
            places += _interleave_audit(rank(part, audit_share=0.0), beside, quota)
    return places[: snapshot.policy.queue.window]


def _interleave_audit(places: Sequence[Place], audit: Sequence[OpenTask], quota: float) -> list[Place]:
    rows = [*places, *(Place(item.task, None, None, blind=True, reason="audit") for item in audit)]
    usual = TaskStream("usual", range(len(places)), 1.0 - quota)
    beside = TaskStream("audit", range(len(places), len(rows)), quota)
    return [rows[at] for at, _reason in interleave_streams([usual, beside], size=len(rows))]


def audit_quota(policy: Policy, audit_rows: int) -> float:
    """Return the share of the queue that audit tasks get: at least half until `audit.start` of them are answered."""
    return max(0.5, policy.audit.quota) if audit_rows < policy.audit.start else policy.audit.quota


def audit_beside(n_others: int, quota: float) -> int:
    """Return the number of audit tasks that have a share `quota` of the places together with so many others.

    >>> audit_beside(8, 0.2), audit_beside(1, 0.5), audit_beside(3, 0.0)
    (2, 1, 0)
    """
    return round(n_others * quota / (1.0 - quota)) if quota < 1.0 else n_others


def _rank_one_priority(
    snapshot: ProjectSnapshot,
    opened: Sequence[OpenTask],
    champion: Bundle | None,
    prediction_cache: PredictionCache,
    *,
    number: int,
    audit_share: float,
) -> list[Place]:
    """Order tasks of one priority with the audit tasks beside them."""
    policy = snapshot.policy
    learnable = [item.task for item in opened if item.role == "train" and not item.reopened]
    proba = prediction_cache.proba(champion, snapshot, learnable)
    ranked: list[tuple[int, str]] = []
    if learnable:
        ordering = _ordering(snapshot, learnable, champion, prediction_cache, proba, number=number)
        ranked = list(zip(ordering.ids, ordering.reasons, strict=True))
    predictions = (
        {task: champion.predict_label(proba[task]) for task, _reason in ranked}
        if champion
        else _suggested(snapshot, learnable)
    )
    return interleave(
        opened,
        ranked,
        predictions,
        size=policy.queue.window,
        audit_quota=audit_share,
        gold=snapshot.gold,
        gold_share=policy.gold.share,
        first=snapshot.onboarding,
    )


def _suggested(snapshot: ProjectSnapshot, tasks: Sequence[int]) -> dict[int, tuple[Answer, float]]:
    data = {task: snapshot.tasks[task].data for task in tasks}
    return suggest_labels(snapshot.policy.labelling_functions, snapshot.control, data)


def _ordering(
    snapshot: ProjectSnapshot,
    tasks: Sequence[int],
    champion: Bundle | None,
    prediction_cache: PredictionCache,
    proba: Mapping[int, Floats],
    *,
    number: int,
) -> Ordering:
    policy = snapshot.policy
    k = len(champion.classes) if champion else 1
    unknown = np.ones(k)  # before the first model all tasks are alike
    unknown /= unknown.sum()
    table = np.concatenate([proba.get(task, unknown) for task in tasks]).reshape(len(tasks), k)
    vectors = (
        prediction_cache.vectors(champion, snapshot, tasks) if champion and policy.sampling.looks_at_distances else None
    )
    order = partial(
        order_tasks,
        Pool(tuple(tasks), table, np.zeros(len(tasks)), vectors=vectors),
        random_share=policy.sampling.random_share,
        seed=zlib.crc32(f"{snapshot.project.id}/{number}".encode()),
        size=policy.queue.window,
    )
    strategy = policy.sampling.strategy if champion else "random"
    with contained("order the queue", f"the strategy {strategy}"):  # it is a plug-in; somebody may wait for a task
        return order(strategy=strategy)
    return order(strategy="random")  # type: ignore[unreachable]  # reached where the strategy fails
