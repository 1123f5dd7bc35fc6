"""Ranking: the open tasks in the order in which they are asked, each priority by itself."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from feedback.consensus.labelling_functions import suggestions
from feedback.project.snapshot import Scene
from feedback.queue.interleave import Open, Place, compose
from feedback.training.prediction_cache import Floats, Guesses
from ml_backend.records import Answer
from ml_backend.registry import Bundle
from sampling.ordering import Ordering, order
from sampling.pool import Pool


def places_of(
    scene: Scene, opened: Sequence[Open], champion: Bundle | None, guesses: Guesses, *, number: int, audit_rows: int
) -> list[Place]:
    """Order the open tasks, each priority by itself; the same scene and number give the same places."""
    places: list[Place] = []
    for band in sorted({item.band for item in opened}):
        part = [item for item in opened if item.band == band]
        places += _of_one_band(scene, part, champion, guesses, number=number, audit_rows=audit_rows)
    return places[: scene.policy.queue.window]


def _of_one_band(
    scene: Scene, opened: Sequence[Open], champion: Bundle | None, guesses: Guesses, *, number: int, audit_rows: int
) -> list[Place]:
    """Order tasks of one priority. Until `audit.start` audit rows are answered, half of the queue feeds the audit."""
    policy = scene.policy
    learnable = [item.task for item in opened if item.role == "train" and not item.reopened]
    proba = guesses.proba(champion, scene, learnable)
    ranked: list[tuple[int, str]] = []
    if learnable:
        ordering = _ordering(scene, learnable, champion, guesses, proba, number=number)
        ranked = list(zip(ordering.ids, ordering.reasons, strict=True))
    quota = max(0.5, policy.audit.quota) if audit_rows < policy.audit.start else policy.audit.quota
    said = {task: champion.says(row) for task, row in proba.items()} if champion else _suggested(scene, learnable)
    return compose(
        opened,
        ranked,
        said,
        size=policy.queue.window,
        audit_quota=quota,
        gold=scene.gold,
        gold_share=policy.gold.share,
        first=scene.onboarding,
    )


def _suggested(scene: Scene, tasks: Sequence[int]) -> dict[int, tuple[Answer, float]]:
    data = {task: scene.tasks[task].data for task in tasks}
    return suggestions(scene.policy.labelling_functions, scene.control, data)


def _ordering(
    scene: Scene,
    tasks: Sequence[int],
    champion: Bundle | None,
    guesses: Guesses,
    proba: Mapping[int, Floats],
    *,
    number: int,
) -> Ordering:
    policy = scene.policy
    unknown = np.full(len(champion.classes) if champion else 1, 1.0)  # before the first model all tasks are alike
    table = np.vstack([proba.get(task, unknown / unknown.sum()) for task in tasks])
    vectors = guesses.vectors(champion, scene, tasks) if champion and policy.sampling.looks_at_distances else None
    return order(
        Pool(tuple(tasks), table, np.zeros(len(tasks)), vectors=vectors),
        strategy=policy.sampling.strategy if champion else "random",
        random_share=policy.sampling.random_share,
        seed=zlib.crc32(f"{scene.project.id}/{number}".encode()),
        size=policy.queue.window,
    )
