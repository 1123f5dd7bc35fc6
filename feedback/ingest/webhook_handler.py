"""What Label Studio tells us while people work: stored before the answer, acted upon later by the worker."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from feedback.errors import StoreError
from feedback.labelling_platform.unreadable import record_unreadable
from feedback.store.log.events import Event, from_intake
from feedback.store.rows import Record
from ml_backend.labelstudio.parsing import Intake, read_webhook

Answer = dict[str, Any]

_LOG = logging.getLogger(__name__)
_ASKED = "training_asked"  # the kind of record that a press of the "Start training" button leaves
_JOB = re.compile(r"([0-9]{1,19})-([0-9]{1,18})")  # project, number of the record


class Book(Protocol):
    """What of the store a webhook needs."""

    def receive(self, events: Iterable[Event], *, want: str | None = None) -> None:
        """Keep events durably; where they change something, work is wanted once they are taken in."""
        ...

    def record(self, project: str, kind: str, body: Mapping[str, Any], *, key: str = "") -> int:
        """Note a finding; with a key, once."""
        ...

    def latest(self, project: str, kind: str) -> Record | None:
        """Give the newest record of a kind."""
        ...

    def want(self, project: str, kind: str) -> None:
        """Ask for work; many wants are one run."""
        ...


class Webhook:
    """Takes the parsed body of each event and answers within milliseconds; never learns, never calls back.

    Label Studio waits for the answer inside the annotator's submit, one second at most, and never asks again: what is
    lost here is found by polling. BodyError for what no Label Studio sends; the store's errors pass through.
    """

    def __init__(
        self, store: Book, *, clock: Callable[[], float] = time.time, ring: Callable[[str], None] = lambda _: None
    ) -> None:
        self._store = store
        self._clock = clock
        self._ring = ring  # after the commit, and never needed: the work row is what counts

    def __call__(self, body: Any) -> Answer:
        """Store one event, and say what became of it."""
        intake = read_webhook(body)
        if intake.ignored:
            self._note(intake, [intake.ignored])
            return {"status": "ignored", "reason": intake.ignored}
        skipped = list(intake.skipped)
        events = from_intake(intake, "webhook", unread=skipped)
        if events:
            self._store.receive(events, want="turn")
        self._note(intake, skipped)
        answer: Answer = {"status": "ok", "events": len(events)}
        if skipped:
            answer["skipped"] = skipped
        if intake.action == "START_TRAINING":
            answer["job"] = self._train(intake.project)
        if events or "job" in answer:
            self._ring(intake.project)
        return answer

    def job_status(self, job: str) -> str | None:
        """How a training that the button asked for stands: "queued", "finished", or None for no such job.

        It is finished once a turn has ended that began to count after the button: whether that turn trained or kept the
        champion is the gate's decision, and stands in its verdict.
        """
        named = _JOB.fullmatch(job)
        if named is None:
            return None
        project, number = named[1], int(named[2])
        asked, turn = self._store.latest(project, _ASKED), self._store.latest(project, "turn")
        if asked is None or number > asked.id:
            return None
        return "finished" if turn is not None and turn.id > number else "queued"

    def _train(self, project: str) -> str:
        """Want a turn now; gives the name of the job, which Label Studio keeps."""
        number = self._store.record(project, _ASKED, {"at_s": self._clock()})
        self._store.want(project, "turn")
        return f"{project}-{number}"

    def _note(self, intake: Intake, reasons: Iterable[str]) -> None:
        """Keep why something was left out; where that cannot be kept now, what was said is stored all the same."""
        try:
            record_unreadable(self._store, intake.project, intake.action, reasons)
        except StoreError as error:
            _LOG.warning("what a webhook left out cannot be noted: %s", error)
