"""What makes a task urgent: the order in which open tasks are asked, each priority by itself."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from feedback.consensus.labelling_functions import suggest_labels
from feedback.project.snapshot import ProjectSnapshot
from feedback.queue.interleave import OpenTask, Place, interleave
from feedback.training.model_cache import Floats, PredictionCache
from ml_backend.records import Answer
from ml_backend.registry import Bundle
from sampling.ordering import Ordering, order_tasks
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
    """Order the open tasks, each priority by itself; the same snapshot and number give the same places."""
    places: list[Place] = []
    for priority in sorted({item.priority for item in opened}):
        part = [item for item in opened if item.priority == priority]
        places += _rank_one_priority(snapshot, part, champion, prediction_cache, number=number, audit_rows=audit_rows)
    return places[: snapshot.policy.queue.window]


def _rank_one_priority(
    snapshot: ProjectSnapshot,
    opened: Sequence[OpenTask],
    champion: Bundle | None,
    prediction_cache: PredictionCache,
    *,
    number: int,
    audit_rows: int,
) -> list[Place]:
    """Order tasks of one priority. Until `audit.start` audit rows are answered, half of the queue feeds the audit."""
    policy = snapshot.policy
    learnable = [item.task for item in opened if item.role == "train" and not item.reopened]
    proba = prediction_cache.proba(champion, snapshot, learnable)
    ranked: list[tuple[int, str]] = []
    if learnable:
        ordering = _ordering(snapshot, learnable, champion, prediction_cache, proba, number=number)
        ranked = list(zip(ordering.ids, ordering.reasons, strict=True))
    quota = max(0.5, policy.audit.quota) if audit_rows < policy.audit.start else policy.audit.quota
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
        audit_quota=quota,
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
    return order_tasks(
        Pool(tuple(tasks), table, np.zeros(len(tasks)), vectors=vectors),
        strategy=policy.sampling.strategy if champion else "random",
        random_share=policy.sampling.random_share,
        seed=zlib.crc32(f"{snapshot.project.id}/{number}".encode()),
        size=policy.queue.window,
    )
