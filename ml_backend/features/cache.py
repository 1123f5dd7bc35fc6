"""A cache of features by the hash of their content, bounded in bytes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

Features = tuple[NDArray[np.generic], ...] | bytes  # of one text or one image
Value = TypeVar("Value", bound=Features)

_ENTRY_BYTES = 300  # key, tuple, array headers and the dict's own slot, so that small entries count, too


class FeatureCache(Generic[Value]):
    """Caches features by content; the least recently used go first.

    Safe in threads: two threads may compute the same content twice, with the same result. functools.lru_cache does not
    serve here: it computes one content at a time, and counts entries instead of bytes.

    >>> cache = FeatureCache(max_bytes=1 << 20)
    >>> lengths = lambda texts: [(np.array([len(text)]),) for text in texts]
    >>> [row[0].item() for row in cache.rows("length/1", ["a", "bcd"], lengths)]
    [1, 3]
    >>> cache.hits, cache.misses
    (0, 2)
    """

    def __init__(self, max_bytes: int = 256 << 20) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._lock = Lock()
        self._rows: OrderedDict[bytes, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def rows(
        self, kind: str, contents: Sequence[str], compute: Callable[[Sequence[str]], Sequence[Value | None]]
    ) -> list[Value | None]:
        """Return the features of each content, in order; `compute` is called once, for all that are not cached.

        `kind` names the computation and its version ("text/1"). None (unreadable) is returned, but not cached.
        """
        prefix = kind.encode()
        keys = [
            hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=prefix).digest()
            for text in contents
        ]
        found: list[Value | None] = []
        with self._lock:
            for key in keys:
                value = self._rows.get(key)
                if value is not None:
                    self._rows.move_to_end(key)
                found.append(value)
        missing: dict[bytes, int] = {}  # the first place of each: equal contents in one batch are computed once
        for place, key in enumerate(keys):
            if found[place] is None:
                missing.setdefault(key, place)
        with self._lock:
            self.hits += len(keys) - len(missing)
            self.misses += len(missing)
        if not missing:
            return found
        fresh = dict(zip(missing, compute([contents[place] for place in missing.values()]), strict=True))
        with self._lock:
            for key, value in fresh.items():
                if value is not None:
                    self._put(key, value)
        return [fresh.get(key) if value is None else value for key, value in zip(keys, found, strict=True)]

    def _put(self, key: bytes, value: Value) -> None:
        size = _size(value)
        if size > self.max_bytes or key in self._rows:
            return
        self._rows[key] = value if isinstance(value, bytes) else cast(Value, tuple(map(_own, value)))
        self.bytes += size
        while self.bytes > self.max_bytes:
            _, old = self._rows.popitem(last=False)
            self.bytes -= _size(old)


def _own(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return an array without its batch, which a view would keep in memory."""
    return array if array.base is None else array.copy()


def _size(value: Features) -> int:
    return _ENTRY_BYTES + (len(value) if isinstance(value, bytes) else sum(array.nbytes for array in value))
