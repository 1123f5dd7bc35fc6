"""Tables that are made from dataclasses, and the mapping of their rows, by the names of the fields."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.schema import SchemaItem

from feedback.errors import StoreError
from feedback.store.database.engine import dumps, plain
from ml_backend.records import Answer

Record = TypeVar("Record")
_Convert = Callable[[Any], Any]
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER
_COLUMN_TYPES = {bool: Boolean, bytes: LargeBinary, float: Float, int: BigInteger}

metadata = MetaData()  # of every table that migrations make
_LONGEST_KEPT = 2_000  # characters of an answer that is kept: longer ones, such as masks, hardly occur twice


def make_table(
    name: str,
    key: Sequence[str],
    *parts: type | Mapping[str, Any] | SchemaItem,
    without: Collection[str] = (),
    metadata: MetaData = metadata,
    **options: Any,
) -> Table:
    """Return the table with a column for each field of dataclasses, and for each name of mappings of names to types.

    A column may be NULL where its type allows None. Of a name that several parts have, the first part decides the type.
    Fields `without` a column are left out. A number `id` that is the whole `key` is given by the database.

    >>> make_table("note", ["id"], {"id": int, "text": str | None}, metadata=MetaData()).c.text.nullable
    True
    """
    hints: dict[str, Any] = {}
    for part in parts:
        if not isinstance(part, SchemaItem):
            hints.update({column: hint for column, hint in _hints(part).items() if column not in hints})
    columns = [_column(column, hint, key) for column, hint in hints.items() if column not in without]
    others = [part for part in parts if isinstance(part, SchemaItem)]
    return Table(name, metadata, *columns, PrimaryKeyConstraint(*key), *others, **options)


class RowMapper(Generic[Record]):
    """Maps a dataclass to a table: each field to the column of its name.

    The annotation of a field decides how it is stored: an `Answer` by its key, a mapping, a tuple or one of several
    types as JSON, text without the characters that PostgreSQL refuses, anything else as it is. None is NULL. A list in
    JSON is read back as a tuple.

    Parameters
    ----------
    renamed
        Columns by field, where the two names differ.
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
        without: Collection[str] = (),
    ) -> None:
        self._record = record
        self._written: list[tuple[str, str, _Convert | None]] = []
        self._read: list[tuple[str, _Convert | None]] = []
        columns: list[str] = []
        for field, hint in _hints(record).items():
            if field in without:
                continue
            column = renamed.get(field, field)
            if column not in table.c:
                raise StoreError(f"the field {field} has no column in the table {table.name}.")
            kind = _kind(hint)
            encode, decode = _CODECS[kind]
            columns.append(column)
            self._read.append((field, decode))
            if table.c[column].autoincrement is not True:
                is_bytes = isinstance(table.c[column].type, LargeBinary)
                self._written.append((field, column, dumps if kind == "json" and is_bytes else encode))
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


def _hints(part: Any) -> Mapping[str, Any]:
    """Return the types of a mapping's names, or of a dataclass's fields, in order."""
    if isinstance(part, Mapping):
        return part
    hints = get_type_hints(part)
    return {field.name: hints[field.name] for field in fields(part)}


def _column(name: str, hint: Any, key: Sequence[str]) -> Column[Any]:
    options = {kind for kind in get_args(hint) if kind is not types.NoneType} if _is_union(hint) else {hint}
    kind = _COLUMN_TYPES.get(options.pop(), Text) if len(options) == 1 else Text
    if list(key) == ["id"] and name == "id" and kind is BigInteger:
        return Column(name, _ROW_ID, autoincrement=True, nullable=False)
    return Column(name, kind, nullable=types.NoneType in get_args(hint))


def _kind(hint: Any) -> str:
    """Return how a field is stored."""
    if _is_union(hint):
        kinds = {_kind(option) for option in get_args(hint) if option is not types.NoneType}
        return kinds.pop() if len(kinds) == 1 else "json"
    if hint is Answer:
        return "answer"
    if hint is str:
        return "text"
    return "json" if get_origin(hint) in (tuple, Mapping) else "plain"


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def answer_of_key(key: str) -> Answer:
    """Return the answer of a key; equal keys give one object, because few answers are given many times."""
    return _short_answer(key) if len(key) <= _LONGEST_KEPT else Answer.from_key(key)


@lru_cache(maxsize=4096)
def _short_answer(key: str) -> Answer:
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
