from __future__ import annotations

from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.event import listen, remove

from feedback.store import Store, Vote, open_store
from tests.support.hypothesis_profiles import examples
from tests.support.make_events import annotation_event, deletion_event, skip_event, task, task_events

_PROJECTS = count(1000)
_NUMBERS, _TASKS, _PEOPLE = st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)
_STEPS = st.lists(
    st.lists(
        st.one_of(
            st.tuples(st.just("annotation"), _NUMBERS, _TASKS, _PEOPLE, st.sampled_from("AB"), st.integers(1, 9)),
            st.tuples(st.just("skip"), _NUMBERS, _TASKS, _PEOPLE, st.just(""), st.integers(1, 9)),
            st.tuples(st.just("task"), _TASKS, st.just(0), st.just(0), st.sampled_from("xy"), st.integers(1, 9)),
            st.tuples(st.just("delete"), _NUMBERS, st.just(0), st.just(0), st.just(""), st.just(0)),
            st.tuples(st.just("delete task"), _TASKS, st.just(0), st.just(0), st.just(""), st.just(0)),
            st.tuples(st.just("erase"), _PEOPLE, st.just(0), st.just(0), st.just(""), st.just(0)),
        ),
        max_size=4,
    ),
    max_size=6,
)


def _apply(
    store: Store, project: str, what: str, number: int, of_task: int, person: int, text: str, second: int
) -> None:
    values = {"task": of_task, "person": person, "second": second, "project": project}
    if what == "annotation":
        store.append([annotation_event(number, text, **values)])
    elif what == "skip":
        store.append([skip_event(number, **values)])
    elif what == "task":
        store.append(task_events(task(number, text, second=second, project=project)))
    elif what == "erase":
        store.erasure.erase_data(project, person=number)
    else:
        store.append(
            [deletion_event(number, entity="task" if what.endswith("task") else "annotation", project=project)]
        )


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS)
def test_reading_what_changed_gives_what_a_full_read_gives(store: Store, steps: list[list[tuple]]) -> None:
    project = str(next(_PROJECTS))
    votes: dict[int, list[Vote]] = {}
    head = 0
    for step in steps:
        for event in step:
            _apply(store, project, *event)

        changes = store.events.list_changes(project, head)
        head = store.events.get_heads(project).seq
        held = {of_task for of_task, found in votes.items() for vote in found if vote.annotation in changes.annotations}
        changed = sorted(changes.tasks | changes.annotated | held)
        for of_task in changed:
            votes.pop(of_task, None)
        for vote in store.votes.list_votes(project, tasks=changed):
            votes.setdefault(vote.task, []).append(vote)

        full = store.votes.list_votes(project)
        assert [vote for of_task in sorted(votes) for vote in votes[of_task]] == full


def test_heads_are_equal_while_nothing_changes_and_differ_after_each_change(store: Store) -> None:
    store.append([*task_events(task(1)), annotation_event(5, "A")])
    before = store.events.get_heads("1")
    assert store.events.get_heads("1") == before

    store.append([annotation_event(5, "B", second=9)])
    after = store.events.get_heads("1")
    assert after.seq == before.seq + 1

    store.annotations.create_own_annotations("1", annotations=[5])
    assert store.events.get_heads("1") != after


def test_changes_name_the_things_of_the_events_after_a_given_one(store: Store) -> None:
    store.append([*task_events(task(1), task(2)), annotation_event(5, "A", task=1)])
    head = store.events.get_head("1")
    assert store.events.list_changes("1", head).tasks == frozenset()

    store.append([annotation_event(6, "A", task=2, person=2), *task_events(task(1, "other", second=9))])
    changes = store.events.list_changes("1", head)

    assert (changes.tasks, changes.annotations, changes.annotated) == ({1}, {6}, {2})
    assert not changes.described
    assert not changes.erased


def test_a_few_annotations_are_found_without_reading_all_annotations(tmp_path: Path):
    plans = []

    def explain(connection, cursor, statement, parameters, context, executemany):
        if "FROM annotation" in statement and " IN (" in statement:
            plan = connection.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append(next(row[-1] for row in plan))

    store = open_store(f"sqlite:///{tmp_path / 'hitl.sqlite3'}")
    store.append([*task_events(task(1)), annotation_event(5, "A", task=1, person=7), skip_event(6, task=1, person=8)])
    many = list(range(1, 400))
    listen(Engine, "before_cursor_execute", explain)
    try:
        of_annotations = store.events.list_tasks_of("1", many)
        unsaved = store.reviews.list_unsaved_annotations("1", many)
        skips = store.annotations.list_skips("1", tasks=many)
    finally:
        remove(Engine, "before_cursor_execute", explain)
        store.close()

    assert (of_annotations, unsaved, [skip.annotation for skip in skips]) == ({1}, [5], [6])
    assert [plan[plan.index("(") :] for plan in plans] == [
        "(project=? AND id=?)",
        "(project=? AND task=?)",
        "(project=? AND task=?)",
    ]
