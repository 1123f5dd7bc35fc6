"""The registry protocol: what every storage of models provides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model version, and the SHA-256 of its bytes in hex."""

    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Artefact:
    """A packed model; `digest` is the SHA-256 of `data`, in hex."""

    data: bytes
    digest: str


class Registry(Protocol):
    """Versions of models by project, and which of them serves. Safe for several processes at once.

    `ml_backend.testing.check_registry` checks an implementation.
    """

    def champion(self, project: str) -> ModelRef | None:
        """Return the serving model; None before the first promotion and for an unknown project. Cheap."""

    def previous_champion(self, project: str) -> ModelRef | None:
        """Return the champion before this one, which serves where this one cannot be read; None for none."""

    def artefact(self, project: str, version: str) -> Artefact:
        """Return the bytes of a version; UnknownName for one that was never added."""

    def add(self, project: str, version: str, artefact: Artefact, card: Mapping[str, Any]) -> None:
        """Store a version for ever. The same bytes again change nothing; other bytes raise ArtefactError."""

    def promote(self, project: str, version: str) -> None:
        """Make a version the champion for all processes at once; UnknownName for one that was never added."""

    def versions(self, project: str) -> list[str]:
        """Return all versions, the oldest first."""


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of these bytes in hex."""
    return hashlib.sha256(data).hexdigest()
