"""A challenge: train on what people settled, judge against the champion, promote or keep; each step recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from feedback.project.snapshot import ProjectSnapshot
from feedback.store import Store, Work
from feedback.training.champion_cache import ChampionCache
from feedback.training.dataset import Dataset
from feedback.training.model_vote import ModelVote, reweighed
from feedback.training.promotion import Verdict, judge
from feedback.training.trainer import train
from feedback.training.triggers import Trained, due
from ml_backend.models import Recipe
from ml_backend.records import Task
from ml_backend.registry import pack, recipe_with_indicators


def challenge(
    store: Store,
    champions: ChampionCache,
    snapshot: ProjectSnapshot,
    dataset: Dataset,
    recipe: Recipe,
    *,
    reweigh_with_model: Callable[[Dataset, Recipe], ModelVote],
    now_s: float,
    work: Work | None,
) -> Verdict | None:
    """Train when it is due, and let the verdict decide. None: nothing was due.

    Whether it is due depends on people's answers alone; `reweigh_with_model` adds the model's vote to their weights.
    Artefact, training record, verdict and promotion are written together, under the fence of `work`: LeaseLost
    where another worker has the project by then. Raises NotTrained when the rows cannot be learned from.
    """
    project = snapshot.project.id
    last = last_training(store, project, snapshot.tasks)
    indicators = sorted(snapshot.policy.indicators)
    name = recipe_with_indicators(recipe.name, indicators)
    reason = due(
        dataset,
        last,
        recipe=name,
        policy=snapshot.policy,
        overrides=partial(store.overrides.list_overriding_annotations, project),
        forgotten=partial(store.events.list_erased_annotations, project),
    )
    if not reason:
        return None
    seed = snapshot.policy.train.seed
    heard = reweigh_with_model(dataset, recipe)
    weighed = reweighed(dataset, heard)
    bundle = train(
        weighed,
        snapshot.control,
        recipe,
        config_hash=snapshot.config.hash,
        seed=seed,
        now_s=now_s,
        indicators=indicators,
    )
    champion = champions.get(project)
    trained = frozenset(row.task for row in dataset.of("train"))
    if champion is not None:
        trained |= _trained_tasks(store, project, champion.version, snapshot.tasks)
    audit = [row for row in dataset.of("tune", "judge") if row.task not in trained]
    verdict = judge(bundle, champion, audit, taught=dataset.of("train"), trained=trained, policy=snapshot.policy)
    artefact = pack(bundle)
    # one transaction: a kill leaves all of a challenge or nothing, and a worker that lost the project leaves nothing
    with store.transaction(work):
        store.registry.add(project, bundle.version, artefact, dict(bundle.card))
        _record_training(store, snapshot, dataset, heard, bundle.version, name, reason, now_s)
        if verdict.promote:
            store.registry.promote(project, bundle.version, verdict=verdict.as_dict() | {"at_s": now_s})
        else:
            store.records.create_record(project, "verdict", verdict.as_dict() | {"at_s": now_s}, key=bundle.version)
    return verdict


def last_training(store: Store, project: str, tasks: Mapping[int, Task] | None = None) -> Trained | None:
    """What the newest training saw, promoted or not; with `tasks`, without numbers that are other tasks' now."""
    found = store.records.get_latest_record(project, "training")
    if found is None:
        return None
    body = found.body
    given = frozenset(body["annotations"])
    return Trained(body["fingerprint"], int(body["rows"]), body["recipe"], _seen(body, tasks or {}), given)


def learned_annotations(store: Store, project: str, version: str) -> frozenset[int]:
    """The annotations that a model version was trained on."""
    found = store.records.get_latest_record(project, "training", key=version)
    return frozenset(found.body["annotations"]) if found else frozenset()


def _trained_tasks(store: Store, project: str, version: str, tasks: Mapping[int, Task]) -> frozenset[int]:
    found = store.records.get_latest_record(project, "training", key=version)
    return _seen(found.body, tasks) if found else frozenset()


def _seen(training: Mapping[str, Any], tasks: Mapping[int, Task]) -> frozenset[int]:
    """The tasks that a training saw; a task newer than all that were there has got the number of one since."""
    until = training.get("until")
    return frozenset(
        one for one in training["tasks"] if not until or one not in tasks or tasks[one].created_at <= until
    )


def _record_training(
    store: Store,
    snapshot: ProjectSnapshot,
    dataset: Dataset,
    heard: ModelVote,
    version: str,
    recipe: str,
    reason: str,
    now_s: float,
) -> None:
    rows = dataset.of("train")
    body = {
        "version": version,
        "recipe": recipe,
        "reason": reason,
        "fingerprint": dataset.fingerprint,
        "rows": len(rows),
        "tasks": [row.task for row in rows],
        "until": max((task.created_at for task in snapshot.tasks.values()), default=""),
        "annotations": sorted(annotation for row in rows for annotation in row.annotations),
        "model_vote": {"rows": len(heard.weights), "reason": heard.reason},
        "doubts": [asdict(doubt) for doubt in heard.doubts],
        "at_s": now_s,
    }
    store.records.create_record(snapshot.project.id, "training", body, key=version)
