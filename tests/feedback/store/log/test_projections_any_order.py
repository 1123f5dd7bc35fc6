"""Property test of the log: the state does not depend on source, order or repetition of events."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.store import Store, open_store
from feedback.store.log.events import Event, deletions
from tests.support.hypothesis_profiles import examples
from tests.support.make_events import annotation_event, at, deletion_event, skip_event, task, task_events
from tests.support.projections import projection_hash

_IDS = st.integers(1, 3)
_WHEN = st.integers(1, 3)
_LABELS = st.sampled_from(["A", "B", ""])

_answers = st.builds(
    lambda number, label, when, owner, person, uid: annotation_event(
        number, label, second=when, task=owner, person=person, unique_id=uid
    ),
    _IDS,
    _LABELS,
    _WHEN,
    _IDS,
    st.sampled_from([1, 2, None]),
    st.sampled_from([None, "u"]),
)
_skips = st.builds(lambda number, when: skip_event(number, second=when), _IDS, _WHEN)
_tasks = st.builds(
    lambda number, text, when, labeled: task_events(task(number, text, second=when, is_labeled=labeled))[0],
    _IDS,
    st.sampled_from(["x", "y"]),
    _WHEN,
    st.booleans(),
)
_deletions = st.builds(
    lambda number, entity: deletion_event(number, entity=entity), _IDS, st.sampled_from(["annotation", "task"])
)
_events = st.lists(st.one_of(_answers, _answers, _skips, _tasks, _deletions), max_size=12)


class Stores:
    """One store; each series of events is told to it as a project of its own."""

    def __init__(self, store: Store) -> None:
        self._store, self._number = store, 0

    def known(self, *parts: list[Event]) -> str:
        self._number += 1
        project = str(self._number)
        for part in parts:
            self._store.append([replace(event, project=project) for event in part])
        assert self._store.verify(project) | {"events": 0} == {"events": 0, "chain": "ok", "projection": "ok"}
        return projection_hash(self._store, project)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    folder = tmp_path_factory.mktemp("any-order")
    store = open_store(f"sqlite:///{folder / 'store.db'}", durability="normal")
    yield Stores(store)
    store.close()


@settings(max_examples=examples(150), deadline=None)
@given(_events, st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_comes_to_the_same(
    stores: Stores, events: list[Event], chance: random.Random
) -> None:
    assert stores.known(events) == stores.known(*_mixed(events, chance))


@settings(max_examples=examples(150), deadline=None)
@given(_events, st.randoms(use_true_random=False))
def test_whatever_is_lost_a_sweep_makes_good(stores: Stores, events: list[Event], chance: random.Random) -> None:
    """The sweep shows Label Studio's state as its API does: without unique_id, and without what is gone."""
    arrived = [event for event in events if chance.random() < 0.5]
    chance.shuffle(arrived)
    sweep = _truth(events)

    assert stores.known(events, sweep) == stores.known(arrived, sweep)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (1, 2, 0, 2)])
def test_a_value_that_a_later_api_read_lacks_is_removed_whichever_source_reported_it(
    stores: Stores, order: tuple[int, ...]
) -> None:
    """As the person whose account was removed: Label Studio takes them off the answer and leaves its updated_at."""
    parts = [
        annotation_event(2, "A", person=1),
        annotation_event(2, "A", person=None),
        annotation_event(2, "A", person=None, source="sweep", seen_s=9.0),
    ]

    assert stores.known([parts[row] for row in order]) == stores.known(parts[2:])


_born = st.sampled_from([5, 50])  # two things had each number, one after the other
_lived = st.lists(
    st.one_of(
        st.builds(
            lambda number, label, creation_time, when, person: annotation_event(
                number, label, second=creation_time + when, created_at=at(creation_time), person=person, task=number
            ),
            _IDS,
            _LABELS,
            _born,
            _WHEN,
            st.sampled_from([1, 2]),
        ),
        st.builds(
            lambda number, text, creation_time, when: task_events(
                task(number, text, second=creation_time + when, created_at=at(creation_time - 1))
            )[0],
            _IDS,
            st.sampled_from(["x", "y"]),
            _born,
            _WHEN,
        ),
        st.builds(
            lambda number, creation_time, is_task: deletions(
                "1", "task" if is_task else "annotation", {number: at(creation_time - is_task)}, source="webhook"
            )[0],
            _IDS,
            _born,
            st.booleans(),
        ),
        st.builds(lambda number: Event("1", "annotation", number, at(5), "erased", "own"), _IDS),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=examples(200), deadline=None)
@given(_lived, st.randoms(use_true_random=False))
def test_lifetimes_that_share_an_id_are_separated_in_any_order(
    stores: Stores, events: list[Event], chance: random.Random
) -> None:
    """Where a deletion says what was deleted. Where it does not, the order of arrival decides, and a sweep heals."""
    assert stores.known(events) == stores.known(*_mixed(events, chance))


def _mixed(events: list[Event], chance: random.Random) -> tuple[list[Event], list[Event]]:
    """The events in any order, any of them repeated, in two parts."""
    mixed = events + [chance.choice(events) for _ in events]
    chance.shuffle(mixed)
    cut = chance.randint(0, len(mixed))
    return mixed[:cut], mixed[cut:]


def _truth(events: list[Event]) -> list[Event]:
    """What a sweep shows after these events: the newest face of what exists, and deletions of what does not."""
    gone = {(event.entity, event.entity_id) for event in events if event.action == "deleted"}
    newest: dict[tuple[str, int], Event] = {}
    for event in events:
        key = (event.entity, event.entity_id)
        if event.action == "saved" and (key not in newest or event.version >= newest[key].version):
            newest[key] = event
    shown = []
    for key, event in newest.items():
        body = {name: value for name, value in event.body.items() if name != "unique_id"} | (
            {"unique_id": None} if event.entity == "annotation" else {}
        )
        if key not in gone:
            shown.append(
                Event("1", event.entity, event.entity_id, event.version, "saved", "sweep", body, 9.0, event.content)
            )
    return shown + [deletion_event(number, entity=entity) for entity, number in sorted(gone)]  # type: ignore[arg-type]
