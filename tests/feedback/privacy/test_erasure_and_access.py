"""Erasure leaves nothing behind: a planted word is searched for in every column of every table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from feedback.annotators.gold import add_gold
from feedback.errors import FeedbackError
from feedback.ingest.signals import SignalHandler
from feedback.privacy.erasure_and_access import build_access_report, erase_in_backup, erase_person_or_task
from feedback.review.review_task_content import HISTORY
from feedback.store import CaseRow, ProjectRow, SessionRow, Store, UncountedAnswer, open_store
from feedback.store.backups import restore
from feedback.store.database.row_mapping import metadata
from feedback.store.log.events import event_from_annotation
from feedback.store.tables.personal_data import PERSONAL_DATA_TABLES, DataSubject, redact
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
def project_with_people(store: Store, tmp_path: Path) -> World:
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


def test_an_erased_person_leaves_nothing_behind_and_decisions_stay(project_with_people: World, store: Store):
    other = project_with_people.site.add("a2 pear old")[0]
    project_with_people.turn()
    project_with_people.site.answer(other, "fruit", person=CLEO)
    case = reviewed(project_with_people)
    store.sessions.create_session(SessionRow("d" * 64, CLEO, ADDRESS, True, 1.0, 1.0))
    store.records.create_record(PROJECT, "action", {"action": "pause", "person": CLEO})
    store.uncounted.replace_excluded(PROJECT, [UncountedAnswer(1, other, CLEO, MARK)], removed=())
    (asked,) = project_with_people.site.waiting(project_with_people.site.review_project_of("L3"), DAN)
    assert MARK in str(asked.data[HISTORY])
    places = {place.partition(".")[0] for place in where(store, MARK)}
    assert {"payload", "content", "review", "session", "project", "excluded_answer"} <= places

    done = erase_person_or_task(
        store, PROJECT, person=CLEO, platform=project_with_people.site, now_s=project_with_people.site.seconds()
    )

    assert where(store, MARK) == []
    assert (done.not_updated, build_access_report(store, PROJECT, CLEO, emails=[ADDRESS])["held"]) == ((), {})
    assert ADDRESS not in store.projects.get_project(PROJECT).policy.people  # type: ignore[arg-type]
    whole(store)
    (asked,) = project_with_people.site.waiting(project_with_people.site.review_project_of("L3"), DAN)
    assert MARK not in str(asked.data)
    project_with_people.turn()
    project_with_people.review("L3", "accept", person=DAN)
    project_with_people.turn()
    assert project_with_people.final(case) == "tool"
    assert project_with_people.trail(case) == ["open", "assign", "escalate", "assign", "decide", "write"]
    assert [row for row in where(store, MARK) if row != "secret.value"] == []
    assert [record.body["action"] for record in store.records.list_records(PROJECT, "action")] == ["pause"]
    whole(store)


def test_an_access_report_holds_everything_about_a_person(project_with_people: World, store: Store):
    reviewed(project_with_people)
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
    assert [annotation["project"] for annotation in held["annotation"]] == [
        project_with_people.site.review_project_of("L2")
    ]
    assert [row["project"] for row in found["versions"]] == [project_with_people.site.review_project_of("L2")]
    ben = build_access_report(store, PROJECT, BEN)
    assert MARK not in str(ben)


def test_a_recorded_report_about_people_is_in_the_access_report(project_with_people: World, store: Store):
    figures = {"people": [{"person": CLEO, "votes": 7}, {"person": BEN, "votes": 5}]}
    store.records.create_record(PROJECT, "people", figures)

    found = build_access_report(store, PROJECT, CLEO)

    assert "people" in {row["kind"] for row in found["held"]["record"]}
    assert redact(figures, DataSubject(PROJECT, CLEO), "people") == {"people": [{"person": BEN, "votes": 5}]}


def test_a_vote_on_a_shown_prediction_is_in_the_access_report(store: Store):
    store.projects.save_project(ProjectRow("1", label_config="<View/>"))
    shown = make_annotation(5, "A", task=1, person=7, parent_prediction=31)
    store.append([*task_events(task(1)), event_from_annotation(shown, "webhook")])

    held = build_access_report(store, "1", 7)["held"]

    assert [(row["annotation"], row["shown"]) for row in held["vote"]] == [(5, 31)]


def test_every_row_with_the_person_is_reported_and_erased(project_with_people: World, store: Store):
    """Rows of every table with a column `person` are in the access report, and are gone after erasure."""
    reviewed(project_with_people)
    project_with_people.turn()
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

    erase_person_or_task(store, PROJECT, person=CLEO, emails=[ADDRESS], platform=project_with_people.site, now_s=1.0)
    assert set(rows().values()) == {0}


def test_a_case_whose_reviewer_is_erased_is_not_opened_again(project_with_people: World, store: Store):
    made = reviewed(project_with_people)
    project_with_people.review("L3", "accept", person=DAN)
    project_with_people.turn()
    erase_person_or_task(
        store, PROJECT, person=DAN, platform=project_with_people.site, now_s=project_with_people.site.seconds()
    )
    project_with_people.turn()

    assert (project_with_people.case(made).state, project_with_people.case(made).round) == ("resolved", 1)


def test_an_erased_task_leaves_with_its_case_and_its_review_tasks(project_with_people: World, store: Store):
    made = reviewed(project_with_people, f"a1 {TEXT} red")
    take = SignalHandler(store)
    take({"project": PROJECT, "task": made, "signal": "user_report", "value": TEXT, "note": TEXT, "id": "s1"})
    add_gold(store, PROJECT, {made: Answer("choices", (TEXT,))}, {made: TEXT})
    store.records.create_record(PROJECT, "written back", {"task": made, "annotation": 7, "answer": TEXT})
    store.records.create_record(
        PROJECT, "notification", {"target": "crm", "payload": {"task": made, "why": TEXT}}, key="n"
    )
    project_with_people.turn()
    copies = {
        review_project: project_with_people.site.waiting(review_project, EVA)
        for review_project in store.review_projects.list_review_project_ids(PROJECT)
    }
    assert any(copies.values())
    assert {"content", "signal", "record"} <= {row.partition(".")[0] for row in where(store, TEXT)}

    done = erase_person_or_task(
        store, PROJECT, task=made, platform=project_with_people.site, now_s=project_with_people.site.seconds()
    )

    assert where(store, TEXT) == []
    assert (done.n_review_tasks, done.not_updated) == (2, ())
    assert store.cases.list_cases(PROJECT) == []
    assert [project_with_people.site.waiting(review_project, EVA) for review_project in copies] == [[], []]
    assert all(
        TEXT not in str(task.data)
        for tasks in project_with_people.site.review_tasks.values()
        for task in tasks.values()
    )
    whole(store)
    project_with_people.turn()  # Label Studio still shows the task: it is not taken back in
    assert where(store, TEXT) == []


def test_a_honeypot_made_of_an_erased_task_is_erased_too(project_with_people: World, store: Store):
    panel = policy_text(l2='protocol = "panel"\npanel = 2', share=0.0).replace(
        "[second_look]\nshare = 0.0", "[second_look]\nshare = 0.0\nhoneypots = 1.0"
    )
    project_with_people.use(panel, overlap=2)
    first, second = project_with_people.site.add(f"a1 {TEXT} red", "a2 pear old")
    project_with_people.turn()
    project_with_people.disagree(first)
    for person in (CLEO, DAN):
        project_with_people.review("L2", "fix", "fruit", person=person, reason="boundary")
    project_with_people.turn()
    project_with_people.disagree(second)
    review_project = project_with_people.site.review_project_of("L2")
    assert len([task for task in project_with_people.site.waiting(review_project, EVA) if TEXT in str(task.data)]) == 1
    project_with_people.turn()

    erase_person_or_task(
        store, PROJECT, task=first, platform=project_with_people.site, now_s=project_with_people.site.seconds()
    )

    assert where(store, TEXT) == []
    assert [TEXT in str(task.data) for task in project_with_people.site.waiting(review_project, EVA)] == [False]
    assert [case.task for case in store.cases.list_cases(PROJECT)] == [second]


def test_without_label_studio_the_review_tasks_that_it_still_shows_are_reported(
    project_with_people: World, store: Store
):
    reviewed(project_with_people)
    (asked,) = project_with_people.site.waiting(project_with_people.site.review_project_of("L3"), DAN)

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


def test_erasure_needs_a_person_or_a_task(store: Store, project_with_people: World):
    for whom in ({}, {"person": CLEO, "task": 1}):
        with pytest.raises(FeedbackError, match="either a person or a task"):
            erase_person_or_task(store, PROJECT, now_s=1.0, **whom)


@pytest.mark.slow
def test_erasing_a_person_twice_changes_nothing(project_with_people: World, store: Store):
    reviewed(project_with_people)
    erase_person_or_task(store, PROJECT, person=CLEO, platform=project_with_people.site, now_s=1.0, emails=[ADDRESS])
    later = erase_person_or_task(
        store, PROJECT, person=CLEO, platform=project_with_people.site, now_s=2.0, emails=[ADDRESS]
    )

    assert (later.erased.annotations, later.n_review_tasks, later.not_updated) == ((), 0, ())
    assert sorted(store.events.list_erased_people()) == sorted(
        (review_project, CLEO) for review_project in [PROJECT, *store.review_projects.list_review_project_ids(PROJECT)]
    )
    whole(store)


@pytest.mark.slow
def test_a_backup_does_not_restore_an_erased_person(project_with_people: World, store: Store, tmp_path: Path):
    path = store._database.path
    if path is None:
        return  # PostgreSQL has its own backups
    reviewed(project_with_people)
    store.sessions.create_session(SessionRow("d" * 64, CLEO, ADDRESS, True, 1.0, 1.0))
    store.backup(tmp_path / "backup.db")
    erase_person_or_task(store, PROJECT, person=CLEO, platform=project_with_people.site, now_s=1.0)
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
    "heartbeat": "what workers do",
    "webhook_arrival": "times and counts of a project",
    "job": "counts, and the reason of a failure",
    "login_attempt": "addresses that guessed wrong, for as long as they have to wait",
}


def test_every_table_is_listed_as_personal_data_or_has_a_reason_not_to_be():
    listed = [place.table.name for place in PERSONAL_DATA_TABLES]

    assert len(listed) == len(set(listed))
    assert set(listed) | set(TABLES_WITHOUT_PERSONAL_DATA) == {table.name for table in metadata.sorted_tables}
    assert not set(listed) & set(TABLES_WITHOUT_PERSONAL_DATA)


def test_an_answer_of_another_person_to_the_same_review_task_stays(project_with_people: World, store: Store):
    project_with_people.use(policy_text(more=PEOPLE, l2='protocol = "two-reader"'), overlap=2)
    (made,) = project_with_people.site.add("a1 apple red")
    project_with_people.turn()
    project_with_people.disagree(made)
    project_with_people.review("L2", "fix", "tool", person=CLEO, reason="boundary", comment=MARK)
    project_with_people.turn()
    project_with_people.review("L2", "fix", "fruit", person=DAN, reason="boundary")
    project_with_people.turn()
    erase_person_or_task(
        store,
        PROJECT,
        person=CLEO,
        emails=[ADDRESS],
        platform=project_with_people.site,
        now_s=project_with_people.site.seconds(),
    )
    project_with_people.turn()

    assert where(store, MARK) == []
    review_project = project_with_people.site.review_project_of("L2")
    assert [annotation.person for annotation in store.annotations.list_annotations(review_project)] == [DAN]
