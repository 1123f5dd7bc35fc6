"""What could not be read: left out with its reason, which is kept once for each project, and told by `hitl status`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from feedback.store import Store

_KIND = "skipped"
_LONGEST = 300  # characters of a reason
_MOST_TOLD = 3


class Notes(Protocol):
    """Where reasons are kept."""

    def create_record(self, project: str, kind: str, body: Mapping[str, Any], *, key: str = "") -> int:
        """Note a finding; with a key, once."""
        ...


def record_unreadable(notes: Notes, project: str, action: str, reasons: Iterable[str]) -> None:
    """Keep why something was left out; `action` is the event that brought it, or "poll" or "sweep"."""
    for reason in dict.fromkeys(one[:_LONGEST] for one in reasons):
        notes.create_record(project, _KIND, {"action": action, "reason": reason}, key=f"{action}: {reason}")


def unread(store: Store, project: str) -> list[str]:
    """The newest reasons, each once."""
    found = dict.fromkeys(
        str(one.body["reason"]) for one in store.records.list_records(project, _KIND, limit=10 * _MOST_TOLD)
    )
    return list(found)[:_MOST_TOLD]
