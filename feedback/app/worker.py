"""The worker half, composed: what is done for each project, and when it is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from feedback.app.bootstrap import claimed, client_of, known_project, loop_of, opened, owner
from feedback.app.logging import log_to_stderr
from feedback.errors import StoreError
from feedback.settings import Settings

if TYPE_CHECKING:
    from feedback.ingest.full_sync import Swept
    from feedback.jobs.lease import Held
    from feedback.jobs.worker import Job
    from feedback.store import Store

_SWEEP_SLICE_S = 10.0  # of a sweep, then turns have their chance


def run_worker(settings: Settings) -> None:
    """Work until asked to stop; each connected project is polled every `poll_s` and swept every `sweep_s`."""
    from feedback.ingest.full_sync import is_due
    from feedback.jobs.inbox_thread import taking_in
    from feedback.jobs.wake_up import make_waiter
    from feedback.jobs.worker import Worker
    from feedback.labelling_platform.stale_predictions import is_due as is_untidy

    log_to_stderr(settings)
    with opened(settings, patient=True) as store:
        loop = cache(lambda: loop_of(settings, store))  # at the first turn: the store may be away until then
        polled: dict[str, float] = {}

        def due(project: str) -> bool:
            return time.monotonic() - polled.get(project, -settings.poll_s) >= settings.poll_s

        def turn(project: str, held: Held) -> None:
            poll = due(project)
            if poll:
                polled[project] = time.monotonic()
            loop().turn(project, held=held, poll=poll)

        def want_what_is_due() -> None:
            store.ingest_inbox()  # a ring comes before the taker's next look
            rows = store.projects.list_projects(reviews=True)
            connected = {row.id for row in rows if row.connected}
            for row in rows:
                if row.connected and due(row.id):
                    store.jobs.request_job(row.id, "turn")
                lives = row.connected or row.source in connected
                if lives and is_due(store, row.id, every_s=settings.sweep_s, now_s=time.time()):
                    store.jobs.request_job(
                        row.id, "sweep"
                    )  # without Label Studio nobody claims it, and it stands in the status
                if "clean" in jobs and row.connected and not row.paused and is_untidy(store, row.id, now_s=time.time()):
                    store.jobs.request_job(row.id, "clean")

        jobs: dict[str, Job] = {"turn": turn}
        if settings.has_label_studio:
            jobs["sweep"] = _sweeper(settings, store, slice_s=_SWEEP_SLICE_S)
            jobs["clean"] = _cleaner(settings, store)
        worker = Worker(store, jobs, owner=owner(), tick_s=settings.tick_s, waiter=make_waiter(store))
        with suppress(StoreError):
            store.ingest_inbox(again=True)  # what an older program could not read, this one perhaps can
        with taking_in(store.ingest_inbox):
            worker.run(before_look=want_what_is_due)


def run_sweep(settings: Settings, store: Store, project: str, *, told: Callable[[Swept], object]) -> Swept:
    """Compare a project with Label Studio now, to the end; `told` hears of each stretch."""
    from feedback.jobs.worker import run_held

    known_project(store, project)
    job = _sweeper(settings, store, slice_s=0.0)
    while True:
        done = run_held(store, claimed(store, project, "sweep"), job)
        told(done)
        if done.complete:
            return done


def _sweeper(settings: Settings, store: Store, *, slice_s: float) -> Callable[[str, Held], Swept]:
    """The job that sweeps for so long and stops between two stretches, so that turns are never kept waiting."""
    from feedback.ingest.full_sync import sweep
    from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter

    platform = cache(lambda: LabelStudioAdapter(client_of(settings, store), store))

    def job(project: str, held: Held) -> Swept:
        until_s = time.monotonic() + slice_s
        done = sweep(
            store, platform(), project, clock=time.time, go_on=lambda: held.holds() and time.monotonic() < until_s
        )
        if not done.complete:
            store.jobs.request_job(project, "sweep")
        return done

    return job


def _cleaner(settings: Settings, store: Store) -> Job:
    """The job that deletes a few old predictions."""
    from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
    from feedback.labelling_platform.stale_predictions import tidy

    platform = cache(lambda: LabelStudioAdapter(client_of(settings, store), store))

    def job(project: str, held: Held) -> object:
        return tidy(store, platform(), project, lock_ttl_s=settings.lock_ttl_s, now_s=time.time(), go_on=held.holds)

    return job
