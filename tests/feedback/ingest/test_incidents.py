from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.errors import StoreError
from feedback.ingest.incidents import IncidentCounts, IncidentRecorder, describe_incidents
from feedback.store import Store
from tests.support.hypothesis_profiles import examples


def test_what_several_processes_met_is_one_sum(store: Store):
    for _ in range(2):
        incidents = IncidentRecorder(store, clock=lambda: 1000.0)
        incidents.count("limit_depth", 3)
        incidents.count("tasks", 10_000)  # daily work
        assert incidents.flush()
        assert incidents.flush()  # nothing twice

    found = IncidentCounts(store).read(now_s=1000.0)
    assert found == {"limit_depth": 6}
    assert "6 requests with JSON nested too deep" in describe_incidents(found)[0]


def test_an_older_one_that_is_recorded_later_is_not_the_last(store: Store):
    counts = IncidentCounts(store)
    for at_s in (2000.0, 1000.0):
        incidents = IncidentRecorder(store, clock=lambda at_s=at_s: at_s)
        incidents.count("login_failed")
        incidents.flush()
        counts.read(now_s=2000.0)

    assert counts.last_s == {"login_failed": 2000.0}


def test_yesterdays_are_no_news(store: Store):
    incidents = IncidentRecorder(store, clock=lambda: 1000.0)
    incidents.count("login_failed")
    incidents.flush()

    assert IncidentCounts(store).read(now_s=1000.0 + 86_401) == {}


def test_what_cannot_be_written_is_kept_until_it_can(store: Store, monkeypatch: pytest.MonkeyPatch):
    incidents = IncidentRecorder(store, clock=lambda: 1000.0)
    incidents.count("webhook_not_stored", 5)

    def refuse(*_: Any, **__: Any) -> int:
        raise StoreError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(store.records, "create_record", refuse)
        assert not incidents.flush()
    incidents.count("webhook_not_stored", 2)
    assert incidents.flush()

    assert IncidentCounts(store).read(now_s=1000.0) == {"webhook_not_stored": 7}


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.floats(0.0, 50_000.0), st.sampled_from(["login_failed", "limit_tasks"]), st.booleans()),
        max_size=25,
    )
)
def test_counts_that_are_kept_are_those_of_a_recomputation(store: Store, steps: list[tuple[float, str, bool]]):
    now_s = store.records.list_records("-", "incident", limit=1)[0].body["last_s"] if _recorded(store) else 1000.0
    counts = IncidentCounts(store)
    for later_s, event, read in steps:
        now_s += later_s
        recorder = IncidentRecorder(store, clock=lambda at_s=now_s: at_s)  # type: ignore[misc]
        recorder.count(event)
        recorder.flush()
        if read:
            assert counts.read(now_s=now_s) == IncidentCounts(store).read(now_s=now_s)

    now_s += 50_000.0
    assert counts.read(now_s=now_s) == IncidentCounts(store).read(now_s=now_s)


def test_a_second_look_reads_only_what_is_new(store: Store, monkeypatch: pytest.MonkeyPatch):
    counts = IncidentCounts(store)
    for _ in range(300):
        store.records.create_record("-", "incident", {"counts": {"login_failed": 1}, "last_s": 1000.0})
    assert counts.read(now_s=1000.0) == {"login_failed": 300}
    read: list[int] = []
    real = store.records.list_records

    def counted(*given: Any, **options: Any) -> Any:
        found = real(*given, **options)
        read.append(len(found))
        return found

    monkeypatch.setattr(store.records, "list_records", counted)

    assert counts.read(now_s=1000.0) == {"login_failed": 300}
    assert read == [100]  # those whose neighbours may still be committed


def _recorded(store: Store) -> bool:
    return bool(store.records.list_records("-", "incident", limit=1))
