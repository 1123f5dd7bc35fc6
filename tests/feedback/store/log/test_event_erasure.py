from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, text

from feedback.errors import StoreError
from feedback.store import Store, open_store
from feedback.store.tables import main_tables
from tests.support.make_events import annotation_event, at, deletion_event, labels, skip_event, task, task_events


def test_an_erased_person_is_deleted_everywhere_but_in_the_chain(store: Store) -> None:
    store.append(
        [
            *task_events(task(1)),
            annotation_event(5, "A", person=1),
            annotation_event(5, "B", person=1, second=2),
            annotation_event(6, "B", person=2),
        ]
    )
    store.append([skip_event(7, person=1, task=2), annotation_event(8, "A", person=1, project="2")])

    forgotten = store.erasure.erase_data("1", person=1)

    assert forgotten.annotations == (5, 7)
    assert labels(store.votes.list_votes("1")) == {(1, 2): "B"}
    assert store.annotations.list_skips("1") == []
    assert [item.id for item in store.annotations.list_annotators("1")] == [2]
    assert [item.annotation for item in store.events.list_task_history("1", 1)] == [6]
    assert len(store.votes.list_votes("2")) == 1  # another project is another matter
    assert store.verify()["chain"] == "ok"
    assert store.verify()["projection"] == "ok"
    assert store.rebuild().ok


def test_what_is_left_of_other_people_is_counted_as_if_it_had_never_been(store: Store) -> None:
    """Person 2 took an annotation of person 1 over, and did other work besides; person 3 is not concerned."""
    store.append(
        [
            annotation_event(5, "A", person=1, second=1),
            annotation_event(5, "A", person=2, second=2),
            annotation_event(6, "A", person=2, second=7),
        ]
    )
    store.append(
        [
            annotation_event(7, "A", person=3, second=3),
            skip_event(8, person=2, second=9),
            annotation_event(9, "B", person=2, second=4),
        ]
    )

    store.erasure.erase_data("1", person=1)

    assert store.rebuild(check=True).differs == ""
    assert [(item.id, item.answers, item.skips) for item in store.annotations.list_annotators("1")] == [
        (2, 2, 1),
        (3, 1, 0),
    ]


def test_what_we_hold_of_a_person_can_be_shown_to_them(store: Store) -> None:
    store.append(
        [
            annotation_event(5, "A"),
            annotation_event(5, "B", second=2),
            annotation_event(6, "A", person=2),
            skip_event(7, task=3),
        ]
    )

    held = store.events.list_versions_by_person("1", 1)
    assert [(item.annotation, item.version) for item in held] == [(5, at(1)), (5, at(2)), (7, at(1))]
    assert all(item.body is not None for item in held)


def test_erased_data_are_not_ingested_again(store: Store) -> None:
    store.append([annotation_event(5, "A", person=1)])
    store.erasure.erase_data("1", person=1)

    store.append(
        [
            annotation_event(5, "A", person=1),
            annotation_event(5, "B", person=1, second=9, source="sweep", seen_s=99.0),
            deletion_event(5),
        ]
    )
    assert store.votes.list_votes("1") == []
    assert store.verify()["projection"] == "ok"

    store.append([annotation_event(6, "A", person=1)])  # a new answer is a new one
    assert len(store.votes.list_votes("1")) == 1


def test_an_annotation_that_another_person_has_now_is_erased_too(store: Store) -> None:
    store.append([annotation_event(5, "A", person=1), annotation_event(5, "B", person=2, second=2)])

    assert store.erasure.erase_data("1", person=1).annotations == (5,)
    assert store.votes.list_votes("1") == []


def test_erasing_a_task_erases_its_data_and_answers(store: Store) -> None:
    store.append(
        [
            *task_events(task(1, "private"), task(2, "private")),
            annotation_event(5, "A", task=1),
            annotation_event(6, "A", task=2),
        ]
    )

    forgotten = store.erasure.erase_data("1", task=1)

    assert (forgotten.annotations, forgotten.tasks) == ((5,), (1,))
    assert [(item.id, item.data) for item in store.tasks.list_tasks("1")] == [
        (2, {"text": "private"})
    ]  # its twin is untouched
    assert labels(store.votes.list_votes("1")) == {(2, 1): "A"}
    store.append(task_events(task(1, "private", second=9)))
    assert len(store.tasks.list_tasks("1")) == 1
    assert store.verify()["chain"] == "ok"
    assert store.rebuild().ok


def test_the_models_that_learned_from_it_are_named(store: Store) -> None:
    store.append([annotation_event(5, "A", person=1), annotation_event(6, "A", person=2)])
    store.records.create_record("1", "training", {"version": "m1", "annotations": [6]}, key="m1")
    store.records.create_record("1", "training", {"version": "m2", "annotations": [5, 6]}, key="m2")
    store.records.create_record("1", "training", {"version": "m3", "annotations": [], "imported": [5]}, key="m3")

    assert store.erasure.erase_data("1", person=1).models == ("m2", "m3")


def test_after_an_erasure_no_salt_and_no_payload_is_left(store: Store) -> None:
    store.append([annotation_event(5, "A", person=1)])
    store.erasure.erase_data("1", person=1)

    with store._database.read() as connection:
        assert connection.execute(select(main_tables.payload)).all() == []
        row = connection.execute(select(main_tables.annotation)).one()
    assert (row.person, row.task, row.rank, row.seq, row.unique_id) == (None, None, "", 0, None)


def test_forgetting_wants_a_person_or_a_task(store: Store) -> None:
    with pytest.raises(StoreError, match="either a person or a task"):
        store.erasure.erase_data("1")


def test_nothing_readable_is_left_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = open_store(f"sqlite:///{path}")
    store.append([*task_events(task(1, "my very private sentence")), annotation_event(5, "very-private-label", task=1)])
    assert any(b"very private" in file.read_bytes() for file in tmp_path.iterdir())

    store.erasure.erase_data("1", task=1)
    store.close()

    for file in tmp_path.iterdir():
        assert b"very private sentence" not in file.read_bytes()
        assert b"very-private-label" not in file.read_bytes()


def test_a_backup_taken_in_use_is_whole(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    store.append([*task_events(task(1)), annotation_event(5, "A")])
    store.backup(tmp_path / "copy.db")
    store.append([annotation_event(6, "A", person=2)])

    copy = open_store(f"sqlite:///{tmp_path / 'copy.db'}")
    assert labels(copy.votes.list_votes("1")) == {(1, 1): "A"}
    assert copy.verify() == {"events": 2, "chain": "ok", "projection": "ok"}
    assert not (tmp_path / "copy.db.part").exists()
    copy.close()
    store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_postgresql_is_backed_up_by_its_own_tool(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="copies only SQLite") as refused:
        store.backup(tmp_path / "copy.db")
    assert "pg_dump" in refused.value.hint
    with store._database.read() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
