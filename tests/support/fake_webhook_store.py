"""The part of the store that webhooks write to, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from feedback.store.log.events import Event
from feedback.store.tables.main_tables import Record


class FakeWebhookStore:
    """Events, records and job requests in memory; events and keyed records are idempotent, as in the store."""

    def __init__(self) -> None:
        self.events: dict[Any, Event] = {}
        self.wanted: list[tuple[str, str]] = []
        self.log: list[Record] = []
        self.records = self.jobs = self

    def receive(self, events: Iterable[Event], *, want: str | None = None) -> None:
        for event in events:
            self.events[event.project, *event.key] = event
            if want:
                self.wanted.append((event.project, want))

    def create_record(self, project: str, kind: str, body: Mapping[str, Any], *, key: str = "") -> int:
        for record in self.log:
            if key and (record.project, record.kind, record.key) == (project, kind, key):
                return record.id
        self.log.append(Record(len(self.log) + 1, project, kind, key, body, 0.0))
        return len(self.log)

    def get_latest_record(self, project: str, kind: str) -> Record | None:
        found = [record for record in self.log if (record.project, record.kind) == (project, kind)]
        return found[-1] if found else None

    def request_job(self, project: str, kind: str) -> None:
        self.wanted.append((project, kind))
