from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Column, LargeBinary, MetaData, Table, Text, insert, inspect, select

from feedback.errors import StoreError
from feedback.store import Store
from feedback.store.database.row_mapping import RowMapper, make_table
from ml_backend.records import Answer


@dataclass(frozen=True, slots=True)
class Thing:
    id: int
    name: str
    answer: Answer | None
    note: str | None
    weights: tuple[float, ...]
    body: Mapping[str, Any] = field(hash=False)
    value: bool | float | str | tuple[str, ...] | None
    share: float | None = None
    is_open: bool = True


THINGS = make_table(
    "thing",
    ["thing_id"],
    {"thing_id": int, "project": str | None, "body": bytes},
    Thing,
    without=["id"],
    metadata=MetaData(),
)
MAPPER = RowMapper(Thing, THINGS, renamed={"id": "thing_id"})


@pytest.mark.parametrize(
    "thing",
    [
        Thing(1, "a", Answer("choices", ("A", "B")), "n", (0.5, 1.0), {"b": [1, None]}, "text", 0.25),
        Thing(2, "", None, None, (), {}, None, None, is_open=False),
        Thing(3, "é", None, "", (1.0,), {"x": {"y": 1}}, ("a", "b")),
        Thing(4, "t", None, "", (), {}, value=True),
    ],
)
def test_a_record_comes_back_from_its_row_as_it_was(store: Store, thing: Thing) -> None:
    with store._database.write() as connection:
        THINGS.create(connection)
        connection.execute(insert(THINGS), [MAPPER.to_values(thing, project="7")])
        row = connection.execute(select(THINGS)).one()

    assert MAPPER.from_row(row) == thing
    assert row.project == "7"


def test_text_that_postgresql_refuses_is_replaced() -> None:
    values = MAPPER.to_values(Thing(1, "a\x00b", Answer("textarea", ("c\x00",)), "\ud800", (), {"k": "\x00"}, "\x00"))

    assert values["name"] == "a\ufffdb"
    assert values["note"] == "?"
    assert "\x00" not in f"{values['answer']}{values['value']}"


def test_a_field_without_a_column_is_refused() -> None:
    short = Table("short", MetaData(), *(Column(name, Text) for name in ("thing_id", "name", "answer")))

    with pytest.raises(StoreError, match="the field note has no column in the table short"):
        RowMapper(Thing, short, renamed={"id": "thing_id"})


@dataclass(frozen=True, slots=True)
class Numbered:
    name: str
    described_at: str
    id: int = 0


NUMBERED = make_table("numbered", ["id"], Numbered, without=["described_at"], metadata=MetaData())


def test_a_column_may_be_null_where_its_field_may_be_none(store: Store) -> None:
    with store._database.write() as connection:
        THINGS.create(connection)
        columns = {column["name"]: column for column in inspect(connection).get_columns("thing")}

    assert {name for name, column in columns.items() if column["nullable"]} == {
        "project",
        "answer",
        "note",
        "value",
        "share",
    }
    assert inspect(THINGS).primary_key.columns.keys() == ["thing_id"]
    assert isinstance(columns["body"]["type"], LargeBinary)


def test_a_number_that_the_database_gives_is_read_but_not_written(store: Store) -> None:
    mapper = RowMapper(Numbered, NUMBERED, without=["described_at"])
    with store._database.write() as connection:
        NUMBERED.create(connection)
        connection.execute(insert(NUMBERED), [mapper.to_values(Numbered("a", "monday", id=9))])
        row = connection.execute(select(NUMBERED)).one()

    assert mapper.from_row(row, described_at="tuesday") == Numbered("a", "tuesday", id=1)
