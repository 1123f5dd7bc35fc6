"""The rows that turns left out, recorded with their reasons where status, /metrics and pages read them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import asdict

from feedback.store import Store
from ml_backend.left_out import LeftOut, LeftOutRows, describe_reasons

LEFT_OUT = "left_out"  # kind of the records
_DAY_S = 86_400.0
_MAX_RECORDS = 200  # turns of the last day that left something out
_MAX_LINES = 5
_TASK = re.compile(r"task ([0-9]{1,18})")
_LOG = logging.getLogger(__name__)


def record_left_out(store: Store, project: str, found: LeftOutRows) -> str:
    """Record what one turn or report left out; return it in a sentence, "" where it left out nothing."""
    if not found.rows:
        return ""
    contents = _contents(store, project, [row.row for row in found.rows])
    rows = [asdict(row) | {"content": contents.get(row.row, "")} for row in found.rows]
    store.records.create_record(project, LEFT_OUT, {"rows": rows, "more": found.more})
    _LOG.warning("project %s: %s", project, found.describe())
    return found.describe()


def list_left_out(store: Store, project: str) -> list[str]:
    """Return what turns left out within a day, a sentence for each reason; without tasks that changed since."""
    lines = describe_reasons(_list_rows(store, project))
    more = len(lines) - _MAX_LINES
    return [*lines[:_MAX_LINES], *([f"and for {more} more reasons; the log has them"] if more > 0 else [])]


def count_left_out(store: Store, project: str) -> int:
    """Return how many rows `list_left_out` is about."""
    return len({found.row for found in _list_rows(store, project)})


def _list_rows(store: Store, project: str) -> list[LeftOut]:
    """Return the rows that were left out, each row, step and reason once, the newest first."""
    records = store.records.list_records(project, LEFT_OUT, limit=_MAX_RECORDS)
    if not records:
        return []
    last = store.records.get_latest_record(project, "turn") or records[0]
    contents: dict[LeftOut, str] = {}
    for record in records:
        if record.at_s >= last.at_s - _DAY_S:
            for row in record.body["rows"]:
                contents.setdefault(LeftOut(row["row"], row["step"], row["reason"]), row["content"])
    now = _contents(store, project, [found.row for found, content in contents.items() if content])
    return [found for found, content in contents.items() if not content or now.get(found.row) == content]


def _contents(store: Store, project: str, names: Iterable[str]) -> dict[str, str]:
    """Return the hash of the data of those rows that are tasks, by name."""
    tasks = {int(match[1]): name for name in names if (match := _TASK.fullmatch(name))}
    return {tasks[row.id]: row.content for row in store.tasks.list_task_rows(project, only=sorted(tasks))}
