"""No case is lost or doubled by races and kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from subprocess import PIPE
from threading import Barrier

import pytest

from feedback.errors import NotStored
from feedback.store import CaseEvent, CaseFilter, CaseRow, OverrideRow, ReviewRow, Store, urgency
from ml_backend.records import Answer
from tests.support.make_events import annotation_event

SPAM, HAM = Answer("choices", ("spam",)), Answer("choices", ("ham",))


def case(task: int = 7, **more: object) -> CaseRow:
    return replace(CaseRow("1", task, "queued", "L1", opened_s=1.0, entered_s=1.0, why="a test"), **more)


def a_look(number: int, annotation: int = 90, **more: object) -> ReviewRow:
    made = ReviewRow(
        "2", annotation, number, 1, "L2", 1.0, 5, "fix", HAM, "boundary", "see page 3", {"fraud": "card"}, SPAM, "v1",
        2.0, 30.0, counted=True, refused="",
    )  # fmt: skip
    return replace(made, **more)


def an_override(annotation: int, **more: object) -> OverrideRow:
    made = OverrideRow(
        "1", annotation, 7, 5, SPAM, 0.9, "m1", HAM, changed=True, blind=False, reason="boundary",
        segment="de", tier="L1", policy="abc", at_s=float(annotation), annotation_version="v1",
    )  # fmt: skip
    return replace(made, **more)


def step(event: str = "start") -> CaseEvent:
    return CaseEvent(2.0, event, "started", "L1", person=5, note="looked")


def test_agreed_cases_are_those_whose_answer_several_people_gave_the_newest_first(store: Store) -> None:
    cases = store.cases.create_cases([case(task, answer=HAM) for task in range(1, 6)], "open")
    looks = [
        [a_look(0, 1), a_look(0, 2, person=6)],  # two people agree
        [a_look(0, 3), a_look(0, 4)],  # one person, twice
        [a_look(0, 5), a_look(0, 6, person=6, answer=SPAM)],
        [a_look(0, 7), a_look(0, 8, person=6, counted=False)],
        [a_look(0, 9), a_look(0, 10, person=6)],
    ]
    for opened, given in zip(cases, looks, strict=True):
        reviews = [replace(look, case=opened.id) for look in given]
        assert store.cases.update_case(replace(opened, state="resolved"), opened.version, step("write"), reviews)

    assert [row.task for row in store.cases.list_agreed_cases("1", n_people=2, limit=10)] == [5, 1]
    assert [row.task for row in store.cases.list_agreed_cases("1", n_people=2, limit=1)] == [5]


def test_a_case_comes_back_as_it_was_written(store: Store) -> None:
    (opened,) = store.cases.create_cases(
        [case(skills=("german",), proposal=SPAM, proposed_by="model", confidence=0.6)],
        "open",
    )

    assert store.cases.get_case(opened.id) == opened
    assert opened.proposal == SPAM
    assert [(line.number, line.event, line.note) for line in store.cases.list_case_events(opened.id)] == [
        (1, "open", "a test")
    ]
    with pytest.raises(NotStored, match="no case 999"):
        store.cases.get_case(999)


def test_opening_a_case_twice_makes_one_case(store: Store) -> None:
    assert len(store.cases.create_cases([case(1), case(2), case(1)], "open")) == 2
    assert [row.task for row in store.cases.create_cases([case(2), case(3)], "open")] == [3]
    assert {row.task: row.state for row in store.cases.list_cases("1")} == dict.fromkeys((1, 2, 3), "queued")


def test_a_move_on_an_old_version_changes_nothing(store: Store) -> None:
    (seen,) = store.cases.create_cases([case()], "open")
    started = replace(seen, state="started", started_s=2.0)

    assert store.cases.update_case(started, seen.version, step(), [a_look(seen.id)])
    assert not store.cases.update_case(
        replace(seen, state="decided"), seen.version, step("decide"), [a_look(seen.id, 91)]
    )

    assert store.cases.get_case(seen.id) == replace(started, version=2)
    assert [line.event for line in store.cases.list_case_events(seen.id)] == ["open", "start"]
    assert [look.annotation for look in store.reviews.list_reviews("1")] == [90]


@pytest.mark.slow
def test_concurrent_moves_of_the_same_cases_make_one_trail_each(url: str, opened: Callable[[str], Store]) -> None:
    stores = [opened(url) for _ in range(4)]  # as processes have them: no shared lock
    n_people, n_cases = 50, 12
    barrier = Barrier(n_people)

    def review(person: int) -> int:
        mine = stores[person % 4]
        barrier.wait(timeout=60)
        made = len(mine.cases.create_cases([case(task) for task in range(1, n_cases + 1)], "open"))
        for row in mine.cases.list_cases("1"):
            while True:  # each person looks once at each case, whatever the others do meanwhile
                now = mine.cases.get_case(row.id)
                look = a_look(now.id, 1000 * now.id + person, person=person)
                if mine.cases.update_case(replace(now, state="started"), now.version, step("review"), [look]):
                    break
        return made

    with ThreadPoolExecutor(n_people) as pool:
        made = sum(pool.map(review, range(n_people)))

    assert made == n_cases
    for row in stores[0].cases.list_cases("1"):
        assert row.version == n_people + 1
        assert [line.number for line in stores[0].cases.list_case_events(row.id)] == list(range(1, n_people + 2))
        assert len({look.person for look in stores[0].reviews.list_reviews_of_cases([row.id])[row.id]}) == n_people


_WORKERS = """
import os, random, signal, sys
from dataclasses import replace
from feedback.store import CaseRow, CaseEvent, open_store

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in sys.stdin:  # a worker for each line: what takes long to import is imported once
    if os.fork() == 0:
        break
