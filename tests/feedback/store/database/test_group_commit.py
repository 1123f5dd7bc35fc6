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
    group: GroupCommit[Any], threads: Sequence[threading.Thread], entered: threading.Event, go_on: threading.Event
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
    committed: list[set[int]] = []
    entered, go_on = threading.Event(), threading.Event()

    def commit(group: Sequence[int]) -> None:
        entered.set()
        go_on.wait(10)
        committed.append(set(group))

    group: GroupCommit[int] = GroupCommit(commit)
    done: dict[int, bool] = {}

    def submit(number: int) -> None:
        group.submit(number)
        done[number] = any(number in numbers for numbers in committed)

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(20)]
    all_wait_for_the_first(group, threads, entered, go_on)

    assert committed == [{0}, set(range(1, 20))]
    assert done == dict.fromkeys(range(20), True)  # nobody was answered before their batch was committed


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


def several(group: GroupCommit[int], gate: GatedTransaction) -> dict[int, str]:
    """Twelve threads, of which eleven come while the first waits at the door."""
    got: dict[int, str] = {}

    def submit(number: int) -> None:
        try:
            group.submit(number)
            got[number] = "done"
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

    def commit(group: Sequence[int]) -> None:
        sizes.append(len(group))

    got = several(GroupCommit(commit, enter=gate.enter), gate)

    assert sizes == [12]
    assert got == dict.fromkeys(range(12), "done")


def test_when_the_transaction_cannot_open_all_waiting_batches_fail_at_once() -> None:
    gate = GatedTransaction(broken=True)

    got = several(GroupCommit(lambda _group: None, enter=gate.enter), gate)

    assert gate.tries == 1  # each wait may take half a minute
    assert got == dict.fromkeys(range(12), "the database is busy")


def test_a_batch_that_cannot_be_committed_fails_alone() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def commit(group: Sequence[str]) -> None:
        entered.set()
        go_on.wait(10)
        if "bad" in group:
            raise StoreError("no")

    group: GroupCommit[str] = GroupCommit(commit)
    got: dict[str, str] = {}

    def submit(name: str) -> None:
        try:
            group.submit(name)
            got[name] = "done"
        except StoreError as error:
            got[name] = f"refused: {error}"

    threads = [threading.Thread(target=submit, args=(name,)) for name in ("first", "good", "bad", "fine")]
    all_wait_for_the_first(group, threads, entered, go_on)

    assert got == {"first": "done", "good": "done", "bad": "refused: no", "fine": "done"}
