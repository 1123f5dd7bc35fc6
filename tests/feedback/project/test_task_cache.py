"""What the cache gives is what the store would give, whatever happened between two turns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.project.audit_splits import Splits
from feedback.project.task_cache import TaskCache
from feedback.store import Store, open_store
from tests.support.hypothesis_profiles import examples
from tests.support.make_events import at, deletion_event, task, task_events

SPLITS = Splits("secret", "1", audit_share=0.5, overlap_share=0.5)


def agree(task_cache: TaskCache, store: Store, project: str = "1", splits: Splits = SPLITS) -> bool:
    return task_cache.read(store, project, splits) == TaskCache().read(store, project, splits)


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("told"), st.integers(1, 6), st.sampled_from("xyz"), st.integers(1, 5)),
        st.tuples(st.just("again"), st.integers(1, 6), st.sampled_from("xyz"), st.integers(51, 55)),
        st.tuples(st.sampled_from(["deleted", "erased"]), st.integers(1, 6), st.just(""), st.just(0)),
        st.tuples(st.just("look"), st.just(1), st.just(""), st.just(0)),
    ),
    max_size=20,
)
PROJECTS = iter(range(1, 10_000))


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_steps)
def test_a_cache_that_was_read_before_agrees_with_a_new_one(
    store: Store, steps: list[tuple[str, int, str, int]]
) -> None:
    project, task_cache = str(next(PROJECTS)), TaskCache()
    draws = replace(SPLITS, project=project)
    for what, number, text, second in steps:
        if what in ("told", "again"):
            born = at(50 if what == "again" else 0)
            store.append(task_events(task(number, text, second=second, created_at=born, project=project)))
        elif what == "deleted":
            store.append([deletion_event(number, entity="task", project=project)])
        elif what == "forgotten":
            store.erasure.erase_data(project, task=number)
        else:
            assert agree(task_cache, store, project, draws)

    assert agree(task_cache, store, project, draws)


def test_only_what_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", durability="normal")
    store.append(task_events(*(task(number) for number in range(1, 51))))
    task_cache, read = TaskCache(), list[object]()
    first = task_cache.read(store, "1", SPLITS)
    real = store.tasks.list_tasks_with_content
    monkeypatch.setattr(
        store.tasks,
        "list_tasks_with_content",
        lambda project, *, only=None: read.append(only) or real(project, only=only),
    )

    assert task_cache.read(store, "1", SPLITS) is first
    assert read == []
    store.append(task_events(task(7, "changed", second=9)))
    second = task_cache.read(store, "1", SPLITS)
    assert read == [[7]]
    assert second.tasks[7].data == {"text": "changed"}
    assert second.tasks[8] is first.tasks[8]
    store.close()


def test_another_audit_share_draws_anew(store: Store) -> None:
    store.append(task_events(*(task(number) for number in range(1, 31))))
    task_cache = TaskCache()
    few = task_cache.read(store, "1", SPLITS)

    many = replace(SPLITS, audit_share=1.0)

    assert "train" in few.roles.values()
    assert "train" not in task_cache.read(store, "1", many).roles.values()


def test_projects_that_were_not_read_for_long_are_forgotten(store: Store) -> None:
    task_cache = TaskCache()
    task_cache._kept.most = 3
    for project in ("a", "b", "c"):
        store.append(task_events(task(1, project=project), task(2, project=project)))
        task_cache.read(store, project, replace(SPLITS, project=project))

    assert [project in task_cache._kept for project in ("a", "b", "c")] == [False, True, True]
    assert agree(task_cache, store, "a", replace(SPLITS, project="a"))
