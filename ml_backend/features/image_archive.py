"""Images in a ZIP file: read one by one into memory, never extracted, each within a limit."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from ml_backend.clean_text import clean_text
from ml_backend.errors import BackendError
from ml_backend.features.image_decoding import MediaError

_MAX_BYTES = 32 << 20  # of one image, unpacked; as `Media` allows
_HIDDEN = ("__MACOSX/",)  # what macOS adds beside each file


class ArchiveError(BackendError):
    """A file is no ZIP archive, or cannot be read."""


class ImageArchive:
    """The files of a ZIP archive by name; its `fetch` serves `ml_backend.features.media.Media`.

    A name is only ever looked up, so that "../x" is a name like any other, and no link is followed. What an entry says
    of its size is not believed: no more than the limit is unpacked.
    """

    def __init__(self, path: Path, *, max_bytes: int = _MAX_BYTES) -> None:
        self.path, self._max_bytes = path, max_bytes
        try:
            self._zip = ZipFile(path)
        except (OSError, BadZipFile, NotImplementedError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ArchiveError(f"{path} cannot be read as a ZIP: {why}.", hint="Give the ZIP of the images.") from error
        files = [entry for entry in self._zip.infolist() if not entry.is_dir()]
        self._entries = {_plain(entry.filename): entry for entry in files if not entry.filename.startswith(_HIDDEN)}
        self._by_last_part = defaultdict[str, list[str]](list)
        for name in self._entries:
            self._by_last_part[name.rpartition("/")[2]].append(name)

    @property
    def examples(self) -> Sequence[str]:
        """Return the names of all files, in the order of the archive."""
        return [repr(name) for name in self._entries] or ["no file"]

    def find(self, name: str) -> str | None:
        """Return the address of a file by its name; None where there is none, or several may be meant.

        A name may have fewer folders than the archive has, or more.
        """
        wanted = _plain(name)
        if wanted in self._entries:
            return wanted
        named = self._by_last_part.get(wanted.rpartition("/")[2], [])
        nearest = [each for each in named if f"/{each}".endswith(f"/{wanted}") or f"/{wanted}".endswith(f"/{each}")]
        found = nearest or named
        return found[0] if len(found) == 1 else None

    def fetch(self, address: str) -> bytes:
        """Return the bytes of a file by its address; MediaError where it is too large, encrypted or damaged."""
        entry = self._entries.get(address)
        if entry is None:
            raise MediaError(f"{self.path.name} has no file {address[:80]!r}.")
        try:
            return self._read(entry)
        except (OSError, EOFError, BadZipFile, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
            raise MediaError(f"cannot be unpacked: {str(error)[:120]}") from error  # RuntimeError: it has a password

    def _read(self, entry: ZipInfo) -> bytes:
        with self._zip.open(entry) as file:
            data = file.read(self._max_bytes + 1)
        if len(data) > self._max_bytes:
            raise MediaError(f"the image has more than {self._max_bytes} bytes.")
        return data


def _plain(name: str) -> str:
    return clean_text(name).replace("\\", "/").removeprefix("./")
