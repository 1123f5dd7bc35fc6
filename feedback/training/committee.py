"""A committee of a project's last models: where they contradict the champion, a person should look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from feedback.project.snapshot import ProjectSnapshot
from feedback.training.prediction_cache import Floats, PredictionCache
from ml_backend.errors import ArtefactError
from ml_backend.registry import Bundle, Registry

Labels = NDArray[np.object_]

_MEMBERS = 4  # beside the champion; each costs its size in memory


class Committee:
    """The newest models beside the champion, loaded once each, with what they said of each task."""

    def __init__(self, registry: Registry, load: Callable[[bytes, str], Bundle]) -> None:
        self._registry = registry
        self._load = load
        self._members: dict[
            str, dict[str, tuple[Bundle, PredictionCache]]
        ] = {}  # project -> version -> who, and what they say

    def disagreement(
        self, champion: Bundle, prediction_cache: PredictionCache, snapshot: ProjectSnapshot, tasks: Sequence[int]
    ) -> Mapping[int, float]:
        """Give, by task, the share of the committee that says otherwise than the champion, in [0, 1].

        Nothing before there is a second model, nothing for tasks that the champion cannot read. A member that cannot
        read a task has no vote on it.
        """
        others = self._of(snapshot.project.id, champion.version)
        if not others:
            return {}
        says = _labels(champion, prediction_cache.proba(champion, snapshot, tasks), tasks)
        against, voters = np.zeros(len(tasks)), np.zeros(len(tasks))
        for member, remembered in others:
            other = _labels(member, remembered.proba(member, snapshot, tasks), tasks)
            votes = other != ""
            voters += votes
            against += votes & (other != says)
        share = np.divide(against, voters, out=np.full(len(tasks), np.nan), where=(voters > 0) & (says != ""))
        return {task: value for task, value in zip(tasks, share.tolist(), strict=True) if value == value}  # no NaN

    def _of(self, project: str, champion: str) -> list[tuple[Bundle, PredictionCache]]:
        wanted = [version for version in self._registry.versions(project) if version != champion][-_MEMBERS:]
        known = self._members.get(project, {})
        members = {version: known.get(version) or self._seat(project, version) for version in wanted}
        self._members[project] = {version: member for version, member in members.items() if member}
        return list(self._members[project].values())

    def _seat(self, project: str, version: str) -> tuple[Bundle, PredictionCache] | None:
        try:
            artefact = self._registry.artefact(project, version)
            return self._load(artefact.data, artefact.digest), PredictionCache()
        except ArtefactError:
            return None  # an altered model has no vote; the champion's own is reported where it is loaded


def _labels(bundle: Bundle, proba: Mapping[int, Floats], tasks: Sequence[int]) -> Labels:
    """(n,) the label that a model gives each task; "" where it has none."""
    if not tasks or not bundle.classes:
        return np.full(len(tasks), "", dtype=object)
    table = np.vstack([proba[task] for task in tasks])
    names = np.array(bundle.classes, dtype=object)
    labels: Labels = np.where(np.isnan(table[:, 0]), "", names[np.nan_to_num(table).argmax(axis=1)])
    return labels