else:
    sys.exit()
store = open_store(sys.argv[1])
while True:
    task = random.randrange(1, 30)
    store.cases.create_cases([CaseRow("1", task, "queued", "L1")], "open")
    (now,) = store.cases.list_cases("1", tasks=[task])
    event = CaseEvent(0.0, "review", "started", "L1")
    if store.cases.update_case(replace(now, copies=now.copies + 1), now.version, event):
        os.write(1, b"%d %d\\n" % (os.getpid(), task))  # whole, whatever else is written: print makes four of it
"""


@pytest.mark.slow
def test_twenty_kills_lose_no_move_and_double_none(url: str, opened: Callable[[str], Store]) -> None:
    store, n_reported, killed = opened(url), Counter[int](), set[int]()
    command = [sys.executable, "-c", _WORKERS, url]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=Path(__file__).parents[4]) as workers:
        assert workers.stdin is not None
        assert workers.stdout is not None
        for _ in range(10):
            workers.stdin.write("\n\n")
            workers.stdin.flush()
            pair: set[int] = set()
            while len(pair) < 2:  # until both work
                pid, task = map(int, workers.stdout.readline().split())
                n_reported[task] += 1
                pair |= {pid} - killed
            time.sleep(0.15)
            for pid in pair:
                os.kill(pid, signal.SIGKILL)
            killed |= pair
        workers.stdin.close()
        n_reported.update(int(line.split()[1]) for line in workers.stdout)

    assert len(killed) == 20
    for row in store.cases.list_cases("1"):
        numbers = [line.number for line in store.cases.list_case_events(row.id)]
        assert numbers == list(range(1, row.version + 1))
        assert row.copies == row.version - 1
        # a killed worker may have moved a case without reporting it, and never reports a move that it did not make
        assert row.copies >= n_reported[row.task]
    assert set(n_reported) <= {row.task for row in store.cases.list_cases("1")}


def test_overrides_are_listed_by_time_and_a_changed_annotation_replaces_its_row(store: Store) -> None:
    store.overrides.save_overrides([an_override(2), an_override(1, changed=False, answer=SPAM, reason="")])
    store.overrides.save_overrides([an_override(2, reason="guideline_gap", at_s=5.0)])

    assert [(row.annotation, row.reason) for row in store.overrides.list_overrides("1") if row.changed] == [
        (2, "guideline_gap")
    ]
    assert [row.annotation for row in store.overrides.list_overrides("1")] == [1, 2]
    assert store.overrides.list_override_times("1", [1, 2]) == {1: 1.0, 2: 5.0}
    store.overrides.save_overrides([an_override(3, blind=True)])
    assert store.overrides.list_overriding_annotations("1") == {2}  # not what was kept, not what nobody was shown


def test_erasing_a_person_blanks_their_events_in_case_trails(store: Store) -> None:
    store.append([annotation_event(5, "A", person=5)])
    (seen,) = store.cases.create_cases([case()], "open")
    store.cases.update_case(replace(seen, state="started"), 1, step(), [a_look(seen.id)])
    store.overrides.save_overrides([an_override(2), an_override(3, person=6)])

    store.erasure.erase_data("1", person=5)

    (look,) = store.reviews.list_reviews("1")
    assert (look.person, look.comment, look.feedback, look.verdict) == (None, "", {}, "fix")
    assert [(line.person, line.note) for line in store.cases.list_case_events(seen.id)] == [
        (None, "a test"),
        (None, ""),
    ]
    assert [row.person for row in store.overrides.list_overrides("1")] == [6]


def test_erasing_a_task_erases_its_case(store: Store) -> None:
    store.append([annotation_event(5, "A", task=7)])
    opened = store.cases.create_cases([case(7), case(8)], "open")
    store.reviews.save_reviews([a_look(opened[0].id)])
    store.overrides.save_overrides([an_override(2)])

    store.erasure.erase_data("1", task=7)

    assert [row.task for row in store.cases.list_cases("1")] == [8]
    assert (
        store.reviews.list_reviews("1"),
        store.overrides.list_overrides("1"),
        store.cases.list_case_events(opened[0].id),
    ) == ([], [], [])


def test_cases_are_listed_by_priority_then_due_time_then_age_and_by_their_review_task_score_alike(store: Store) -> None:
    """The database, a list in Python and Label Studio's queue have one order, also in pages and after a move."""
    times = [None, 5.5, 5.2, 9.0, 1e10, -1.0]
    rows = [
        case(100 + number, priority=priority, due_s=due_s, entered_s=entered_s)
        for number, (priority, due_s, entered_s) in enumerate(product((2 / 3, 0.0, 1.0), times, (3.0, 1.0)))
    ]
    opened = store.cases.create_cases(rows, "open")
    moved = replace(opened[0], priority=0.0, due_s=0.0)
    assert store.cases.update_case(moved, 1, step())
    listed = store.cases.list_cases("1")

    assert (listed[0].priority, listed[0].due_s) == (0.0, 0.0)  # the moved one; a time before 1970 counts as 1970
    assert listed == sorted(listed, key=urgency)
    assert len({urgency(row) for row in listed}) == len(rows)
    assert store.cases.list_cases("1", tasks=[row.task for row in rows]) == listed
    pages = [store.cases.find_cases("1", CaseFilter(), limit=7, offset=7 * page) for page in range(6)]
    assert [row for page in pages for row in page] == listed
    bands = [(row.priority, row.due_s is None) for row in listed]
    assert bands == sorted(bands)
    dues = [row.due_s for row in listed if row.priority == 1.0 and row.due_s is not None]
    assert [int(max(0.0, due_s)) for due_s in dues] == sorted(int(max(0.0, due_s)) for due_s in dues)


