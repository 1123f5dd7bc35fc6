"""A clock that changes only when a test moves it."""

from __future__ import annotations


class Clock:
    """A clock that a test moves."""

    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s
