"""A prepared statement says and does what SQLAlchemy's own path does, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import bindparam, select

from feedback.errors import StoreError
from feedback.store import Store
from feedback.store.database.engine import Database
from feedback.store.database.prepared_statements import Prepared
from feedback.store.tables import main_tables

_TABLE = main_tables.task
_INSERT = Prepared(_TABLE.insert())
_BY_ID = Prepared(
    select(_TABLE).where(_TABLE.c.project == bindparam("project"), _TABLE.c.id.in_(bindparam("ids", expanding=True)))
)
_MOVE = Prepared(_TABLE.update().where(_TABLE.c.id == bindparam("of_id")).values(overlap=_TABLE.c.overlap + 1))


def row(number: int, *, is_labeled: bool) -> dict[str, object]:
    times = {"seen_s": 1.5, "known_s": 1.5, "last_shown_s": 0.0, "deleted_s": 0.0}
    texts = dict.fromkeys(("version", "rank", "content", "created_at", "deleted_until", "erased_until"), "é")
    flags = {"is_labeled": is_labeled, "is_deleted": False, "erased": True}
    return {"project": "1", "id": number, "seq": 1, "overlap": 2, **times, **texts, **flags}


@pytest.fixture
def database(url: str, opened: Callable[[str], Store]) -> Database:
    return opened(url)._database


def test_rows_are_read_as_they_were_written_with_booleans(database: Database):
    given = [row(1, is_labeled=True), row(2, is_labeled=False)]

    with database.write() as connection:
        _INSERT.many(connection, given)
        found = _BY_ID.rows(connection, {"project": "1", "ids": [2, 1, 7]})
        same = [dict(item) for item in connection.execute(select(_TABLE).order_by(_TABLE.c.id)).mappings()]

    assert sorted(found, key=lambda item: item["id"]) == given == same
    assert all(type(item["is_labeled"]) is bool for item in found)


@pytest.mark.parametrize("ids", [[], [1], [1, 2, 3], [3] * 500])
def test_a_list_may_have_any_length(database: Database, ids: list[int]):
    with database.write() as connection:
        _INSERT.many(connection, [row(number, is_labeled=True) for number in (1, 2, 3, 4)])

        found = _BY_ID.rows(connection, {"project": "1", "ids": ids})

    assert {item["id"] for item in found} == set(ids)


def test_a_change_uses_its_own_constants_and_counts_its_rows(database: Database):
    with database.write() as connection:
        _INSERT.many(connection, [row(1, is_labeled=True)])

        assert _MOVE.run(connection, {"of_id": 1}) == 1
        assert _MOVE.run(connection, {"of_id": 9}) == 0
        assert _BY_ID.rows(connection, {"project": "1", "ids": [1]})[0]["overlap"] == 3


def test_what_the_database_refuses_is_a_store_error_without_the_values(database: Database):
    with pytest.raises(StoreError, match="refused") as caught, database.write() as connection:
        _INSERT.many(connection, [{**row(1, is_labeled=True), "content": None, "rank": "private"}])

    assert "private" not in str(caught.value)
