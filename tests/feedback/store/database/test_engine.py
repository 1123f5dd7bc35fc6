"""What the database does for those who read much of it."""

import gc
import weakref

from feedback.store.database.engine import without_garbage_collection


class _Row:
    """An object that may refer to itself."""

    itself: object = None


def _make_rows() -> list[_Row]:
    with without_garbage_collection():
        return [_Row() for _ in range(20_000)]


def test_many_new_objects_count_as_old_at_once():
    rows = _make_rows()

    young = {id(found) for generation in (0, 1) for found in gc.get_objects(generation=generation)}
    assert young.isdisjoint(map(id, rows))
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_old_objects_that_only_refer_to_themselves_are_still_collected():
    rows = _make_rows()
    row = weakref.ref(rows[0])
    rows[0].itself = rows[0]
    del rows

    gc.collect()

    assert row() is None


def test_a_block_in_a_block_leaves_the_collector_off():
    with without_garbage_collection():
        _make_rows()

        assert not gc.isenabled()
    assert gc.isenabled()
