"""The serving model of each project, loaded once for as long as it serves."""

from __future__ import annotations

from collections.abc import Callable

from ml_backend.registry import Bundle, Registry


class Champions:
    """Loads champions from the registry; a new promotion is seen at the next look."""

    def __init__(self, registry: Registry, load: Callable[[bytes, str], Bundle]) -> None:
        self._registry = registry
        self._load = load
        self._loaded: dict[str, Bundle] = {}

    def get(self, project: str) -> Bundle | None:
        """Give the champion, or None before the first promotion.

        Raises ArtefactError when its artefact was altered; the service then keeps its previous one.
        """
        ref = self._registry.champion(project)
        if ref is None:
            self._loaded.pop(project, None)
            return None
        bundle = self._loaded.get(project)
        if bundle is None or bundle.version != ref.version:
            artefact = self._registry.artefact(project, ref.version)
            bundle = self._loaded[project] = self._load(artefact.data, artefact.digest)
        return bundle
