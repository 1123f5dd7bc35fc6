"""A cache of a function's results, bounded in bytes: a bound on entries says nothing where one may have a megabyte."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_ENTRY_BYTES = 500  # of the dict and the objects around a result, so that small entries count, too


def cached_in_bytes(
    max_bytes: int, *, size_of: Callable[[Key, Value], int]
) -> Callable[[Callable[[Key], Value]], Callable[[Key], Value]]:
    """Cache what a function of one argument returns; the least recently used results go first. Errors are not cached.

    `size_of` returns the bytes of an argument and its result. Safe in threads: two may compute the same result twice.

    >>> computed = []
    >>> @cached_in_bytes(2_000, size_of=lambda text, _length: len(text))
    ... def length(text):
    ...     computed.append(text[:1])
    ...     return len(text)
    >>> [length(text) for text in ("a", "a", "b" * 1_500, "a")], computed
    ([1, 1, 1500, 1], ['a', 'b', 'a'])
    """

    def decorate(function: Callable[[Key], Value]) -> Callable[[Key], Value]:
        lock, found = threading.Lock(), OrderedDict[Key, tuple[Value, int]]()
        total = 0

        @wraps(function)
        def cached(key: Key) -> Value:
            nonlocal total
            with lock:
                if (entry := found.get(key)) is not None:
                    found.move_to_end(key)
                    return entry[0]
            value = function(key)
            size = _ENTRY_BYTES + size_of(key, value)
            with lock:
                if size <= max_bytes and key not in found:
                    found[key] = value, size
                    total += size
                    while total > max_bytes:
                        total -= found.popitem(last=False)[1][1]
            return value

        return cached

    return decorate
