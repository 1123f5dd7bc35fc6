"""Group commit: threads that arrive while a commit is under way are committed together by one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Given = TypeVar("Given")
Got = TypeVar("Got")

_MOST = 64  # batches in one commit, so that nobody waits for a very long one


class _Item(Generic[Given, Got]):
    __slots__ = ("done", "error", "given", "got")

    def __init__(self, given: Given) -> None:
        self.given = given
        self.got: list[Got] = []  # one thing, once it is there
        self.error: Exception | None = None
        self.done = False


class GroupCommit(Generic[Given, Got]):
    """Runs `commit` over the batches of many threads; each thread gets its own answer, after the commit.

    One fsync then serves all of them. A batch that makes a commit fail fails alone: the others are tried one by one.
    """

    def __init__(self, commit: Callable[[Sequence[Given]], Sequence[Got]]) -> None:
        self._commit = commit
        self._waiting: list[_Item[Given, Got]] = []
        self._arrive = threading.Lock()
        self._lead = threading.Lock()

    def submit(self, given: Given) -> Got:
        """Give the answer to one batch; returns when it is durable, raises when it is not."""
        item: _Item[Given, Got] = _Item(given)
        with self._arrive:
            self._waiting.append(item)
        while not item.done:
            with self._lead:  # whoever gets it leads; those who were served meanwhile find it done
                if not item.done:
                    self._run()
        if item.error is not None:
            raise item.error
        return item.got[0]

    def _run(self) -> None:
        with self._arrive:
            group, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        try:
            self._serve(group)
        except Exception as error:  # noqa: BLE001  # handed to the thread that it belongs to
            if len(group) == 1:
                group[0].error = error
            else:
                for item in group:
                    self._alone(item)
        finally:
            for item in group:
                item.done = True

    def _serve(self, group: Sequence[_Item[Given, Got]]) -> None:
        for item, got in zip(group, self._commit([item.given for item in group]), strict=True):
            item.got.append(got)

    def _alone(self, item: _Item[Given, Got]) -> None:
        try:
            self._serve([item])
        except Exception as error:  # noqa: BLE001  # the same
            item.error = error
