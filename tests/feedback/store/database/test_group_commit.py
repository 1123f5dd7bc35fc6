"""Batches that arrive while one is committed are committed together; one that cannot be fails alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from feedback.errors import StoreError
from feedback.store.database.group_commit import GroupCommit


def all_wait_for_the_first(
    group: GroupCommit[Any, Any], threads: Sequence[threading.Thread], entered: threading.Event, go_on: threading.Event
) -> None:
    """Start one thread, all others while its commit is under way, and then let it go on."""
    threads[0].start()
    entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(group._waiting) < len(threads) - 1:
        time.sleep(0.001)
    go_on.set()
    for thread in threads:
        thread.join(10)


def test_batches_that_arrive_together_are_committed_together() -> None:
    sizes: list[int] = []
    entered, go_on = threading.Event(), threading.Event()

    def commit(group: Sequence[int]) -> Sequence[int]:
        sizes.append(len(group))
        entered.set()
        go_on.wait(10)
        return [number * 2 for number in group]

    group: GroupCommit[int, int] = GroupCommit(commit)
    got: dict[int, int] = {}
    threads = [
        threading.Thread(target=lambda number=number: got.update({number: group.submit(number)}))
        for number in range(20)
    ]
    all_wait_for_the_first(group, threads, entered, go_on)

    assert sizes == [1, 19]
    assert got == {number: number * 2 for number in range(20)}


class GatedTransaction:
    """A transaction that opens when a test lets it, or never."""

    def __init__(self, *, broken: bool = False) -> None:
        self.knocked, self.open, self.tries, self.broken = threading.Event(), threading.Event(), 0, broken

    @contextmanager
    def enter(self) -> Iterator[None]:
        self.tries += 1
        self.knocked.set()
        self.open.wait(10)
        if self.broken:
            raise StoreError("the database is busy")
        yield


def several(group: GroupCommit[int, int], gate: GatedTransaction) -> dict[int, int | str]:
    """Twelve threads, of which eleven come while the first waits at the door."""
    got: dict[int, int | str] = {}

    def submit(number: int) -> None:
        try:
            got[number] = group.submit(number)
        except StoreError as error:
            got[number] = str(error)

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(12)]
    threads[0].start()
    gate.knocked.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(group._waiting) < 12:
        time.sleep(0.001)
    gate.open.set()
    for thread in threads:
        thread.join(10)
    return got


def test_batches_that_arrive_while_the_transaction_opens_are_committed_with_it() -> None:
    sizes, gate = list[int](), GatedTransaction()

    def commit(group: Sequence[int]) -> Sequence[int]:
        sizes.append(len(group))
        return group

    got = several(GroupCommit(commit, enter=gate.enter), gate)

    assert sizes == [12]
    assert got == {number: number for number in range(12)}


def test_when_the_transaction_cannot_open_all_waiting_batches_fail_at_once() -> None:
    gate = GatedTransaction(broken=True)

    got = several(GroupCommit(lambda group: group, enter=gate.enter), gate)

    assert gate.tries == 1  # each wait may take half a minute
    assert got == dict.fromkeys(range(12), "the database is busy")


def test_a_batch_that_cannot_be_committed_fails_alone() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def commit(group: Sequence[str]) -> Sequence[str]:
        entered.set()
        go_on.wait(10)
        if "bad" in group:
            raise StoreError("no")
        return list(group)

    group: GroupCommit[str, str] = GroupCommit(commit)
    got: dict[str, str] = {}

    def submit(name: str) -> None:
        try:
            got[name] = group.submit(name)
        except StoreError as error:
            got[name] = f"refused: {error}"

    threads = [threading.Thread(target=submit, args=(name,)) for name in ("first", "good", "bad", "fine")]
    all_wait_for_the_first(group, threads, entered, go_on)

    assert got == {"first": "first", "good": "good", "bad": "refused: no", "fine": "fine"}
