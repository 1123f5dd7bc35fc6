"""The promise of the log, as a property: what is known does not depend on who told it, in which order, how often."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.events import Event
from feedback.store import open_store
from tests.support.told import deleted, said, skipped, task, told

_IDS = st.integers(1, 3)
_WHEN = st.integers(1, 3)
_LABELS = st.sampled_from(["A", "B", ""])

_answers = st.builds(
    lambda number, label, when, owner, person, uid: said(
        number, label, second=when, task=owner, person=person, unique_id=uid
    ),
    _IDS,
    _LABELS,
    _WHEN,
    _IDS,
    st.sampled_from([1, 2, None]),
    st.sampled_from([None, "u"]),
)
_skips = st.builds(lambda number, when: skipped(number, second=when), _IDS, _WHEN)
_tasks = st.builds(
    lambda number, text, when, labeled: told(task(number, text, second=when, is_labeled=labeled))[0],
    _IDS,
    st.sampled_from(["x", "y"]),
    _WHEN,
    st.booleans(),
)
_deletions = st.builds(lambda number, entity: deleted(number, entity=entity), _IDS, st.sampled_from(["annotation", "task"]))
_events = st.lists(st.one_of(_answers, _answers, _skips, _tasks, _deletions), max_size=12)


def _known(folder: str, name: str, parts: Iterable[list[Event]]) -> str:
    store = open_store(f"sqlite:///{Path(folder) / name}.db", durability="normal")
    try:
        for part in parts:
            store.append(part)
        if not store.stats().events:
            return "nothing"
        assert store.verify()["projection"] == "ok"
        return store.projection_hash("1")
    finally:
        store.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_events, st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_comes_to_the_same(events: list[Event], chance: random.Random) -> None:
    mixed = events + [chance.choice(events) for _ in events]
    chance.shuffle(mixed)
    cut = chance.randint(0, len(mixed))

    with TemporaryDirectory() as folder:
        assert _known(folder, "a", [events]) == _known(folder, "b", [mixed[:cut], mixed[cut:]])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_events, st.randoms(use_true_random=False))
def test_whatever_is_lost_a_sweep_makes_good(events: list[Event], chance: random.Random) -> None:
    """Label Studio's state is what all events come to; the sweep shows it, without unique_id, as its API does."""
    arrived = [event for event in events if chance.random() < 0.5]
    chance.shuffle(arrived)

    with TemporaryDirectory() as folder:
        all_of_it = _truth(events)
        assert _known(folder, "a", [events, all_of_it]) == _known(folder, "b", [arrived, all_of_it])


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
            shown.append(Event("1", event.entity, event.entity_id, event.version, "saved", "sweep", body, 9.0, event.content))
    return shown + [deleted(number, entity=entity) for entity, number in sorted(gone)]  # type: ignore[arg-type]
