"""The one composition root: from settings to a store, a loop, a web application and a worker."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from feedback.bots import find_bot
from feedback.errors import NotConnected, StoreError
from feedback.logs import log_to_stderr
from feedback.settings import Settings, read_settings

if TYPE_CHECKING:
    from flask import Flask

    from feedback.dashboard import House
    from feedback.jobs.doorbell import Doorbell
    from feedback.jobs.lease import Held
    from feedback.jobs.tick import Job
    from feedback.learning.workshop import Workshop
    from feedback.loop import Loop, Turn
    from feedback.policy import Policy
    from feedback.policy.simulate import Simulation
    from feedback.store import ProjectRow, Store
    from feedback.store.backups import Restored
    from feedback.sweeping import Swept
    from ml_backend.features.media import Media
    from ml_backend.labelstudio.client import Client
    from ml_backend.labelstudio.doctor import Finding

_SWEEP_SLICE_S = 10.0  # of a sweep, then turns have their chance


def settings_from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings of this process."""
    return read_settings(os.environ if environ is None else environ)


def prepare(settings: Settings) -> None:
    """Make what the processes share: the data directory and the schema."""
    with opened(settings, patient=True):
        pass


def empty_metrics(settings: Settings) -> Path:
    """Give an empty folder for what the web processes count; a restart counts anew, as Prometheus expects."""
    from feedback.scratch import empty_scratch

    return empty_scratch(settings.data_dir)


@contextmanager
def opened(settings: Settings, *, patient: bool = False, wait_s: float = 30.0) -> Iterator[Store]:
    """Open the store for the length of a block; `patient` also where the database is away for now."""
    from feedback.store import open_store

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"the data directory cannot be made: {error.strerror}.") from error
    store = open_store(settings.store_url, durability=settings.durability, patient=patient, wait_s=wait_s)
    try:
        yield store
    finally:
        store.close()


def put_back(settings: Settings, backup: Path) -> Restored:
    """Put a backup in the place of the SQLite store of these settings."""
    from sqlalchemy.engine import make_url

    from feedback.store import open_store
    from feedback.store.backups import restore

    url = make_url(settings.store_url)
    if url.get_backend_name() != "sqlite":
        raise StoreError(
            "only SQLite is restored here.", hint="PostgreSQL has pg_restore; docs/operations.md shows how."
        )
    return restore(backup, Path(str(url.database)), open_one=open_store)


def known_project(store: Store, project: str) -> ProjectRow:
    """Find a project; NotConnected names those that there are."""
    row = store.project(project)
    if row is None:
        known = ", ".join(one.id for one in store.projects()) or "none"
        raise NotConnected(f"project {project!r} is not known; known: {known}.")
    return row


def client_of(settings: Settings, store: Store | None = None) -> Client:
    """A client of Label Studio: as our bot where connect made one (and `store` is given), else with our own token."""
    from ml_backend.labelstudio.client import Client

    if not settings.has_label_studio:
        raise NotConnected("Label Studio's address or token is missing.")
    bot = find_bot(store, settings.label_studio_url) if store else None
    return Client(settings.label_studio_url, bot.token if bot else settings.label_studio_api_key)


def loop_of(settings: Settings, store: Store) -> Loop:
    """The loop over this store; without Label Studio it learns from webhooks alone."""
    from feedback.connecting import policy_of
    from feedback.loop import Loop
    from feedback.platform import LabelStudio
    from feedback.posting import post
    from feedback.rooms import LabelStudioRooms
    from ml_backend.registry import FolderRegistry

    client = client_of(settings, store) if settings.has_label_studio else None
    return Loop(
        store,
        platform=LabelStudio(client, store) if client else None,
        rooms=LabelStudioRooms(client) if client else None,
        post=post,
        workshop=_workshop(settings, store),
        folder=FolderRegistry(settings.data_dir / "models"),
        policies=policy_of,
        clock=time.time,
    )


def run_turn(settings: Settings, store: Store, project: str) -> Turn:
    """One turn now, under the lease that keeps two workers from one project."""
    from feedback.jobs.tick import LEASE_S, run_held

    known_project(store, project)
    loop = loop_of(settings, store)
    store.want(project, "turn")
    while (work := store.claim(_owner(), lease_s=LEASE_S, kinds=("turn",), project=project)) is None:
        time.sleep(0.2)
    return run_held(store, work, lambda project, held: loop.turn(project, held=held))


