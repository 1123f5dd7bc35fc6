"""The webhook of Label Studio: each event is stored before it is answered; the worker acts on it later."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from feedback.errors import StoreError
from feedback.ingest import store_check
from feedback.ingest.polling import record_unreadable
from feedback.store import Store
from feedback.store.log.events import FUTURE, events_from_webhook
from ml_backend.labelstudio.parsing import ParsedWebhook, read_webhook

Answer = dict[str, Any]

_LOG = logging.getLogger(__name__)
TRAINING_ASKED = "training_asked"  # kind of the record that the "Start training" button leaves
_JOB = re.compile(r"([0-9]{1,19})-([0-9]{1,18})")  # project, number of the record


class WebhookHandler:
    """Takes the parsed body of each event and answers within milliseconds; it never trains and never calls back.

    Label Studio waits for the answer inside the annotator's submit, one second at most, and sends an event only once:
    what is lost here is found by polling.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        count: Callable[[str, int], object] = lambda _event, _how_many: None,
    ) -> None:
        self._store, self._clock, self._count = store, clock, count

    def __call__(self, body: Any) -> Answer:
        """Store one event and return its result; BodyError where Label Studio sends no such body."""
        intake = read_webhook(body)
        if intake.ignored:
            if intake.action == store_check.ACTION:
                return store_check.answer_store_check(self._store, body)
            self._note(intake, [intake.ignored])
            return {"status": "ignored", "reason": intake.ignored}
        skipped = list(intake.skipped)
        events = events_from_webhook(intake, now_s=self._clock(), unread=skipped)
        if n_future := skipped.count(FUTURE):
            self._count("webhook_from_the_future", n_future)
        if events:
            self._store.receive(events, want="turn")
        if any(deleted.entity == "project" for deleted in intake.deleted):
            self._store.jobs.request_job(intake.project, "sweep")
        self._note(intake, skipped)
        answer: Answer = {"status": "ok", "events": len(events)}
        if skipped:
            answer["skipped"] = list(dict.fromkeys(skipped))
        if intake.action == "START_TRAINING":
            answer["job"] = self._train(intake.project)
        return answer

    def job_status(self, job: str) -> str | None:
        """Return the state of a training that the button requested; None for no such job.

        "queued" until it is "finished", or "failed" where turns fail so often that none is tried any more.

        It is finished once a turn has ended that began after the request: one that was under way then may not have read
        the newest answers. Whether that turn promoted a model is the gate's decision, which is in its verdict.
        """
        match = _JOB.fullmatch(job)
        if match is None:
            return None
        project, number = match[1], int(match[2])
        asked, turn = (self._store.records.get_latest_record(project, kind) for kind in (TRAINING_ASKED, "turn"))
        if asked is None or number > asked.id:
            return None
        if turn is not None and turn.body.get("requests", 0) >= number:
            return "finished"
        jobs = [row for row in self._store.jobs.list_jobs() if (row.project, row.kind) == (project, "turn")]
        return "failed" if any(row.state == "parked" for row in jobs) else "queued"

    def _train(self, project: str) -> str:
        """Request a turn now; return the name of the job, which Label Studio keeps."""
        number = self._store.records.create_record(project, TRAINING_ASKED, {"at_s": self._clock()})
        self._store.jobs.request_job(project, "turn")
        return f"{project}-{number}"

    def _note(self, intake: ParsedWebhook, reasons: Iterable[str]) -> None:
        """Record why something was left out; where this fails, the event itself stays stored."""
        try:
            record_unreadable(self._store, intake.project, intake.action, reasons)
        except StoreError as error:
            _LOG.warning("the reason why a webhook was left out cannot be recorded: %s", error)


class CircuitBreaker:
    """Passes webhooks on; after a StoreError one at a time tries, at most every `every_s` seconds, until one succeeds.

    Without it a locked database would hold every thread, and /health and /predict would wait behind webhooks that Label
    Studio has given up long ago. What is refused is not lost: polls and full syncs find it.
    """

    def __init__(
        self,
        take: Callable[[Any], Mapping[str, Any]],
        *,
        count: Callable[[str], object] = lambda _: None,
        every_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._take, self._count, self._every_s, self._clock = take, count, every_s, clock
        self._lock = threading.Lock()
        self._open = False  # True while the store has refused and no webhook has succeeded since
        self._next_s = 0.0
        self._trying = False

    def __call__(self, body: Any) -> Mapping[str, Any]:
        """Return the answer to one webhook, or raise StoreError without waiting."""
        tries = self._may_try()
        try:
            answer = self._take(body)
        except StoreError:
            self._count("webhook_not_stored")
            with self._lock:
                self._open, self._next_s = True, self._clock() + self._every_s
            raise
        finally:
            if tries:
                self._trying = False
        self._open = False
        return answer

    def _may_try(self) -> bool:
        """Return whether this webhook is the one that tries; raise StoreError for the others."""
        with self._lock:
            if not self._open:
                return False
            if self._trying or self._clock() < self._next_s:
                self._count("webhook_not_stored")
                raise StoreError("the database refused a moment ago; this event is not stored.")
            self._trying = True
            return True