def test_a_filter_is_applied_before_a_page_is_cut(store: Store) -> None:
    rows = [case(number, tier="L2" if number % 10 == 0 else "L1", rule="" if number % 2 else "big", due_s=float(number))
            for number in range(1, 61)]  # fmt: skip
    opened = store.cases.create_cases(rows, "open")
    late = replace(opened[59], state="started")
    assert store.cases.update_case(late, 1, step(), [a_look(late.id)])  # person 5
    store.append([annotation_event(900, "A", task=20, person=6)])

    def tasks(limit: int | None = None, **chosen: object) -> list[int]:
        return [row.task for row in store.cases.find_cases("1", CaseFilter(**chosen), limit=limit)]  # type: ignore[arg-type]

    assert tasks(tier="L2", limit=4) == [10, 20, 30, 40]
    assert tasks(states=("started",)) == [60]
    assert tasks(person=5) == [60]
    assert tasks(person=6) == [20]
    assert tasks(person=99) == []
    assert tasks(late_at_s=3.5) == [1, 2, 3]
    assert tasks(clocked_tier="L1", clocked=True, limit=2) == [1, 3]
    assert tasks(clocked_tier="L1", clocked=False, limit=2) == [2, 4]
    assert store.cases.count_cases("1", CaseFilter(clocked_tier="L1", clocked=True)) == {("L1", "queued"): 30}
    assert sum(store.cases.count_cases("1").values()) == 60
