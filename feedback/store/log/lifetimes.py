"""Lifetimes: which task or annotation has an id now, because Label Studio on SQLite reuses ids after a deletion.

A lifetime is named by `created_at`. The newest lifetime holds the id. A deletion ends the lifetime that was recorded
when it arrived, and all earlier ones; if none was recorded, all that were created until then. A later API read that
shows the object overrules its deletion. An erased lifetime never comes back; a later one is a new object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from feedback.store.database.engine import plain
from feedback.store.log.events import canonical_json, canonical_time

BEYOND_VERSION = frozenset({"unique_id"})  # known to webhooks only: the REST API never shows it
_OUTLIVES = ("id", "deleted_until", "deleted_s", "erased_until")  # the fields that stay after an erasure


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event of the log, as a projection folds it."""

    seq: int
    entity_id: int
    version: str  # updated_at; of a deletion: created_at of the life that it ended
    action: str
    seen_s: float
    body: Mapping[str, Any] | None  # None: erased
    received_s: float = 0.0
    rank: str = field(init=False)  # decides between bodies of one version: the number of values, then the hash

    def __post_init__(self) -> None:
        body = {name: value for name, value in (self.body or {}).items() if name not in BEYOND_VERSION}
        answers_by_control = sum(value is not None for value in body.values())
        object.__setattr__(self, "rank", f"{answers_by_control:02d}{hashlib.sha256(canonical_json(body)).hexdigest()}")

    @property
    def until(self) -> str:
        """Of a deletion: lifetimes created until then have ended."""
        return self.version or canonical_time_of(self.received_s)  # old logs name no lifetime


@dataclass(slots=True)
class Lifetime:
    """The thing that holds an id now; fields are columns of its row. An id that nothing holds is `is_deleted`."""

    id: int
    seq: int = 0
    seen_s: float = 0.0
    version: str = ""
    rank: str = ""
    created_at: str = ""  # names the lifetime; "" if unknown
    last_shown_s: float = 0.0  # when the API last showed this lifetime
    deleted_until: str = ""  # lifetimes created until then were deleted
    deleted_s: float = 0.0  # when that was known; later than every earlier API read
    erased_until: str = ""  # lifetimes created until then were erased
    is_deleted: bool = False
    erased: bool = False

    def fold(self, seen: LoggedEvent) -> None:
        """Apply one event; the order of events does not change the result."""
        if seen.action == "erased":
            self.erased_until = max(self.erased_until, seen.until)
        if seen.action != "saved":
            self.deleted_until = max(self.deleted_until, seen.until)
            self.deleted_s = max(self.deleted_s, seen.seen_s or seen.received_s)
        elif seen.body is not None:
            self._saw(seen, seen.body)
        self.erased = bool(self.erased_until) and self.created_at <= self.erased_until
        if self.erased:
            self._clear()
        self.is_deleted = self.erased or (
            bool(self.deleted_until) and self.created_at <= self.deleted_until and self.last_shown_s <= self.deleted_s
        )

    def changes_lifetime(
        self, action: str, version: str, seen_s: float, body: Mapping[str, Any], *, named: bool
    ) -> bool | None:
        """Return whether an event changes which lifetime holds the number, or whether it is deleted; None: neither.

        `named`: the deletion names the lifetime it ends; otherwise `version` is the one that was recorded.
        """
        if action == "saved":
            created_at = creation_time(body)
            if self.erased_until and created_at <= self.erased_until:
                return False  # an erasure is final: what Label Studio still shows of it is not stored again
            return True if self.is_deleted and created_at >= self.created_at and seen_s > self.deleted_s else None
        if action == "erased":
            return not self.erased or version > self.erased_until
        if self.is_deleted:
            return named and version > self.deleted_until
        return version >= self.created_at or version > self.deleted_until

    def ends(self, version: str, received_s: float) -> str:
        """Return the lifetime that a deletion ends: the named one, the recorded one, or every one until now."""
        return version or self.created_at or canonical_time_of(received_s)

    def _saw(self, seen: LoggedEvent, body: Mapping[str, Any]) -> None:
        created_at = creation_time(body)
        if created_at < self.created_at or (self.erased_until and created_at <= self.erased_until):
            return  # of an earlier lifetime
        if created_at > self.created_at:
            self._start_lifetime()
        self.last_shown_s = max(self.last_shown_s, seen.seen_s)
        self._take_any(body)
        newest = (self.created_at, self.version, self.seen_s, self.rank)
        if (created_at, seen.version, seen.seen_s, seen.rank) > newest:
            self.seq, self.seen_s, self.version, self.rank = seen.seq, seen.seen_s, seen.version, seen.rank
            self.created_at = created_at
            self._take_newest(body)

    def _start_lifetime(self) -> None:
        """Start another lifetime, with no values of the one before."""
        self.last_shown_s = 0.0

    def _take_any(self, body: Mapping[str, Any]) -> None:
        """Take the values that any version of this lifetime may set, the newest or not."""

    def _take_newest(self, body: Mapping[str, Any]) -> None:
        """Take the values of the newest version of this lifetime."""

    def _clear(self) -> None:
        """Clear all values after an erasure."""
        blank = type(self)(self.id)
        for item in fields(self):
            if item.name not in _OUTLIVES:
                setattr(self, item.name, getattr(blank, item.name))
        self.is_deleted = self.erased = True


def creation_time(body: Mapping[str, Any]) -> str:
    """Return the creation time in a body, which names the lifetime."""
    return plain(body.get("created_at") or "")


def canonical_time_of(seconds: float) -> str:
    """Return a time in the form in which texts sort as times do.

    >>> canonical_time_of(60.0)
    '1970-01-01T00:01:00.000000Z'
    """
    return canonical_time(datetime.fromtimestamp(seconds, UTC).isoformat())