def run_sweep(settings: Settings, store: Store, project: str, *, told: Callable[[Swept], object]) -> Swept:
    """Compare a project with Label Studio now, to the end; `told` hears of each stretch."""
    from feedback.jobs.tick import LEASE_S, run_held

    known_project(store, project)
    job = _sweeper(settings, store, slice_s=0.0)
    while True:
        store.want(project, "sweep")
        while (work := store.claim(_owner(), lease_s=LEASE_S, kinds=("sweep",), project=project)) is None:
            time.sleep(0.2)
        done = run_held(store, work, job)
        told(done)
        if done.complete:
            return done


def _sweeper(settings: Settings, store: Store, *, slice_s: float) -> Callable[[str, Held], Swept]:
    """The job that sweeps for so long and stops between two stretches, so that turns are never kept waiting."""
    from feedback.platform import LabelStudio
    from feedback.sweeping import sweep

    platform = cache(lambda: LabelStudio(client_of(settings, store), store))

    def job(project: str, held: Held) -> Swept:
        until_s = time.monotonic() + slice_s
        done = sweep(
            store, platform(), project, clock=time.time, go_on=lambda: held.holds() and time.monotonic() < until_s
        )
        if not done.complete:
            store.want(project, "sweep")
        return done

    return job


def _cleaner(settings: Settings, store: Store) -> Job:
    """The job that deletes a few old predictions."""
    from feedback.platform import LabelStudio
    from feedback.tidying import tidy

    platform = cache(lambda: LabelStudio(client_of(settings, store), store))

    def job(project: str, held: Held) -> object:
        return tidy(store, platform(), project, lock_ttl_s=settings.lock_ttl_s, now_s=time.time(), go_on=held.holds)

    return job


def run_worker(settings: Settings) -> None:
    """Work until asked to stop; each connected project is polled every `poll_s` and swept every `sweep_s`."""
    from feedback.jobs.tick import Worker
    from feedback.sweeping import is_due
    from feedback.tidying import is_due as is_untidy

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
            for row in store.projects():
                if row.connected and due(row.id):
                    store.want(row.id, "turn")
                if row.connected and is_due(store, row.id, every_s=settings.sweep_s, now_s=time.time()):
                    store.want(row.id, "sweep")  # without Label Studio nobody claims it, and it stands in the status
                if "clean" in jobs and row.connected and not row.paused and is_untidy(store, row.id, now_s=time.time()):
                    store.want(row.id, "clean")

        jobs: dict[str, Job] = {"turn": turn}
        if settings.has_label_studio:
            jobs["sweep"] = _sweeper(settings, store, slice_s=_SWEEP_SLICE_S)
            jobs["clean"] = _cleaner(settings, store)
        worker = Worker(store, jobs, owner=_owner(), tick_s=settings.tick_s, doorbell=doorbell_of(settings, store))
        worker.run(before_look=want_what_is_due)


def doorbell_of(settings: Settings, store: Store) -> Doorbell:
    """What wakes workers when work is wanted; the web half rings it, the workers wait for it."""
    from feedback.jobs.doorbell import make_doorbell

    def is_due() -> bool:
        now_s = time.time()
        return any(row.state in ("wanted", "parked") and row.due_s <= now_s for row in store.works())

    return make_doorbell(settings.doorbell, database_url=settings.database_url, is_due=is_due)


def examine(settings: Settings, store: Store, project: str) -> list[Finding]:
    """Every trap that the doctor knows, looked for with the token of the settings."""
    from feedback.missed import missed
    from ml_backend.labelstudio import doctor

    row = known_project(store, project) if project and store.project(project) else None
    return doctor.examine(
        client_of(settings),
        project,
        backend_url=settings.url,
        connected=row is not None and row.connected,
        missed=missed(store, project) if row else 0,
    )


def application(settings: Settings) -> Flask:
    """The web application of one gunicorn worker; called after the fork."""
    from feedback.breaker import Breaker
    from feedback.connecting import policy_of, webhook_secrets
    from feedback.dashboard import SharedAttempts, pages
    from feedback.incidents import Incidents
    from feedback.learning.scene import project_draws
    from feedback.signals import SignalDoor
    from feedback.store import open_store
    from feedback.webhooks import Webhook
    from ml_backend.app import Limits, Metrics, Security, create_app, post
    from ml_backend.predictor import Predictor
    from ml_backend.records import Task

    log_to_stderr(settings)
    # Label Studio waits for a webhook one second: whoever waits longer for a lock only keeps a thread from others
    store = open_store(settings.store_url, durability=settings.durability, wait_s=1.0, patient=True)
    incidents = Incidents(store, clock=time.time)
    incidents.start()
    metrics = Metrics(lambda: gauges(store), also=incidents.count)

    def blind(project: str) -> Callable[[Task], bool]:
        row = store.project(project)
        if row is None:
            return lambda _task: False
        draws = project_draws(store, row, policy_of(row))
        return lambda task: draws.blind(task.data)

    def secrets() -> tuple[str, ...]:
        # a service that nobody has connected has told its secret to nobody: on loopback it listens to all
        return webhook_secrets(settings, store) if settings.secrets or store.find_secret("webhook") else ()

    ring = doorbell_of(settings, store).ring
    webhook = Webhook(store, ring=ring)
    return create_app(
        Predictor(store.registry, blind=blind, load=_workshop(settings, store).load, count=metrics.count),
        webhook=Breaker(webhook, count=metrics.count),
        job_status=webhook.job_status,
        limits=Limits(body_bytes=settings.max_body_mib << 20, tasks=settings.max_tasks),
        security=Security(
            settings.basic_auth_user, settings.basic_auth_password, secrets, SharedAttempts(store, "service")
        ),
        metrics=metrics,
        mounts=[post("/signal", SignalDoor(store, ring=ring)), pages(house_of(settings, store, ring=ring))],
    )


