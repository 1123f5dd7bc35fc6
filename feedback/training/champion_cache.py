"""The serving model of each project, loaded once for as long as it serves."""

from __future__ import annotations

from collections.abc import Callable

from ml_backend.errors import ArtefactError
from ml_backend.registry import Bundle, ModelRef, Registry


class ChampionCache:
    """Loads champions from the registry; a new promotion is seen at the next look."""

    def __init__(self, registry: Registry, load: Callable[[bytes, str], Bundle]) -> None:
        self._registry = registry
        self._load = load
        self._loaded: dict[str, Bundle] = {}
        self._refused: dict[str, str] = {}

    def get(self, project: str) -> Bundle | None:
        """Give the champion, or None before the first promotion.

        The one before it where its artefact was altered, as the service does, which `refused` tells; None where that
        one cannot be read either: another is trained, and judged as a first one.
        """
        self._refused.pop(project, None)
        ref = self._registry.champion(project)
        if ref is None:
            self._loaded.pop(project, None)
            return None
        try:
            return self._load_one(project, ref)
        except ArtefactError as error:
            self._refused[project] = str(error)
        try:
            former = self._registry.previous_champion(project)
            return self._load_one(project, former) if former is not None else None
        except ArtefactError:
            return None

    def refused(self, project: str) -> str:
        """Why the champion is not the one that `get` gave; "" where it is."""
        return self._refused.get(project, "")

    def _load_one(self, project: str, ref: ModelRef) -> Bundle:
        bundle = self._loaded.get(project)
        if bundle is None or bundle.version != ref.version:
            artefact = self._registry.artefact(project, ref.version)
            bundle = self._loaded[project] = self._load(artefact.data, artefact.digest)
        return bundle
