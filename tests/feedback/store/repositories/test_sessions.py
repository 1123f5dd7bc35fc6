"""Sessions and failed logins, alike for every worker; counts that equal what the reads give."""

from __future__ import annotations

from collections.abc import Callable

from feedback.store import ProjectRow, SessionRow, Store, WindowRow
from tests.support import make_events
from tests.support.clock import Clock
from tests.support.projections import list_problems


def row(digest: str, *, began_s: float = 1000.0) -> SessionRow:
    return SessionRow(digest, 7, "ann@example.com", owner=False, began_s=began_s, seen_s=began_s)


def test_a_session_begun_by_one_worker_is_known_to_another(url: str, opened: Callable[[str], Store]):
    first, second = opened(url), opened(url)

    first.sessions.create_session(row("d1"))

    assert second.sessions.get_session("d1") == row("d1")
    second.sessions.delete_session("d1")
    assert first.sessions.get_session("d1") is None


def test_a_new_session_takes_the_place_of_the_browsers_old_one_and_sweeps_out_ended_ones(store: Store):
    store.sessions.create_session(row("long ago", began_s=1.0))
    store.sessions.create_session(row("mine", began_s=900.0))
    store.sessions.create_session(row("somebody else's", began_s=900.0))

    store.sessions.create_session(row("mine again"), instead_of="mine", ended_before_s=500.0)

    held = [name for name in ("long ago", "mine", "somebody else's", "mine again") if store.sessions.get_session(name)]
    assert held == ["somebody else's", "mine again"]


def test_tries_are_counted_over_all_workers_and_come_back_with_time(
    url: str, opened: Callable[[str], Store], clock: Clock
):
    first, second = opened(url), opened(url)

    first.sessions.record_login_attempt("pages", "10.0.0.1", 30.0)
    full_s = second.sessions.record_login_attempt("pages", "10.0.0.1", 30.0)

    assert full_s == clock.now_s + 60
    assert first.sessions.list_login_attempts("pages") == {"10.0.0.1": full_s}
    assert first.sessions.list_login_attempts("service") == {}
    clock.now_s += 61
    assert first.sessions.list_login_attempts("pages") == {}
    assert first.sessions.record_login_attempt("pages", "10.0.0.1", 30.0) == clock.now_s + 30


def test_a_million_addresses_leave_no_million_rows(store: Store, clock: Clock, monkeypatch):
    monkeypatch.setattr("feedback.store.repositories.sessions._MOST_ADDRESSES", 5)

    for number in range(20):
        clock.now_s += 1
        store.sessions.record_login_attempt("pages", f"10.0.0.{number}", 600.0)

    assert sorted(store.sessions.list_login_attempts("pages")) == sorted(f"10.0.0.{number}" for number in range(15, 20))


def test_counts_are_what_the_reads_give(store: Store):
    store.projects.save_project(ProjectRow("1", "fruit", bots=(9,)))
    store.append(
        make_events.task_events(
            *[make_events.task(number) for number in range(1, 8)], make_events.task(8, is_labeled=True)
        )
    )
    store.append(
        [
            make_events.annotation_event(1, "A", task=1, person=1),
            make_events.annotation_event(2, "B", task=1, person=2),
            make_events.annotation_event(
                3, "B", task=1, person=2, second=5
            ),  # a second annotation of the same person: one vote
            make_events.annotation_event(4, "B", task=2, person=9),  # a bot
            make_events.annotation_event(5, "B", task=3, person=1),
            make_events.skip_event(6, task=4, person=2),
            make_events.annotation_event(7, "A", task=5, person=1),
            make_events.deletion_event(5, entity="task"),
        ]
    )

    counts, votes = store.projects.count_project("1"), store.votes.list_votes("1")

    assert counts.tasks == len(store.tasks.list_task_rows("1")) == 7
    assert counts.labeled == 1
    assert (counts.answers, counts.answered, counts.people) == (3, 2, 2)
    assert (counts.answers, counts.answered) == (len(votes), len({vote.task for vote in votes}))
    assert counts.skips == len(store.annotations.list_skips("1")) == 1
    assert counts.unreadable == len(list_problems(store, "1")) == 0


def test_an_answer_to_several_controls_counts_once_and_unknown_types_do_no_harm(store: Store):
    store.projects.save_project(ProjectRow("1", "fruit"))
    store.append(make_events.task_events(make_events.task(1), make_events.task(2)))
    stars = {"from_name": "stars", "to_name": "t", "type": "rating", "value": {"rating": 3}}
    why = {"from_name": "why", "to_name": "t", "type": "magicwand", "value": {"text": ["because"]}}
    store.append(
        [make_events.annotation_event(1, task=1, person=1, result=(*make_events.choice_result("A"), stars, why))]
    )
    assert store.projects.count_project("1").unreadable == 0

    store.append([make_events.annotation_event(2, "A", task=2, person=1, result=({"foo": 1},))])

    counts = store.projects.count_project("1")
    assert (counts.answers, counts.answered, counts.unreadable) == (1, 1, 1)
    assert len(list_problems(store, "1")) == 2  # each is recorded with its reason


def test_the_newest_window_is_counted_by_what_is_left_of_it(store: Store):
    store.append(
        make_events.task_events(make_events.task(1), make_events.task(2, is_labeled=True), make_events.task(3))
    )
    store.windows.save_window("1", [WindowRow(1, "m1+q1", 0, None, None, False, None, 5.0)])
    blind = [WindowRow(task, "m1+q2", task, None, None, task > 1, None, 9.0) for task in (1, 2, 3, 77)]
    store.windows.save_window("1", blind)

    counts = store.windows.count_window("1")

    assert counts is not None
    assert (counts.version, counts.rows, counts.open, counts.blind, counts.blind_open) == ("m1+q2", 4, 2, 3, 1)
    assert counts.written_s == 9.0
    assert store.windows.count_window("2") is None