def house_of(settings: Settings, store: Store, *, ring: Callable[[str], None]) -> House:
    """What the pages are made from. They are open to look at only where nobody but this machine can reach them."""
    from urllib.parse import urlsplit

    from feedback.connecting import policy_of
    from feedback.dashboard import House, LabelStudioAccounts, Manners, SharedAttempts

    known = settings.label_studio_url
    public = urlsplit(settings.url)
    return House(
        store,
        policy_of,
        Manners(secure=public.scheme == "https", open=settings.open_to_look, public=public.netloc),
        LabelStudioAccounts(known, settings.label_studio_api_key) if known else None,
        SharedAttempts(store, "pages", burst=10, every_s=30.0),
        ring,
        known,
    )


def simulate_policy(settings: Settings, store: Store, project: str, policy: Policy) -> Simulation:
    """Try a policy beside the active one: on the decisions of the past, or on the tasks as they are where none is."""
    from feedback.activating import policy_of
    from feedback.past import open_tasks_now, past_decisions
    from feedback.policy.simulate import simulate

    row = known_project(store, project)
    past = past_decisions(store, project)
    if not past.tasks:
        past = open_tasks_now(store, row, policy, _workshop(settings, store), now_s=time.time())
    return simulate(policy_of(row), policy, past)


def surprises(store: Store, project: str, policy: Policy) -> list[str]:
    """What will surprise in a policy, looked for with the labels and the tasks of a project."""
    from feedback.policy.checking import warnings
    from ml_backend.label_config import read_label_config

    control = read_label_config(known_project(store, project).label_config).control(policy.model.control)
    return warnings(policy, labels=control.labels, data=[task.data for task in store.tasks(project)])


def gauges(store: Store) -> dict[str, float]:
    """What /metrics says of the store: one source for all workers, so that nothing is summed twice."""
    from feedback.incidents import last_day
    from feedback.reports.status import service_gauges

    met = last_day(store, now_s=time.time())
    return service_gauges(store) | {f"hitl_day_{name}": float(number) for name, number in met.items()}


def _workshop(settings: Settings, store: Store) -> Workshop:
    from feedback.connecting import policy_of
    from feedback.learning.workshop import Workshop

    return Workshop(lambda: {policy_of(row).model.hosted for row in store.projects()} - {""}, media=_media(settings))


def _media(settings: Settings) -> Media:
    """What tasks point at comes from Label Studio, as the owner of our token, and from the hosts of the settings."""
    from ml_backend.features.fetching import Fetcher
    from ml_backend.features.media import Media

    authorization = client_of(settings).authorization if settings.has_label_studio else None
    hosts = settings.media_hosts.split(",")
    return Media(Fetcher(settings.label_studio_url, authorization=authorization, hosts=hosts))


def gunicorn_command(settings: Settings) -> list[str]:
    """How the web half is served: threads for waiting, a few processes for computing, nothing before the fork."""
    return [
        sys.executable, "-m", "gunicorn", "feedback.wsgi:create()",
        "--worker-class", "gthread",
        "--workers", str(settings.web_workers),
        "--threads", str(settings.web_threads),
        "--bind", f"{settings.host}:{settings.port}",
        "--timeout", "120",
        "--graceful-timeout", "10",
        "--keep-alive", "15",
        "--no-control-socket",
        "--log-level", settings.log_level,
    ]  # fmt: skip


def first_words(settings: Settings) -> list[str]:
    """What `hitl serve` says at the start: where it is, and what it misses."""
    lines = [f"hitl serves {settings.url} (data in {settings.data_dir})"]
    if not settings.has_label_studio:
        lines.append(
            "No Label Studio: LABEL_STUDIO_URL or LABEL_STUDIO_API_KEY is not set. Predictions and learning from "
            "webhooks work; polling, the queue and `hitl connect` do not."
        )
    return lines


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
