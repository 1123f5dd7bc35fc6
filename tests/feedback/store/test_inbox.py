"""What webhooks bring is durable at once, is in the log soon after, and no delivery stands in another one's way."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from feedback.errors import StoreError
from feedback.events import Event, of_project
from feedback.store import Store, Waiting, open_store, schema
from feedback.store.log import Log
from tests.support.clock import Clock
from tests.support.told import at, said, task, told

_HOSTILE = {"result": [{"from_name": "c", "é\ud800": 2**70}], "unique_id": "a\x00b", "lead_time_s": 1e308}


def test_what_is_received_is_in_the_log_once_it_is_taken_in_and_wants_a_turn(store: Store) -> None:
    store.receive([*told(task(1)), said(5, "A", task=1)])
    before = (store.votes("1"), store.waiting().deliveries, store.works())

    assert store.take_in() == 1

    assert before == ([], 1, [])
    assert [vote.annotation for vote in store.votes("1")] == [5]
    assert [(row.project, row.kind) for row in store.works()] == [("1", "turn")]
    assert store.waiting().deliveries == 0
    assert store.take_in() == 0


def test_it_is_the_same_as_appending_it_directly(url: str, opened: Callable[[str], Store]) -> None:
    events = [*told(task(1, "é")), said(5, "A", task=1), replace(said(6, "B", task=1), body=_HOSTILE | {"task": 1})]
    direct, over = opened(url), events[::-1]
    direct.append(events)
    first = direct.projection_hash("1")

    direct.receive(over)

    assert direct.projection_hash("1") == first
    assert direct.verify() == {"events": len(events), "chain": "ok", "projection": "ok"}


def test_it_came_when_it_was_received_not_when_it_was_taken_in(store: Store, clock: Clock) -> None:
    received_s = clock.now_s
    store.receive([said(5, "A")])
    clock.now_s += 60.0

    store.take_in()

    with store._database.read() as connection:
        assert connection.execute(select(schema.event.c.received_s)).scalars().all() == [received_s]


@pytest.mark.parametrize(
    "look",
    [
        lambda store: store.verify()["events"],
        lambda store: store.rebuild(check=True) and store.verify()["events"],
        lambda store: store.append([said(5, "A")]).duplicates,
        lambda store: store.projection_hash("1") and len(store.votes("1")),
    ],
)
def test_whoever_must_know_everything_takes_it_in_first(store: Store, look: Callable[[Store], int]) -> None:
    store.receive([said(5, "A")])

    assert look(store) == 1


def test_a_person_who_is_forgotten_is_forgotten_in_the_inbox_too(store: Store) -> None:
    store.receive([*told(task(1)), said(5, "A", task=1, person=3)])

    store.forget("1", person=3)

    assert store.waiting().deliveries == 0
    assert store.votes("1") == []


def test_a_task_that_is_told_anew_does_not_have_its_old_data_from_the_inbox(store: Store) -> None:
    store.append(told(task(1, "Xanthippe said so", second=1, created_at=at(0))))
    store.receive(told(task(1, "Xanthippe said so, too", second=2, created_at=at(0))))

    store.retell("1", task(1, "(forgotten)", second=2, created_at=at(0)))
    store.take_in()

    held = [schema.payload.c.body, schema.content.c.data]
    with store._database.read() as connection:
        kept = b"".join(one for column in held for one in connection.execute(select(column)).scalars())
    assert b"Xanthippe" not in kept
    assert [one.data["text"] for one in store.tasks("1")] == ["(forgotten)"]
    assert store.verify() | {"events": 0} == {"events": 0, "chain": "ok", "projection": "ok"}


@pytest.mark.parametrize("whom", [{"person": 3}, {"task": 9}])
def test_what_could_not_be_taken_in_is_forgotten_too(
    store: Store, monkeypatch: pytest.MonkeyPatch, whom: dict[str, int]
) -> None:
    def refuses(self: Log, batches: Any) -> Any:
        raise ZeroDivisionError("of all things")

    with monkeypatch.context() as broken:
        broken.setattr(Log, "fold", refuses)
        picky = Store(store._database, store._box)
        picky.receive([said(5, "A", task=9, person=3)])
        picky.receive([said(6, "A", task=8, person=4)])
        picky.take_in()
    assert len(store.waiting().problems) == 2

    store.forget("1", **whom)

    assert len(store.waiting().problems) == 1


def test_a_delivery_that_nobody_can_read_does_not_keep_anybody_from_being_forgotten(store: Store) -> None:
    store.receive([said(5, "A", person=3)])
    with store._box.write() as connection:
        connection.execute(schema.inbox.update().values(delivery=b"half a deli"))
    store.take_in()

    store.forget("1", person=3)

    assert store.waiting() == Waiting(0, None)  # nobody can say that it was not about them


def test_a_delivery_that_cannot_be_taken_in_stays_with_its_reason_and_hinders_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = Log.fold

    def picky(self: Log, batches: Any) -> Any:
        if any(event.entity_id == 6 for batch in batches for event in batch.events):
            raise ZeroDivisionError("of all things")
        return fold(self, batches)

    monkeypatch.setattr(Log, "fold", picky)
    picky_store = Store(store._database, store._box)
    for number in (5, 6, 7):
        picky_store.receive([said(number, "A", person=number)])

    assert picky_store.take_in() == 2

    assert {vote.annotation for vote in store.votes("1")} == {5, 7}
    assert (store.waiting().deliveries, store.waiting().problems) == (0, ("ZeroDivisionError",))
    assert store.take_in(again=True) == 1
    assert {vote.annotation for vote in store.votes("1")} == {5, 6, 7}
    assert store.waiting().problems == ()


def test_a_database_that_is_away_is_nobodys_fault_and_nothing_is_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Log, batches: Any) -> Any:
        raise StoreError("the database refused: disk I/O error") from OperationalError("x", {}, Exception("disk"))

    store.receive([said(5, "A")])
    with monkeypatch.context() as patch:
        patch.setattr(Log, "fold", away)
        with pytest.raises(StoreError, match="disk"):
            Store(store._database, store._box).take_in()

    assert (store.waiting().deliveries, store.waiting().problems) == (1, ())
    assert store.take_in() == 1


def test_a_taker_that_dies_before_it_has_tidied_up_takes_nothing_in_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_connection: Any, _values: Any) -> int:
        raise KeyboardInterrupt

    store.receive([told(task(1))[0]])
    with monkeypatch.context() as patch:
        patch.setattr("feedback.store.inbox._DELETE", SimpleNamespace(run=die))
        with pytest.raises(KeyboardInterrupt):
            store.take_in()
    before = (store.waiting().deliveries, store.stats().events)

    assert store.take_in(again=True) == 0

    assert before == (1, 1)
    assert store.waiting().deliveries == 0
    assert store.stats().events == 1


def test_who_looked_long_ago_takes_nothing_in_again_that_others_have_taken_in_and_forgotten(
    url: str, opened: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A taker may wait for the database so long that another one has done two rounds."""
    quick, slow = opened(url), opened(url)
    first = slow._inbox._first

    def waits() -> list[dict[str, Any]]:
        rows = first()
        if rows:
            quick.take_in()
            quick.receive([of_project("1", "new title", "<View/>", "webhook")])
            quick.take_in()
        return rows

    slow.receive([of_project("1", "old title", "<View/>", "webhook")])
    monkeypatch.setattr(slow._inbox, "_first", waits)

    assert slow.take_in() == 0

    assert quick.stats().events == 2
    with quick._database.read() as connection:
        assert connection.execute(select(schema.described.c.title)).scalar_one() == "new title"


