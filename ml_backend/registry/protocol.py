"""What a registry promises, whatever it keeps models in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Ref:
    """A model by name, and by the hash of its bytes."""

    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Artefact:
    """A packed model; `digest` is the SHA-256 of `data`, in hex."""

    data: bytes
    digest: str


class Registry(Protocol):
    """Versions of models by project, and which of them serves. Safe from several processes at once.

    `ml_backend.testing.check_registry` says whether an implementation keeps all of it.
    """

    def champion(self, project: str) -> Ref | None:
        """The serving model, None before the first promotion and for a project never heard of. Cheap."""
        ...

    def former(self, project: str) -> Ref | None:
        """The champion before the one of now, which serves where that one cannot be read; None where there was none."""
        ...

    def artefact(self, project: str, version: str) -> Artefact:
        """The bytes of a version; UnknownName for one that was never added."""
        ...

    def add(self, project: str, version: str, artefact: Artefact, card: Mapping[str, Any]) -> None:
        """Keep a version for good. The same bytes again change nothing; other bytes raise ArtefactError."""
        ...

    def promote(self, project: str, version: str) -> None:
        """Make a version the champion, at once for everybody; UnknownName for one that was never added."""
        ...

    def versions(self, project: str) -> list[str]:
        """All versions, the oldest first."""
        ...


def digest_of(data: bytes) -> str:
    """The name of these bytes.

    >>> digest_of(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()
