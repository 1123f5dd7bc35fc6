"""Erasure leaves nothing behind: a planted word is searched for in every column of every table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from feedback.annotators.gold import add_gold
from feedback.errors import FeedbackError
from feedback.ingest.signals import SignalHandler
from feedback.privacy.erasure_and_access import build_access_report, erase_in_backup, erase_person_or_task
from feedback.review.review_task_content import HISTORY
from feedback.store import CaseRow, SessionRow, Store, open_store
from feedback.store.backups import restore
from feedback.store.database.row_mapping import metadata
from feedback.store.log.events import event_from_annotation
from feedback.store.tables.personal_data import PERSONAL_DATA_TABLES
from feedback.store.tables.review_tables import review_project
from ml_backend.records import Answer
from tests.support.clock import Clock
from tests.support.everything import where
from tests.support.make_events import make_annotation, task, task_events
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, PROJECT, World, policy_text

MARK = "zanzibar"  # of a person
TEXT = "timbuktu"  # of a task
ADDRESS = f"cleo-{MARK}@example.com"
PEOPLE = f'[people."{ADDRESS}"]\ntiers = ["L2"]\nrole = "admin"\n' + "".join(
    f'[people."{name}@example.com"]\ntiers = ["L1", "L2", "L3"]\n' for name in ("ada", "ben", "dan", "eva")
)
ANSWER_SHOWN = "feedback = {}\n"


@pytest.fixture
def store_url(url: str) -> str:
    """Return the URL of an empty database, of SQLite and of PostgreSQL: each erases in its own way."""
    return url


@pytest.fixture
def store_options(clock: Clock) -> dict[str, Any]:
    return {"clock": clock}


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    store.secrets.save_secret("draws", "the same draws in every run")
    made = World(store, tmp_path / "models")
    names = {ADA: "ada", BEN: "ben", DAN: "dan", EVA: "eva"}
    made.site.people = {person: f"{name}@example.com" for person, name in names.items()} | {CLEO: ADDRESS}
    made.use(policy_text(more=PEOPLE), overlap=2)
    return made


def whole(store: Store) -> None:
    assert store.verify()["chain"] == "ok"
    assert store.verify()["projection"] == "ok"
    assert store.rebuild(check=True).differs == ""


def reviewed(world: World, text: str = "a1 apple red") -> int:
    """Ada and Ben differ, Cleo escalates with a comment, Dan gets the case at L3 and sees her comment."""
    (made,) = world.site.add(text)
    world.turn()
    world.disagree(made)
    world.review("L2", "escalate", "tool", person=CLEO, reason="guideline_gap", comment=f"{MARK}, is a nut a tool?")
    world.turn()
    return made


def test_an_erased_person_leaves_nothing_behind_and_decisions_stay(world: World, store: Store):
    other = world.site.add("a2 pear old")[0]
    world.turn()
    world.site.answer(other, "fruit", person=CLEO)
    case = reviewed(world)
    store.sessions.create_session(SessionRow("d" * 64, CLEO, ADDRESS, True, 1.0, 1.0))
    store.records.create_record(PROJECT, "action", {"action": "pause", "person": CLEO})
    store.records.create_record(PROJECT, "not counted", {"task": other, "person": CLEO, "annotation": 1, "why": MARK})
    (asked,) = world.site.waiting(world.site.review_project_of("L3"), DAN)
    assert MARK in str(asked.data[HISTORY])
    places = {place.partition(".")[0] for place in where(store, MARK)}
    assert {"payload", "content", "review", "session", "project", "record"} <= places

    done = erase_person_or_task(store, PROJECT, person=CLEO, platform=world.site, now_s=world.site.seconds())

    assert where(store, MARK) == []
    assert (done.not_updated, build_access_report(store, PROJECT, CLEO, emails=[ADDRESS])["held"]) == ((), {})
    assert ADDRESS not in store.projects.get_project(PROJECT).policy.people  # type: ignore[arg-type]
    whole(store)
    (asked,) = world.site.waiting(world.site.review_project_of("L3"), DAN)
    assert MARK not in str(asked.data)
    world.turn()
    world.review("L3", "accept", person=DAN)
    world.turn()
    assert world.final(case) == "tool"
    assert world.trail(case) == ["open", "assign", "escalate", "assign", "decide", "write"]
    assert [row for row in where(store, MARK) if row != "secret.value"] == []
    assert [record.body["action"] for record in store.records.list_records(PROJECT, "action")] == ["pause"]
    whole(store)


def test_an_access_report_holds_everything_about_a_person(world: World, store: Store):
    reviewed(world)
    store.sessions.create_session(SessionRow("d" * 64, CLEO, ADDRESS, True, 1.0, 1.0))
    store.records.create_record(PROJECT, "action", {"action": "pause", "person": CLEO})

    found = build_access_report(store, PROJECT, CLEO)

    held = found["held"]
    assert found["emails"] == [ADDRESS]
    assert [row["comment"] for row in held["review"]] == [f"{MARK}, is a nut a tool?"]
    assert [row["event"] for row in held["case_event"]] == ["escalate"]
    assert [(row["email"], "digest" in row) for row in held["session"]] == [(ADDRESS, False)]
    assert [row["role"] for row in held["policy"]] == ["admin"]
    assert {"action", "policy"} <= {row["kind"] for row in held["record"]}
    assert [annotation["project"] for annotation in held["annotation"]] == [world.site.review_project_of("L2")]
    assert [row["project"] for row in found["versions"]] == [world.site.review_project_of("L2")]
    ben = build_access_report(store, PROJECT, BEN)
    assert MARK not in str(ben)


def test_every_row_with_the_person_is_reported_and_erased(world: World, store: Store):
    """Rows of every table with a column `person` are in the access report, and are gone after erasure."""
    reviewed(world)
    world.turn()
    named = [table for table in metadata.sorted_tables if "person" in table.c and table.name != "person"]

    def rows() -> dict[str, int]:
        with store._database.read() as connection:
            return {
                table.name: len(connection.execute(select(table).where(table.c.person == CLEO)).all())
                for table in named
            }

    before = rows()
    held = build_access_report(store, PROJECT, CLEO)["held"]
    assert {name: len(held.get(name, ())) for name in before} == before

    erase_person_or_task(store, PROJECT, person=CLEO, emails=[ADDRESS], platform=world.site, now_s=1.0)
    assert set(rows().values()) == {0}


def test_a_case_whose_reviewer_is_erased_is_not_opened_again(world: World, store: Store):
    made = reviewed(world)
    world.review("L3", "accept", person=DAN)
    world.turn()
    erase_person_or_task(store, PROJECT, person=DAN, platform=world.site, now_s=world.site.seconds())
    world.turn()

    assert (world.case(made).state, world.case(made).round) == ("resolved", 1)


def test_an_erased_task_leaves_with_its_case_and_its_review_tasks(world: World, store: Store):
    made = reviewed(world, f"a1 {TEXT} red")
    take = SignalHandler(store)
    take({"project": PROJECT, "task": made, "signal": "user_report", "value": TEXT, "note": TEXT, "id": "s1"})
    add_gold(store, PROJECT, {made: Answer("choices", (TEXT,))}, {made: TEXT})
    store.records.create_record(PROJECT, "written back", {"task": made, "annotation": 7, "answer": TEXT})
    store.records.create_record(
        PROJECT, "notification", {"target": "crm", "payload": {"task": made, "why": TEXT}}, key="n"
    )
    world.turn()
    copies = {
        review_project: world.site.waiting(review_project, EVA)
        for review_project in store.review_projects.list_review_project_ids(PROJECT)
    }
    assert any(copies.values())
    assert {"content", "signal", "record"} <= {row.partition(".")[0] for row in where(store, TEXT)}

    done = erase_person_or_task(store, PROJECT, task=made, platform=world.site, now_s=world.site.seconds())

    assert where(store, TEXT) == []
    assert (done.n_review_tasks, done.not_updated) == (2, ())
    assert store.cases.list_cases(PROJECT) == []
    assert [world.site.waiting(review_project, EVA) for review_project in copies] == [[], []]
    assert all(TEXT not in str(task.data) for tasks in world.site.review_tasks.values() for task in tasks.values())
    whole(store)
    world.turn()  # Label Studio still shows the task: it is not taken back in
    assert where(store, TEXT) == []


def test_a_honeypot_made_of_an_erased_task_is_erased_too(world: World, store: Store):
    panel = policy_text(l2='protocol = "panel"\npanel = 2', share=0.0).replace(
        "[second_look]\nshare = 0.0", "[second_look]\nshare = 0.0\nhoneypots = 1.0"
    )
    world.use(panel, overlap=2)
    first, second = world.site.add(f"a1 {TEXT} red", "a2 pear old")
    world.turn()
    world.disagree(first)
    for person in (CLEO, DAN):
        world.review("L2", "fix", "fruit", person=person, reason="boundary")
    world.turn()
    world.disagree(second)
    review_project = world.site.review_project_of("L2")
    assert len([task for task in world.site.waiting(review_project, EVA) if TEXT in str(task.data)]) == 1
    world.turn()

    erase_person_or_task(store, PROJECT, task=first, platform=world.site, now_s=world.site.seconds())

    assert where(store, TEXT) == []
    assert [TEXT in str(task.data) for task in world.site.waiting(review_project, EVA)] == [False]
    assert [case.task for case in store.cases.list_cases(PROJECT)] == [second]


def test_without_label_studio_the_review_tasks_that_it_still_shows_are_reported(world: World, store: Store):
    reviewed(world)
    (asked,) = world.site.waiting(world.site.review_project_of("L3"), DAN)

    done = erase_person_or_task(store, PROJECT, person=CLEO, emails=[ADDRESS], platform=None, now_s=1.0)

    assert where(store, MARK) == []
    assert done.not_updated == (asked.id,)


def test_a_case_of_an_earlier_task_with_the_same_id_is_erased_too(store: Store):
    store.append(task_events(task(1, TEXT, created_at="2026-01-01T00:00:00Z")))
    (case,) = store.cases.create_cases([CaseRow("1", 1, "queued", "L1", why=TEXT)], "open")
    store.append(task_events(task(1, "another", created_at="2026-01-02T00:00:00Z", second=50)))
    assert store.cases.get_case(case.id).task < 0

    erase_person_or_task(store, "1", task=1, now_s=1.0)

    assert where(store, TEXT) == []
    with pytest.raises(FeedbackError):
        store.cases.get_case(case.id)


def test_erasure_needs_a_person_or_a_task(store: Store, world: World):
    for whom in ({}, {"person": CLEO, "task": 1}):
        with pytest.raises(FeedbackError, match="either a person or a task"):
            erase_person_or_task(store, PROJECT, now_s=1.0, **whom)


@pytest.mark.slow
def test_erasing_a_person_twice_changes_nothing(world: World, store: Store):
    reviewed(world)
    erase_person_or_task(store, PROJECT, person=CLEO, platform=world.site, now_s=1.0, emails=[ADDRESS])
    later = erase_person_or_task(store, PROJECT, person=CLEO, platform=world.site, now_s=2.0, emails=[ADDRESS])

    assert (later.erased.annotations, later.n_review_tasks, later.not_updated) == ((), 0, ())
    assert sorted(store.events.list_erased_people()) == sorted(
        (review_project, CLEO) for review_project in [PROJECT, *store.review_projects.list_review_project_ids(PROJECT)]
    )
    whole(store)


@pytest.mark.slow
def test_a_backup_does_not_restore_an_erased_person(world: World, store: Store, tmp_path: Path):
    path = store._database.path
    if path is None:
        return  # PostgreSQL has its own backups
    reviewed(world)
    store.sessions.create_session(SessionRow("d" * 64, CLEO, ADDRESS, True, 1.0, 1.0))
    store.backup(tmp_path / "backup.db")
    erase_person_or_task(store, PROJECT, person=CLEO, platform=world.site, now_s=1.0)
    store.close()

    restore(tmp_path / "backup.db", path, erase=erase_in_backup)

    later = open_store(f"sqlite:///{path}")
    assert where(later, MARK) == []
    assert sorted(later.events.list_erased_people()) == sorted(
        (review_project, CLEO) for review_project in [PROJECT, *later.review_projects.list_review_project_ids(PROJECT)]
    )
    whole(later)
    later.close()


@pytest.mark.slow
def test_review_projects_beyond_the_thousandth_are_reported_and_searched(store: Store):
    ids = [str(number) for number in range(10_000, 11_001)]
    rows = [
        {"project": PROJECT, "id": number, "tier": "L2", "config_digest": "", "current": number == ids[-1]}
        for number in ids
    ]
    with store._database.write() as connection:
        connection.execute(insert(review_project), rows)
    for number in (ids[0], ids[-1]):
        store.append([event_from_annotation(make_annotation(5, task=1, person=CLEO, project=number), "poll")])

    report = build_access_report(store, PROJECT, CLEO)

    assert {version["project"] for version in report["versions"]} == {ids[0], ids[-1]}
    assert set(store.review_projects.list_review_project_ids(PROJECT)) == set(ids)


TABLES_WITHOUT_PERSONAL_DATA = {
    "alias": "versions of models",
    "chain": "hashes of salted payloads: nothing without the salt, which goes with the payload",
    "project_description": "the project's title and label config",
    "event": "numbers, times and hashes of salted payloads",
    "indicator_head": "how far logs were read",
    "model": "models learned from all people; an erasure names those that learned from the erased answers",
    "own_annotation": "numbers of what the service wrote",
    "own_unique": "names of what the service wrote",
    "review_project": "ids of review projects",
    "secret": "the service's own",
    "ingested_delivery": "random keys of deliveries; an erasure ingests the inbox first and rewrites it",
    "window": "versions of queues",
    "job": "counts, and the reason of a failure",
    "login_attempt": "addresses that guessed wrong, for as long as they have to wait",
}


def test_every_table_is_listed_as_personal_data_or_has_a_reason_not_to_be():
    listed = [place.table.name for place in PERSONAL_DATA_TABLES]

    assert len(listed) == len(set(listed))
    assert set(listed) | set(TABLES_WITHOUT_PERSONAL_DATA) == {table.name for table in metadata.sorted_tables}
    assert not set(listed) & set(TABLES_WITHOUT_PERSONAL_DATA)


def test_an_answer_of_another_person_to_the_same_review_task_stays(world: World, store: Store):
    world.use(policy_text(more=PEOPLE, l2='protocol = "two-reader"'), overlap=2)
    (made,) = world.site.add("a1 apple red")
    world.turn()
    world.disagree(made)
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary", comment=MARK)
    world.turn()
    world.review("L2", "fix", "fruit", person=DAN, reason="boundary")
    world.turn()
    erase_person_or_task(store, PROJECT, person=CLEO, emails=[ADDRESS], platform=world.site, now_s=world.site.seconds())
    world.turn()

    assert where(store, MARK) == []
    review_project = world.site.review_project_of("L2")
    assert [annotation.person for annotation in store.annotations.list_annotations(review_project)] == [DAN]