def test_no_more_is_read_at_once_than_memory_holds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.store.inbox._AT_ONCE_BYTES", 3_500)
    for number, text in enumerate(("short", "x" * 5_000, "y" * 900, "z" * 900), start=1):
        store.receive(told(task(number, text)))
    rounds: list[int] = []
    take = store._inbox._take

    def counted(rows: Any) -> int:
        rounds.append(len(rows))
        return take(rows)

    monkeypatch.setattr(store._inbox, "_take", counted)

    assert store.take_in() == 4
    assert rounds == [1, 1, 2]
    assert store.verify()["events"] == 4


def test_who_was_noted_is_forgotten_once_nothing_of_it_is_left(store: Store) -> None:
    for number in range(1, 121):
        store.receive([said(number, "A", task=number)])
    store.take_in()

    store.take_in(again=True)

    with store._database.read() as connection:
        assert connection.execute(select(schema.taken)).all() == []


def test_a_store_that_somebody_writes_to_for_long_receives_all_the_same(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", wait_s=0.2)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    store.receive([said(5, "A")])
    with pytest.raises(StoreError, match="locked"):
        store.take_in()

    other.execute("ROLLBACK")
    assert store.take_in() == 1
    other.close()
    store.close()


def test_nothing_of_what_was_forgotten_stays_in_the_files(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    store.receive([said(5, "Xanthippe", person=3)])

    store.forget("1", person=3)

    held = [path.name for path in tmp_path.iterdir() if b"Xanthippe" in path.read_bytes()]
    store.close()
    assert held == []


def test_many_receive_while_several_take_in_and_each_event_is_there_once(
    url: str, opened: Callable[[str], Store]
) -> None:
    stores = [opened(url), opened(url)]
    done = threading.Event()

    def receive(store: Store, first: int) -> None:
        for number in range(first, first + 30):
            store.receive([said(number, "A", task=number, person=number)])

    def take(store: Store) -> None:
        while not done.is_set():
            store.take_in()

    senders = [threading.Thread(target=receive, args=(stores[at % 2], 1 + 30 * at)) for at in range(4)]
    takers = [threading.Thread(target=take, args=(store,)) for store in stores]
    for thread in [*senders, *takers]:
        thread.start()
    for thread in senders:
        thread.join()
    done.set()
    for thread in takers:
        thread.join()

    assert stores[0].verify() == {"events": 120, "chain": "ok", "projection": "ok"}
    assert len(stores[0].votes("1")) == 120
    assert stores[0].waiting().problems == ()


def test_an_inbox_that_is_damaged_is_named_with_what_to_do(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path / 'store.db'}").close()
    (tmp_path / "store-inbox.db").write_bytes(b"not a database at all" * 500)

    with pytest.raises(StoreError, match=r"store-inbox\.db: .*not a database") as refused:
        open_store(f"sqlite:///{tmp_path / 'store.db'}")

    assert "move it away" in refused.value.hint
    (tmp_path / "store-inbox.db").unlink()
    open_store(f"sqlite:///{tmp_path / 'store.db'}").close()


def test_an_empty_delivery_is_none(store: Store) -> None:
    store.receive(list[Event]())

    assert store.waiting().deliveries == 0
