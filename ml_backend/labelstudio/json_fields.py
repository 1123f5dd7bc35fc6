"""Single fields of Label Studio's JSON, read with care: ids, references, times, numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ml_backend.errors import BodyError

BIGGEST_ID = 2**63 - 1  # a database integer; orjson turns larger ones into floats
_PROJECT = re.compile(r"([0-9A-Za-z][0-9A-Za-z_-]{0,63})(\.[0-9]{1,20})?")  # "12", or "12.1795148243" in ML requests

_CANONICAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


def read_project_id(raw: Any) -> str:
    """Our name of a project: the "12" of "12.1795148243", of "12" and of 12.

    BodyError for anything else, a path or a missing id above all: ids become keys and file names.

    >>> read_project_id("12.1795148243")
    '12'
    """
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 < raw <= BIGGEST_ID:
        return str(raw)
    match = _PROJECT.fullmatch(raw) if isinstance(raw, str) else None
    if match is None:
        shown = f"{raw[:32]!r}" if isinstance(raw, str) else kind(raw)
        raise BodyError(f"the project is {shown}; wanted its id.", hint='Label Studio sends "12" or "12.1795148243".')
    return match[1]


def utc(text: str) -> str:
    """A Label Studio time in one fixed width, so that the order of the texts is the order of the times.

    Label Studio drops the fraction when it is zero; as plain text "…27Z" would then sort after "…27.8Z".

    >>> utc("2026-11-20T04:23:27Z"), utc("2026-11-20T06:23:27.5+02:00")
    ('2026-11-20T04:23:27.000000Z', '2026-11-20T04:23:27.500000Z')
    """
    try:
        moment = datetime.fromisoformat(text)
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BodyError(f"{text[:40]!r} is not a time; wanted ISO 8601.") from error
    if _CANONICAL.fullmatch(text):  # as Label Studio mostly writes it, and as we do: every event holds eight
        return text
    return aware.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def read_id(raw: Any, what: str) -> int:
    """The id of a record, which it must have; `what` names the record in the error."""
    number = positive(raw)
    if number is None:
        raise BodyError(f"the id of this {what} is {kind(raw)} or out of range; wanted a positive integer.")
    return number


def reference(raw: Any) -> int | None:
    """An id, or the object that has one (the REST API expands some)."""
    return positive(raw.get("id") if isinstance(raw, Mapping) else raw)


def positive(raw: Any) -> int | None:
    """A number that a database can hold and that counts from 1; None for anything else."""
    return raw if isinstance(raw, int) and not isinstance(raw, bool) and 0 < raw <= BIGGEST_ID else None


def seconds(raw: Any) -> float | None:
    """A duration; None for what is none, negative ones included."""
    number = float(raw) if isinstance(raw, (int, float)) and not isinstance(raw, bool) else None
    return number if number is not None and math.isfinite(number) and number >= 0 else None


def time_or_empty(raw: Any) -> str:
    """What `utc` gives, or "" where there is no time to read."""
    if not isinstance(raw, str):
        return ""
    try:
        return utc(raw)
    except BodyError:
        return ""


def kind(raw: Any) -> str:
    """How a JSON value is called in a message; its content never is, it may be private."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(raw), "missing")
