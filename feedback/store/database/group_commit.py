"""Group commit: threads that arrive while a commit is under way are committed together by one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from feedback.errors import StoreError

Given = TypeVar("Given")

# 8 threads that each store deliveries (SQLite, 2 busy cores): median 0.8 ms a delivery, 2.8 ms without a group.
_MOST = 64  # batches in one commit, so that no thread waits for a very long one


@dataclass(eq=False, slots=True)
class _Batch(Generic[Given]):
    given: Given
    done: bool = False  # committed, or failed with the error
    error: Exception | None = None
    woken: threading.Event = field(default_factory=threading.Event)  # set when served, or when it must lead


class GroupCommit(Generic[Given]):
    """Runs `commit` over the batches of many threads; each thread waits for its own batch to be committed.

    One fsync then serves all of them. `enter` starts the transaction and waits for its locks; batches that arrive
    meanwhile join the commit. If a commit fails, the batches are tried one by one, each in a transaction of its own,
    so that only the bad batch fails. If no transaction can start, all fail at once.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Given]], object],
        *,
        enter: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._commit = commit
        self._enter = enter
        self._waiting: list[_Batch[Given]] = []
        self._led = False
        self._lock = threading.Lock()

    def submit(self, given: Given) -> None:
        """Commit one batch; return when it is durable, raise when it is not."""
        batch: _Batch[Given] = _Batch(given)
        with self._lock:
            self._waiting.append(batch)
            leads, self._led = not self._led, True
        if not leads:
            batch.woken.wait()
        if not batch.done:
            self._lead()
        if batch.error is not None:
            raise batch.error

    def _lead(self) -> None:
        """Commit all waiting batches, with this thread's own, then let the next thread lead."""
        group: list[_Batch[Given]] = []
        try:
            self._serve(group)
        finally:
            with self._lock:
                heir = self._waiting[0] if self._waiting else None
                self._led = heir is not None
            for batch in group:
                if not batch.done:  # the leading thread was interrupted
                    batch.error = StoreError("the commit was interrupted; nothing of it is stored.")
                    batch.done = True
                batch.woken.set()
            if heir is not None:
                heir.woken.set()

    def _serve(self, group: list[_Batch[Given]]) -> None:
        try:
            with self._enter():
                self._take(group)
                self._commit([batch.given for batch in group])
        except Exception as error:  # noqa: BLE001  # raised in the threads that it belongs to
            nobody_got_in = not group
            self._take(group)
            for batch in group:
                if nobody_got_in:
                    batch.error = error
                else:
                    self._commit_alone(batch)
                batch.done = True
        else:
            for batch in group:
                batch.done = True

    def _take(self, group: list[_Batch[Given]]) -> None:
        """Close the group; later batches belong to the next group."""
        if not group:
            with self._lock:
                group += self._waiting[:_MOST]
                del self._waiting[:_MOST]

    def _commit_alone(self, batch: _Batch[Given]) -> None:
        try:
            self._commit([batch.given])
        except Exception as error:  # noqa: BLE001  # raised in the thread that it belongs to
            batch.error = error
