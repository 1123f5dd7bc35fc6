"""Mapping of a dataclass to the rows of a table and back, by the names of its fields."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson
from sqlalchemy import LargeBinary, Table

from feedback.errors import StoreError
from feedback.store.database.engine import dumps, plain
from ml_backend.records import Answer

Record = TypeVar("Record")
_Convert = Callable[[Any], Any]


class RowMapper(Generic[Record]):
    """Maps a dataclass to a table: each field to the column of its name.

    The annotation of a field decides how it is stored: an `Answer` by its key, a mapping or a tuple as JSON, text
    without the characters that PostgreSQL refuses, anything else as it is. None is NULL.

    Parameters
    ----------
    record
        The dataclass.
    table
        The table.
    renamed
        Columns by field, where the two names differ.
    json
        Further fields that are stored as JSON; a list is read back as a tuple.
    without
        Fields that have no column: `from_row` takes them as arguments. A number that the database gives is read only.

    Raises
    ------
    StoreError
        A field has no column.
    """

    def __init__(
        self,
        record: type[Record],
        table: Table,
        *,
        renamed: Mapping[str, str] = types.MappingProxyType({}),
        json: Collection[str] = (),
        without: Collection[str] = (),
    ) -> None:
        self._record = record
        hints = get_type_hints(record)
        self._written: list[tuple[str, str, _Convert | None]] = []
        self._read: list[tuple[str, _Convert | None]] = []
        columns: list[str] = []
        for field in fields(record):  # type: ignore[arg-type]
            if field.name in without:
                continue
            column = renamed.get(field.name, field.name)
            if column not in table.c:
                raise StoreError(f"the field {field.name} has no column in the table {table.name}.")
            is_bytes = isinstance(table.c[column].type, LargeBinary)
            kind = "json" if field.name in json else _kind(hints[field.name])
            encode, decode = _CODECS[kind]
            columns.append(column)
            self._read.append((field.name, decode))
            if table.c[column].autoincrement is not True:
                self._written.append((field.name, column, dumps if kind == "json" and is_bytes else encode))
        self._get_columns = attrgetter(*columns)  # a tuple: every record has two fields or more

    def to_values(self, record: Record, **more: Any) -> dict[str, Any]:
        """Return the values of a record by column; `more` adds or replaces columns."""
        values: dict[str, Any] = {}
        for name, column, encode in self._written:
            value = getattr(record, name)
            values[column] = value if encode is None or value is None else encode(value)
        values.update(more)
        return values

    def from_row(self, row: Any, **more: Any) -> Record:
        """Return the record of a row; `more` are the fields without a column."""
        found: dict[str, Any] = more
        for (name, decode), value in zip(self._read, self._get_columns(row), strict=True):
            found[name] = value if decode is None or value is None else decode(value)
        return self._record(**found)


def _kind(annotation: Any) -> str:
    """Return how a field is stored."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = {_kind(option) for option in get_args(annotation) if option is not type(None)}
        return kinds.pop() if len(kinds) == 1 else "plain"
    if annotation is Answer:
        return "answer"
    if annotation is str:
        return "text"
    return "json" if get_origin(annotation) in (tuple, Mapping) else "plain"


@lru_cache(maxsize=4096)
def answer_of_key(key: str) -> Answer:
    """Return the answer of a key; equal keys give one object, because few answers are given many times."""
    return Answer.from_key(key)


def _from_json(value: str | bytes) -> Any:
    found = orjson.loads(value)
    return tuple(found) if isinstance(found, list) else found


def _to_json(value: Any) -> str:
    return plain(dumps(value).decode())


_CODECS: Mapping[str, tuple[_Convert | None, _Convert | None]] = {
    "answer": (lambda answer: plain(answer.key), answer_of_key),
    "json": (_to_json, _from_json),
    "plain": (None, None),
    "text": (plain, None),
}
