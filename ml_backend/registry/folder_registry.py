"""A registry in a folder; files are written whole and renamed, so that no reader sees half of one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_backend.errors import ArtefactError, UnknownName
from ml_backend.registry.protocol import Artefact, ModelRef, digest_of

_CHAMPION, _PREVIOUS = "champion.json", "former.json"
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


class FolderRegistry:
    """Implements `Registry`: `<path>/<project>/<version>.skops` with a `.json` card, and `champion.json`.

    Several processes may read and write. The first `add` creates the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._cached: dict[tuple[str, str], tuple[tuple[int, int, int], ModelRef]] = {}

    def champion(self, project: str) -> ModelRef | None:
        return self._read_ref(project, _CHAMPION)

    def previous_champion(self, project: str) -> ModelRef | None:
        return self._read_ref(project, _PREVIOUS)

    def _read_ref(self, project: str, name: str) -> ModelRef | None:
        file = self._folder(project) / name
        try:
            status = file.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            cached = self._cached.get((project, name))
            if cached is None or cached[0] != stamp:
                body = json.loads(file.read_bytes())
                cached = self._cached[project, name] = (stamp, ModelRef(body["version"], body["digest"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtefactError(f"{file} cannot be read: {error}", hint="Promote a version again.") from error
        return cached[1]

    def artefact(self, project: str, version: str) -> Artefact:
        return Artefact(self._read(project, version, ".skops"), str(self._card(project, version)["digest"]))

    def add(self, project: str, version: str, artefact: Artefact, card: Mapping[str, Any]) -> None:
        if digest_of(artefact.data) != artefact.digest:
            raise ArtefactError(f"version {version!r}: the bytes are not those of the digest.")
        if version in self.versions(project):
            if self._card(project, version)["digest"] != artefact.digest:
                raise ArtefactError(f"version {version!r} exists with other bytes; a version never changes.")
            return
        folder = self._folder(project)
        folder.mkdir(parents=True, exist_ok=True)
        name = self._name(version)
        order = max((self._card(project, old)["order"] for old in self.versions(project)), default=0) + 1
        body = {"version": version, "digest": artefact.digest, "order": order, "card": dict(card)}
        _write(folder / f"{name}.skops", artefact.data)
        # last, because a version without a card does not exist
        _write(folder / f"{name}.json", json.dumps(body, sort_keys=True).encode())

    def promote(self, project: str, version: str) -> None:
        digest, champion = self._card(project, version)["digest"], self._folder(project) / _CHAMPION
        if champion.exists() and json.loads(champion.read_bytes())["version"] != version:
            _write(champion.with_name(_PREVIOUS), champion.read_bytes())
        _write(champion, json.dumps({"version": version, "digest": digest}).encode())

    def versions(self, project: str) -> list[str]:
        files = [file for file in self._folder(project).glob("*.json") if file.name not in (_CHAMPION, _PREVIOUS)]
        cards = [json.loads(file.read_bytes()) for file in files]
        return [card["version"] for card in sorted(cards, key=lambda card: (card["order"], card["version"]))]

    def promoted_ms(self) -> int:
        """Return when any project last promoted a model, in milliseconds since 1970; 0 where none did."""
        return max((file.stat().st_mtime_ns // 1_000_000 for file in self._path.glob(f"*/{_CHAMPION}")), default=0)

    def _card(self, project: str, version: str) -> dict[str, Any]:
        return dict(json.loads(self._read(project, version, ".json")))

    def _read(self, project: str, version: str, ending: str) -> bytes:
        try:
            return (self._folder(project) / f"{self._name(version)}{ending}").read_bytes()
        except FileNotFoundError:
            stored = ", ".join(self.versions(project)) or "none"
            raise UnknownName(f"project {project!r} has no model {version!r}; it has: {stored}.") from None

    def _folder(self, project: str) -> Path:
        return self._path / self._name(project)

    @staticmethod
    def _name(identifier: str) -> str:
        """Return a file name for any id, also for one like `../x` that tries to leave the folder."""
        if _PLAIN.fullmatch(identifier) and identifier not in ("champion", "former"):
            return identifier
        return f"={hashlib.sha256(identifier.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"


def _write(file: Path, data: bytes) -> None:
    """Write a file whole or not at all, and to disk before it becomes visible."""
    number, temporary = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(number, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
