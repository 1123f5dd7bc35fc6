"""The feature store and the names of tasks, on every database."""

from __future__ import annotations

from dataclasses import replace

from feedback.store import CaseEvent, CaseRow, IndicatorValue, ReviewRow, Signal, Store
from ml_backend.records import Answer
from tests.support.make_events import annotation_event, deletion_event, task, task_events

VALUE = IndicatorValue("customer=7", "fraud", "card", "1", 5, 1, 3, 2, answered_s=1.0, recorded_s=9.0)
SPAM = Answer("choices", ("spam",))


def test_an_indicator_is_read_as_saved_and_saving_it_twice_changes_nothing(store: Store) -> None:
    facts = [
        VALUE,
        replace(VALUE, name="risk", value=4.5),
        replace(VALUE, name="signs", value=("night", "vpn")),
        replace(VALUE, name="risk", value=None, seq=2, person=None, entity="customer=\x00ü"),
    ]
    for _ in range(2):
        store.indicators.save_indicators("1", facts, {"1": 2}, questions="q")

    kept = store.indicators.list_indicators("1")
    assert sorted(kept, key=lambda row: (row.seq, row.name))[:3] == sorted(facts[:3], key=lambda row: row.name)
    assert {row.entity for row in kept} == {"customer=7", "customer=\ufffdü"}
    assert store.indicators.list_indicators("1", entities=["customer=7", "customer=8"]) != []
    assert store.indicators.list_indicators("1", entities=["customer=8"]) == []
    assert len(store.indicators.list_indicators_of_annotations("1", "1", [5, 6])) == 4
    assert store.indicators.list_indicators("2") == []


def test_other_questions_are_read_from_the_beginning(store: Store) -> None:
    store.indicators.save_indicators("1", [VALUE], {"1": 7, "9": 3}, questions="q")
    assert store.indicators.get_read_positions("1", questions="q") == {"1": 7, "9": 3}

    assert store.indicators.get_read_positions("1", questions="others") == {}
    assert store.indicators.list_indicators("1") == []
    assert store.indicators.get_read_positions("2", questions="q") == {}


def test_annotation_events_are_read_in_batches_with_deletions(store: Store) -> None:
    store.append(
        [*task_events(task(1)), annotation_event(5, "A"), annotation_event(5, "B", second=2), deletion_event(5)]
    )
    first = store.events.list_annotation_events("1", 0, limit=2)
    rest = store.events.list_annotation_events("1", first[-1].seq, limit=10)

    assert [(row.annotation, row.action) for row in (*first, *rest)] == [(5, "saved"), (5, "saved"), (5, "deleted")]
    assert first[0].body is not None


def test_an_indicator_counts_if_the_answer_it_came_with_counts(store: Store) -> None:
    look = ReviewRow(
        "9", 50, 1, 1, "L2", 0.0, 4, "fix", SPAM, "r", "", {}, None, "", 1.0, None, counted=True, refused=""
    )
    unread = replace(VALUE, origin="9", annotation=51, seq=3, counted=False)
    store.indicators.save_indicators(
        "1", [VALUE, replace(VALUE, origin="9", annotation=50, seq=2, counted=False), unread], {}, questions="q"
    )
    store.reviews.save_reviews([look])

    assert store.indicators.update_counted_indicators("1", {5}) == 2
    assert [row.annotation for row in store.indicators.list_indicators("1")] == [50]
    assert store.indicators.update_counted_indicators("1", {5}) == 0
    store.reviews.save_reviews([replace(look, counted=False, refused="lacks")])
    assert store.indicators.update_counted_indicators("1", set()) == 2
    assert [row.annotation for row in store.indicators.list_indicators("1")] == [5]


def test_first_answer_times_include_answers_in_review_projects(store: Store) -> None:
    store.append(
        [
            *task_events(task(1)),
            annotation_event(5, "A", person=1, second=30),
            annotation_event(6, "A", person=2, second=9),
        ]
    )
    (case,) = store.cases.create_cases([CaseRow("1", 2, "queued", "L2")], "open")
    store.reviews.save_reviews(
        [ReviewRow("9", 50, case.id, 1, "L2", 0.0, 4, "fix", SPAM, "r", "", {}, None, "", 70.0, None, True, "")]
    )
    first = store.votes.list_first_answer_times("1")

    assert set(first) == {1, 2}
    assert first[2] == 70.0
    votes = {vote.annotation: vote.at_s for vote in store.votes.list_votes("1")}
    assert first[1] <= min(votes.values())


def test_a_copy_leads_to_its_task(store: Store) -> None:
    (case,) = store.cases.create_cases([CaseRow("1", 2, "queued", "L2")], "open")
    step = CaseEvent(1.0, "assign", "queued", "L2", body={"review_project": "9", "task": 77})
    assert store.cases.update_case(case, case.version, step)

    assert store.cases.list_review_task_sources("1", "9", {77, 78}) == {77: 2}
    assert store.cases.list_review_task_sources("1", "9", {78}) == {}
    assert store.cases.list_review_task_sources("1", "10", {77}) == {}
    assert store.cases.list_review_task_sources("2", "9", {77}) == {}


def test_names_lead_to_tasks_and_parked_signals_wait_for_them(store: Store) -> None:
    store.append(task_events(task(1, "A-17"), task(2, "A-18")))

    assert store.tasks.index_external_ids("1", "text", lambda data: str(data["text"])) == 2
    assert store.tasks.index_external_ids("1", "text", lambda data: str(data["text"])) == 0
    assert store.tasks.list_tasks_by_external_id("1", "text", "A-17") == [1]
    assert store.tasks.list_tasks_by_external_id("1", "order", "A-17") == []
    assert store.tasks.list_tasks_by_external_id("2", "text", "A-17") == []
    signal = Signal("1", "csat", 3.0, None, 5.0, "k", external="A-17", unmatched="not there yet")
    assert store.signals.create_signal(signal)
    assert not store.signals.create_signal(replace(signal, unmatched=""))
    assert (store.signals.list_signals("1"), store.signals.list_newest_signals("1")) == (
        [],
        {},
    )
    (waiting,) = store.signals.list_unmatched_signals("1")
    store.signals.update_signal_task(waiting, task=1, unmatched="")
    assert store.signals.list_unmatched_signals("1") == []
    assert store.signals.list_newest_signals("1")[1]["csat"].value == 3.0
