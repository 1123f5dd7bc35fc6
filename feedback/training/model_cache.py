"""The models of each project, loaded once while they serve, and what they predict of each task, computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from feedback.project.incremental_caches import RecentProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.store.log.events import canonical_json
from ml_backend.errors import ArtefactError
from ml_backend.label_config import Control
from ml_backend.registry import Bundle, ModelRef, Registry

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Labels = NDArray[np.object_]

_MOST_MODELS = 16  # champions kept loaded, besides the last used one; each takes some megabytes
_MEMBERS = 4  # members of a committee besides the champion; each costs its size in memory


class ChampionCache:
    """Loads champions from the registry; a new promotion is seen at the next call."""

    def __init__(self, registry: Registry, load: Callable[[bytes, str], Bundle]) -> None:
        self._registry = registry
        self._load = load
        self._loaded = RecentProjects[Bundle](_MOST_MODELS)
        self._refused: dict[str, str] = {}

    def get(self, project: str) -> Bundle | None:
        """Return the champion; None before the first promotion.

        Where its artefact was altered, the champion before it, as the service does, and `refused` says why. None where
        that one cannot be read either: then another model is trained, and judged as a first one.
        """
        self._refused.pop(project, None)
        ref = self._registry.champion(project)
        if ref is None:
            self._loaded.drop(project)
            return None
        try:
            return self._load_version(project, ref)
        except ArtefactError as error:
            self._refused[project] = str(error)
        try:
            former = self._registry.previous_champion(project)
            return self._load_version(project, former) if former is not None else None
        except ArtefactError:
            return None

    def refused(self, project: str) -> str:
        """Return why the champion is not the one that `get` returned; "" where it is."""
        return self._refused.get(project, "")

    def _load_version(self, project: str, ref: ModelRef) -> Bundle:
        bundle = self._loaded.get(project)
        if bundle is None or bundle.version != ref.version:
            artefact = self._registry.artefact(project, ref.version)
            bundle = self._load(artefact.data, artefact.digest)
            self._loaded.put(project, bundle, size=1)
        return bundle


class PredictionCache:
    """Keeps what one model a project predicts; another champion, or other labels, start with an empty cache."""

    def __init__(self) -> None:
        # version, control, and content -> (k,)
        self._kept = RecentProjects[tuple[str, Control, dict[str, Floats]]]()

    def proba(self, champion: Bundle | None, snapshot: ProjectSnapshot, tasks: Sequence[int]) -> dict[int, Floats]:
        """Return the calibrated probabilities (k,) of each task; NaN where it cannot be read; {} without a champion."""
        if champion is None:
            return {}
        kept = self._kept.get(snapshot.project.id)
        is_kept = kept is not None and kept[:2] == (champion.version, champion.control)
        rows = kept[2] if kept is not None and is_kept else dict[str, Floats]()
        contents = _content_names(champion, snapshot, tasks)
        new = {content: task for task, content in contents.items() if content not in rows}
        if new:
            names = [f"task {task}" for task in new.values()]
            table = champion.proba([snapshot.data(task) for task in new.values()], names=names)
            rows.update(zip(new, table, strict=True))
        self._kept.put(snapshot.project.id, (champion.version, champion.control, rows), size=len(rows))
        return {task: rows[content] for task, content in contents.items()}

    def vectors(self, champion: Bundle, snapshot: ProjectSnapshot, tasks: Sequence[int]) -> Vectors:
        """Return the vectors (n, d) of tasks, for strategies that look at distances; features are cached by content."""
        names = [f"task {task}" for task in tasks]
        return champion.vectors([snapshot.tasks[task].data for task in tasks], names=names)


def _content_names(champion: Bundle, snapshot: ProjectSnapshot, tasks: Iterable[int]) -> dict[int, str]:
    """Return a name of all that the model reads of each task: equal names get equal predictions."""
    keys = snapshot.dedup_keys
    if not champion.indicators:
        return {task: keys[task] for task in tasks}
    found = {}
    for task in tasks:
        indicators = snapshot.indicators.get(task)
        found[task] = f"{keys[task]} {canonical_json(indicators).decode()}" if indicators else keys[task]
    return found


class Committee:
    """The newest models besides the champion: where they contradict it, a person should look."""

    def __init__(self, registry: Registry, load: Callable[[bytes, str], Bundle]) -> None:
        self._registry = registry
        self._load = load
        # project -> version -> model, and what it predicts
        self._members = RecentProjects[dict[str, tuple[Bundle, PredictionCache]]](_MOST_MODELS)

    def disagreement(
        self, champion: Bundle, prediction_cache: PredictionCache, snapshot: ProjectSnapshot, tasks: Sequence[int]
    ) -> Mapping[int, float]:
        """Return, by task, the share of the committee that predicts another label than the champion, in [0, 1].

        Nothing before there is a second model, nothing for tasks that the champion cannot read. A member that cannot
        read a task has no vote on it.
        """
        others = self._of(snapshot.project.id, champion.version)
        if not others:
            return {}
        labels = _labels(champion, prediction_cache.proba(champion, snapshot, tasks), tasks)
        against, voters = np.zeros(len(tasks)), np.zeros(len(tasks))
        for member, predictions in others:
            other = _labels(member, predictions.proba(member, snapshot, tasks), tasks)
            votes = other != ""
            voters += votes
            against += votes & (other != labels)
        share = np.divide(against, voters, out=np.full(len(tasks), np.nan), where=(voters > 0) & (labels != ""))
        return {task: value for task, value in zip(tasks, share.tolist(), strict=True) if value == value}  # no NaN

    def _of(self, project: str, champion: str) -> list[tuple[Bundle, PredictionCache]]:
        wanted = [version for version in self._registry.versions(project) if version != champion][-_MEMBERS:]
        known = self._members.get(project) or {}
        loaded = {version: known.get(version) or self._load_member(project, version) for version in wanted}
        members = {version: member for version, member in loaded.items() if member}
        self._members.put(project, members, size=len(members))
        return list(members.values())

    def _load_member(self, project: str, version: str) -> tuple[Bundle, PredictionCache] | None:
        try:
            artefact = self._registry.artefact(project, version)
            return self._load(artefact.data, artefact.digest), PredictionCache()
        except ArtefactError:
            return None  # an altered model has no vote; the champion's own is reported where it is loaded


def _labels(bundle: Bundle, proba: Mapping[int, Floats], tasks: Sequence[int]) -> Labels:
    """Return the label (n,) that a model gives each task; "" where it has none."""
    if not tasks or not bundle.classes:
        return np.full(len(tasks), "", dtype=object)
    table = np.vstack([proba[task] for task in tasks])
    names = np.array(bundle.classes, dtype=object)
    labels: Labels = np.where(np.isnan(table[:, 0]), "", names[np.nan_to_num(table).argmax(axis=1)])
    return labels
