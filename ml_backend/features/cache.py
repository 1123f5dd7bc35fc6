"""Features are remembered by the hash of what they were computed from, within a bound of bytes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

Arrays = tuple[NDArray[np.generic], ...]  # the features of one text or one image
Value = TypeVar("Value", bound=Arrays)

_ENTRY_BYTES = 300  # key, tuple, array headers and the dict's own slot, so that tiny entries count as well


class FeatureCache(Generic[Value]):
    """The features of each content, computed at most once while they fit; the least used go first.

    Safe to share between threads: two threads may compute the same content twice, never differently.

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
        """One entry per content, in order; `compute` is asked once, for those not known yet.

        `kind` names the computation and its version ("text/1"); None (unreadable) is passed on, not remembered.
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
        unknown: dict[bytes, int] = {}  # the first place of each: twins in one batch are computed once
        for place, key in enumerate(keys):
            if found[place] is None:
                unknown.setdefault(key, place)
        with self._lock:
            self.hits += len(keys) - len(unknown)
            self.misses += len(unknown)
        if not unknown:
            return found
        fresh = dict(zip(unknown, compute([contents[place] for place in unknown.values()]), strict=True))
        with self._lock:
            for key, value in fresh.items():
                if value is not None:
                    self._put(key, value)
        return [fresh.get(key) if value is None else value for key, value in zip(keys, found, strict=True)]

    def _put(self, key: bytes, value: Value) -> None:
        size = _size(value)
        if size > self.max_bytes or key in self._rows:
            return
        # a view would keep the whole batch alive that it was computed in
        self._rows[key] = cast(Value, tuple(array.copy() if array.base is not None else array for array in value))
        self.bytes += size
        while self.bytes > self.max_bytes:
            _, old = self._rows.popitem(last=False)
            self.bytes -= _size(old)


def _size(value: Arrays) -> int:
    return _ENTRY_BYTES + sum(array.nbytes for array in value)
