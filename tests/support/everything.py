"""Everything that a database holds, as text: what a search for a trace of somebody goes through."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson
from sqlalchemy import MetaData, select

from feedback.store import Store


def where(store: Store, words: str) -> list[str]:
    """The tables and columns in which some words stand, in any row, in JSON and inside archives, too."""
    found = dict.fromkeys(f"{table}.{column}" for table, column, text in everything(store) if words in text)
    return list(found)


def everything(store: Store) -> Iterator[tuple[str, str, str]]:
    """Every value of every column of every table that the database really has."""
    tables = MetaData()
    with store._database.read() as connection:
        tables.reflect(connection)
        for table in tables.sorted_tables:
            for row in connection.execute(select(table)):
                for name, value in row._mapping.items():
                    for text in _texts(value):
                        yield table.name, str(name), text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, memoryview):
        value = bytes(value)
    if not isinstance(value, bytes):
        yield str(value)
        value = str(value).encode()
    else:
        yield value.decode("utf-8", "replace")
    with suppress(orjson.JSONDecodeError):
        yield str(orjson.loads(value))  # escapes read
    if zipfile.is_zipfile(io.BytesIO(value)):
        with zipfile.ZipFile(io.BytesIO(value)) as archive:
            for name in archive.namelist():
                yield archive.read(name).decode("utf-8", "replace")
