"""The worker process: which jobs there are, when each is due for a project, and the threads beside them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial

from feedback.app.bootstrap import claim_job, make_client, make_loop, opened_store, worker_id
from feedback.app.logging import log_to_stderr
from feedback.app.project_names import require_project
from feedback.errors import StoreError
from feedback.ingest.full_sync import FullSyncProgress, is_full_sync_due, run_full_sync
from feedback.jobs.heartbeat import Pulse, beating, repeating
from feedback.jobs.worker import Held, Job, Worker, make_waiter, run_held
from feedback.labelling_platform.deletion_schedule import delete_stale_predictions, is_deletion_due
from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
from feedback.labelling_platform.service_account import find_bot
from feedback.loop.turn import Loop
from feedback.reports.health import label_studio_findings
from feedback.settings import Settings
from feedback.store import Store

_FULL_SYNC_SLICE_S = 10.0  # of a full sync, then turns have their chance
_INBOX_EVERY_S = 0.1  # a look at an empty inbox costs a tenth of a millisecond
_INBOX_RETRY_S = 2.0  # after a failure
_ASK_EVERY_S = 15.0  # whether Label Studio answers
_ASK_TIMEOUT_S = 5.0


def run_worker(settings: Settings) -> None:
    """Work until asked to stop; poll each connected project every `poll_s`, sync it fully every `sweep_s`."""
    log_to_stderr(settings)
    with opened_store(settings, patient=True) as store:
        jobs, pulse, me = _Jobs(settings, store), Pulse(), worker_id()
        worker = Worker(store, jobs.table, owner=me, tick_s=settings.tick_s, waiter=make_waiter(store), pulse=pulse)
        ask_every_s = min(settings.poll_s, _ASK_EVERY_S)
        with suppress(StoreError):
            store.ingest_inbox(retry_failed=True)  # what an older version could not read, this one may be able to
        with (
            beating(store, me, pulse),
            repeating(store.ingest_inbox, name="inbox", every_s=_INBOX_EVERY_S, retry_s=_INBOX_RETRY_S),
            repeating(partial(ask_label_studio, settings, store, pulse), name="Label Studio", every_s=ask_every_s),
        ):
            worker.run(before_look=jobs.request_due)


def ask_label_studio(settings: Settings, store: Store, pulse: Pulse) -> None:
    """Say in the heartbeat whether Label Studio answers to our tokens; apart from turns, which it may hold up."""
    found = label_studio_findings(settings, store, timeout_s=_ASK_TIMEOUT_S)
    pulse.label_studio = next(((finding.what, finding.fix) for finding in found), ("", ""))


def run_project_sync(
    settings: Settings, store: Store, project: str, *, on_progress: Callable[[FullSyncProgress], object]
) -> FullSyncProgress:
    """Compare a project with Label Studio now, to the end; `on_progress` is called after each page."""
    project = require_project(store, project).id
    sync = partial(_Jobs(settings, store).sync, slice_s=0.0)
    while True:
        progress = run_held(store, claim_job(store, project, "sweep"), sync)
        on_progress(progress)
        if progress.complete:
            return progress


class _Jobs:
    """The jobs of this worker by kind, and when each is due."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        # made at the first use, as the store may be away until then, and again when our bot has another token
        self._loop_of = lru_cache(1)(lambda _bot: make_loop(settings, store))
        self._platform_of = lru_cache(1)(lambda _bot: LabelStudioAdapter(make_client(settings, store), store))
        self._polled_s: dict[str, float] = {}  # by project
        self.table: dict[str, Job] = {"turn": self._turn, "report": self._report}
        if settings.has_label_studio:
            self.table |= {"sweep": self.sync, "clean": self._clean}

    def _loop(self) -> Loop:
        return self._loop_of(find_bot(self._store, self._settings.label_studio_url))

    def _platform(self) -> LabelStudioAdapter:
        return self._platform_of(find_bot(self._store, self._settings.label_studio_url))

    def request_due(self) -> None:
        """Request every job that is due now."""
        store, now_s = self._store, time.time()
        store.ingest_inbox()  # the worker may be woken before the inbox thread's next look
        rows = store.projects.list_projects(reviews=True)
        connected, present = {row.id for row in rows if row.connected}, {row.id for row in rows}
        self._polled_s = {project: at_s for project, at_s in self._polled_s.items() if project in present}
        for row in rows:
            if row.connected and self._is_poll_due(row.id):
                store.jobs.request_job(row.id, "turn")
            synced = row.connected or row.source in connected
            if synced and is_full_sync_due(store, row.id, every_s=self._settings.sweep_s, now_s=now_s):
                # without Label Studio no worker claims it, and the status shows that it waits
                store.jobs.request_job(row.id, "sweep")
            active = row.connected and not row.paused
            if active and "clean" in self.table and is_deletion_due(store, row.id, now_s=now_s):
                store.jobs.request_job(row.id, "clean")

    def _report(self, project: str, held: Held) -> None:
        self._loop().report(project, held=held)

    def _turn(self, project: str, held: Held) -> None:
        poll = self._is_poll_due(project)
        if poll:
            self._polled_s[project] = time.monotonic()
        self._loop().turn(project, held=held, poll=poll)

    def sync(self, project: str, held: Held, *, slice_s: float = _FULL_SYNC_SLICE_S) -> FullSyncProgress:
        """Sync for `slice_s` seconds, at least one page, so that turns do not wait for it."""
        until_s = time.monotonic() + slice_s
        progress = run_full_sync(
            self._store,
            self._platform(),
            project,
            clock=time.time,
            go_on=lambda: held.holds() and time.monotonic() < until_s,
        )
        if not progress.complete:
            self._store.jobs.request_job(project, "sweep")
        return progress

    def _clean(self, project: str, held: Held) -> object:
        """Delete a few predictions of replaced queues."""
        ttl_s, now_s = self._settings.lock_ttl_s, time.time()
        return delete_stale_predictions(
            self._store, self._platform(), project, lock_ttl_s=ttl_s, now_s=now_s, go_on=held.holds
        )

    def _is_poll_due(self, project: str) -> bool:
        every_s = self._settings.poll_s
        return time.monotonic() - self._polled_s.get(project, -every_s) >= every_s
