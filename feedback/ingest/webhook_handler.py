"""The webhook of Label Studio: each event is stored before it is answered; the worker acts on it later."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from feedback.errors import StoreError
from feedback.ingest.polling import RecordBook, record_unreadable
from feedback.store.log.events import Event, events_from_webhook
from ml_backend.labelstudio.parsing import ParsedWebhook, read_webhook

Answer = dict[str, Any]

_LOG = logging.getLogger(__name__)
_ASKED = "training_asked"  # kind of the record that the "Start training" button leaves
_JOB = re.compile(r"([0-9]{1,19})-([0-9]{1,18})")  # project, number of the record


class JobRequests(Protocol):
    """Where a webhook requests jobs; `store.jobs` is one."""

    def request_job(self, project: str, kind: str) -> None:
        """Request a job; many requests are one run."""


class WebhookStore(Protocol):
    """The part of the store that a webhook needs."""

    @property
    def records(self) -> RecordBook:
        """The records."""

    @property
    def jobs(self) -> JobRequests:
        """The jobs."""

    def receive(self, events: Iterable[Event], *, want: str | None = None) -> None:
        """Store events durably; where they change something, the job `want` is requested when they are ingested."""


class WebhookHandler:
    """Takes the parsed body of each event and answers within milliseconds; it never trains and never calls back.

    Label Studio waits for the answer inside the annotator's submit, one second at most, and sends an event only once:
    what is lost here is found by polling.
    """

    def __init__(self, store: WebhookStore, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def __call__(self, body: Any) -> Answer:
        """Store one event and return its result; BodyError where Label Studio sends no such body."""
        intake = read_webhook(body)
        if intake.ignored:
            self._note(intake, [intake.ignored])
            return {"status": "ignored", "reason": intake.ignored}
        skipped = list(intake.skipped)
        events = events_from_webhook(intake, unread=skipped)
        if events:
            self._store.receive(events, want="turn")
        self._note(intake, skipped)
        answer: Answer = {"status": "ok", "events": len(events)}
        if skipped:
            answer["skipped"] = skipped
        if intake.action == "START_TRAINING":
            answer["job"] = self._train(intake.project)
        return answer

    def job_status(self, job: str) -> str | None:
        """Return the state of a training that the button requested: "queued", "finished", or None for no such job.

        It is finished once a turn has ended that was recorded after the request. Whether that turn promoted a model is
        the gate's decision, which is in its verdict.
        """
        match = _JOB.fullmatch(job)
        if match is None:
            return None
        project, number = match[1], int(match[2])
        asked, turn = (
            self._store.records.get_latest_record(project, _ASKED),
            self._store.records.get_latest_record(project, "turn"),
        )
        if asked is None or number > asked.id:
            return None
        return "finished" if turn is not None and turn.id > number else "queued"

    def _train(self, project: str) -> str:
        """Request a turn now; return the name of the job, which Label Studio keeps."""
        number = self._store.records.create_record(project, _ASKED, {"at_s": self._clock()})
        self._store.jobs.request_job(project, "turn")
        return f"{project}-{number}"

    def _note(self, intake: ParsedWebhook, reasons: Iterable[str]) -> None:
        """Record why something was left out; where this fails, the event itself stays stored."""
        try:
            record_unreadable(self._store.records, intake.project, intake.action, reasons)
        except StoreError as error:
            _LOG.warning("the reason why a webhook was left out cannot be recorded: %s", error)
