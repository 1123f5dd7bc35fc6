from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.errors import EventError
from feedback.store.log import events
from feedback.store.log.events import Event, canonical_json, canonical_time
from ml_backend.labelstudio.parsing import Deleted, ParsedWebhook, read_webhook
from ml_backend.records import Annotation
from tests.support.make_events import at, make_annotation, task


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:01.000000Z",
        "2026-01-01T00:00:01Z",
        "2026-01-01T00:00:01+00:00",
        "2026-01-01T01:00:01.000000+01:00",
        "2026-01-01T00:00:01",
        "2026-01-01 00:00:01.000Z",
    ],
)
def test_equal_times_in_any_notation_are_one_version(text: str) -> None:
    assert canonical_time(text) == at(1)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(EventError, match="not a time"):
        canonical_time(text)


def test_versions_sort_as_times_do() -> None:
    texts = ["2026-01-01T00:00:01Z", "2026-01-01T00:00:01.5Z", "2026-01-01T00:00:01.25Z", "2026-01-01T03:00:00+02:00"]

    assert sorted(texts, key=canonical_time) == [texts[0], texts[2], texts[1], texts[3]]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(_JSON)
def test_canonical_json_is_stable_under_writing_and_reading(value: Any) -> None:
    once = canonical_json(value)

    assert canonical_json(json.loads(once)) == once


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_json_lacks_is_null_and_an_integer_of_any_size_is_kept(number: float) -> None:
    assert canonical_json([-(2**63) - 1, number]) == b"[-9.223372036854776e+18,null]"


@given(st.dictionaries(st.text(), st.integers(), max_size=6))
def test_the_order_of_keys_makes_no_difference(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_what_no_json_can_hold_is_refused_or_replaced_never_raised_into_a_neighbour() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(EventError, match="cannot be written as JSON"):
        canonical_json({"result": deep})

    event = events.event_from_annotation(make_annotation(5, result=(deep,)), "webhook")
    assert "cannot be written as JSON" in event.body["result"]


def test_a_webhook_gives_its_task_its_annotation_and_its_project() -> None:
    body = {
        "action": "ANNOTATION_CREATED",
        "annotation": {"id": 5, "task": 7, "result": [], "updated_at": "2026-01-01T00:00:01Z", "completed_by": 3},
        "task": {"id": 7, "data": {"text": "hi"}, "updated_at": "2026-01-01T00:00:01.5Z", "overlap": 2},
        "project": {"id": 1, "title": "t", "label_config": "<View/>", "token": "a secret"},
    }

    found = events.events_from_webhook(read_webhook(body))

    assert [(event.entity, event.entity_id, event.version) for event in found] == [
        ("task", 7, at(1.5)),
        ("annotation", 5, at(1)),
        ("project", 1, ""),
    ]
    assert found[0].content == b'{"text":"hi"}'
    assert b"a secret" not in b"".join(event.canonical + event.content for event in found)


def test_a_deletion_needs_only_an_id() -> None:
    intake = ParsedWebhook("TASKS_DELETED", "1", deleted=(Deleted("task", 7), Deleted("annotation", 5)))

    assert [event.key for event in events.events_from_webhook(intake)] == [
        ("task", 7, "", "deleted"),
        ("annotation", 5, "", "deleted"),
    ]


def test_a_record_that_cannot_be_stored_affects_no_other() -> None:
    broken = Annotation(5, 7, "1", 2**70, (), at(1))
    intake = ParsedWebhook("X", "1", annotations=(broken, make_annotation(6, project="1")), tasks=(task(7),))

    unread: list[str] = []

    assert [event.entity_id for event in events.events_from_webhook(intake, unread=unread)] == [7, 6]
    assert unread == ["annotation 5 has a person that is no positive integer."]


def test_an_api_read_gives_the_task_with_its_annotations() -> None:
    found = events.events_from_task(
        task(7), [make_annotation(5, task=7), make_annotation(6, task=7)], source="sweep", seen_s=9.0
    )

    assert [(event.entity, event.source, event.seen_s) for event in found] == [
        ("task", "sweep", 9.0),
        ("annotation", "sweep", 9.0),
        ("annotation", "sweep", 9.0),
    ]
    assert [
        event.action for event in events.deletions("1", "annotation", {6, 5}) + events.deletions("1", "task", {7})
    ] == ["deleted"] * 3


@pytest.mark.parametrize(
    "broken",
    [
        {"project": ""},
        {"project": "x" * 81},
        {"entity": "planet"},
        {"entity_id": 0},
        {"entity_id": True},
        {"action": "eaten"},
        {"source": "rumour"},
        {"seen_s": float("nan")},
    ],
)
def test_an_invalid_event_raises_when_it_is_made(broken: dict[str, Any]) -> None:
    values: dict[str, Any] = {"project": "1", "entity": "task", "entity_id": 1, "version": "", "action": "saved"}

    with pytest.raises(EventError):
        Event(**({"source": "webhook"} | values | broken))


def test_a_title_is_stored_cut_and_a_label_config_that_nobody_reads_is_not_stored() -> None:
    unread: list[str] = []
    long = ParsedWebhook("PROJECT_UPDATED", "1", title="x" * 2_000_000, label_config="<View/>")
    large = ParsedWebhook("PROJECT_UPDATED", "1", title="t", label_config="x" * 2_000_000)

    (event,) = events.events_from_webhook(long)

    assert event.body["title"] == "x" * 199 + "…"
    assert events.events_from_webhook(large, unread=unread) == []
    assert "label config of a webhook has more than" in unread[0]
