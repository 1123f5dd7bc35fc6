"""Decisions and signals: appended, never changed, read back as they were."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from feedback.store import CurrentDecision, Decision, NewestSignal, Signal, Store, open_store
from feedback.store.database.engine import Database
from feedback.store.log.events import event_from_task
from tests.support.make_events import task

L1 = CurrentDecision("default", "L1", "p1", "m1", "", "normal", "default", None)
L2 = CurrentDecision("big", "L2", "p1", "m1", "", "urgent", "refunds", 2)
INPUTS = {"model.confidence": 0.5, "model.label": "spam", "history.votes": 0}


def decision(task: int, standing: CurrentDecision = L1, at_s: float = 1.0, content: str = "c1") -> Decision:
    return Decision(task, at_s, content, standing, INPUTS)


def signal(key: str, *, task: int | None = 7, value: bool | float | str = "scam", at_s: float = 5.0) -> Signal:
    return Signal("1", "user_report", value, task, at_s, key, source="app")


def test_the_newest_decision_of_a_task_is_current_and_older_ones_are_stored(store: Store) -> None:
    store.decisions.create_decisions("1", [decision(7), decision(8)])
    store.decisions.create_decisions("1", [decision(7, L2, at_s=2.0, content="c2")])
    store.decisions.create_decisions("2", [decision(7)])

    assert store.decisions.list_current_decisions("1") == {7: (L2, "c2"), 8: (L1, "c1")}
    assert [row.standing for row in store.decisions.list_decisions("1", task=7)] == [L2, L1]
    assert store.decisions.list_decisions("1", task=7)[0].inputs == INPUTS


def test_of_tasks_those_with_a_decision_are_found_and_no_tasks_are_looked_up_without_the_database(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.decisions.create_decisions("1", [decision(7), decision(7, L2), decision(8)])

    assert store.decisions.list_decided_tasks("1", {7, 9}) == {7}
    monkeypatch.setattr(Database, "read", lambda _self: pytest.fail("there is nothing to read"))
    assert store.decisions.list_decided_tasks("1", set()) == set()


def test_decisions_come_with_the_data_that_they_were_about(store: Store) -> None:
    store.append([event_from_task(task(7, "then"), "poll")])
    content = store.tasks.list_content_hashes("1")[7]
    store.decisions.create_decisions("1", [decision(7, content=content), decision(8, content="gone")])
    store.append([event_from_task(task(7, "now", second=5), "poll")])

    assert {row.task: data for row, data in store.decisions.stream_current_decisions("1")} == {
        7: {"text": "then"},
        8: None,
    }
    assert store.tasks.get_task_data("1", 7, content) == {"text": "then"}
    assert store.tasks.list_content_hashes("1")[7] != content


def test_only_the_newest_decision_of_each_task_is_simulated(store: Store) -> None:
    store.decisions.create_decisions("1", [decision(7), decision(7, L2, at_s=9.0)])

    assert [row.standing for row, _ in store.decisions.stream_current_decisions("1")] == [L2]


def test_hidden_tasks_are_listed_until_they_are_deleted_from_the_list(store: Store) -> None:
    store.tasks.create_hidden_tasks("1", [7, 8, 8])
    store.tasks.create_hidden_tasks("1", [7])
    store.tasks.delete_hidden_tasks("1", [8, 9])

    assert set(store.tasks.list_hidden_tasks("1")) == {7}
    assert store.tasks.list_hidden_tasks("2") == {}


def test_a_signal_is_stored_once_under_its_key(store: Store) -> None:
    first, again = (
        store.signals.create_signal(signal("k")),
        store.signals.create_signal(signal("k", value="other")),
    )

    assert (first, again) == (True, False)
    assert [row.value for row in store.signals.list_signals("1")] == ["scam"]
    assert store.signals.create_signal(replace(signal("k"), project="2"))


def test_the_newest_signal_is_the_last_by_event_time(store: Store) -> None:
    store.signals.create_signal(signal("late", at_s=9.0, value="late"))
    store.signals.create_signal(signal("early", at_s=3.0, value="early"))  # came last, happened first
    store.signals.create_signal(signal("all", task=None, value="policy"))

    assert store.signals.list_newest_signals("1") == {
        7: {"user_report": NewestSignal("late", 9.0, 2)},
        None: {"user_report": NewestSignal("policy", 5.0, 1)},
    }


@pytest.mark.parametrize("value", [True, False, 0.25, -1.0, 3, "a\x00b é"])
def test_a_value_comes_back_as_it_was(store: Store, value: bool | float | str) -> None:
    store.signals.create_signal(signal("k", value=value))
    (found,) = store.signals.list_signals("1")

    assert found.value == value
    assert type(found.value) is type(value)


def test_an_outcome_meets_the_decision_that_stood_when_it_happened(store: Store) -> None:
    store.decisions.create_decisions("1", [decision(7, L1, at_s=1.0)])
    store.decisions.create_decisions("1", [decision(7, replace(L2, model="m2"), at_s=6.0)])
    for key, at_s in (("before", 0.5), ("first", 5.0), ("second", 7.0)):
        store.signals.create_signal(signal(key, at_s=at_s))
    found = {row.key: decided for row, decided in store.signals.list_signals_with_decisions("1", names=["user_report"])}

    assert found["before"] is None
    assert found["first"] is not None
    assert found["second"] is not None
    assert (found["first"].model, found["second"].model) == ("m1", "m2")
    assert store.signals.list_signals_with_decisions("1", names=["csat"]) == []


def test_forgetting_a_task_forgets_its_decisions_and_signals(store: Store) -> None:
    store.append([event_from_task(task(7), "poll")])
    store.decisions.create_decisions("1", [decision(7), decision(8)])
    store.signals.create_signal(signal("k"))
    store.erasure.erase_data("1", task=7)

    assert set(store.decisions.list_current_decisions("1")) == {8}
    assert store.signals.list_signals("1") == []


def test_decisions_are_read_after_reopening_the_store(url: str, opened: Callable[[str], Store]) -> None:
    opened(url).decisions.create_decisions("1", [decision(7, L2)])

    assert opened(url).decisions.list_current_decisions("1") == {7: (L2, "c1")}


@pytest.mark.timed
def test_100_000_decisions_are_cheap(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'many.db'}")
    rows = [decision(task) for task in range(1, 100_001)]
    started_s = time.process_time()
    store.decisions.create_decisions("1", rows)
    wrote_s = time.process_time() - started_s
    standing = store.decisions.list_current_decisions("1")
    read_s = time.process_time() - started_s - wrote_s
    store.close()

    assert len(standing) == 100_000
    assert wrote_s < 5.0
    assert read_s < 2.0
