"""The composition root: from settings to a store, a client and a loop; working and wsgi compose the two halves."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from feedback.errors import NotConnected, PolicyError, StoreError
from feedback.labelling_platform.service_account import find_bot
from feedback.settings import Settings, read_settings

if TYPE_CHECKING:
    from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
    from feedback.loop.context import Turn
    from feedback.loop.turn import Loop
    from feedback.policy import Policy
    from feedback.policy.lint import PolicyFinding
    from feedback.policy.simulate import Simulation
    from feedback.store import ProjectRow, Store, Work
    from feedback.store.database.backups import Restored
    from feedback.training.model_factory import ModelFactory
    from ml_backend.features.media import Media
    from ml_backend.labelstudio.client import Client
    from ml_backend.labelstudio.doctor import Finding

_log = logging.getLogger(__name__)


def settings_from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings of this process."""
    return read_settings(os.environ if environ is None else environ)


def prepare(settings: Settings) -> None:
    """Make what the processes share: the data directory and the schema."""
    with opened(settings, patient=True):
        pass


def empty_metrics(settings: Settings) -> Path:
    """Give an empty folder for what the web processes count; a restart counts anew, as Prometheus expects."""
    from feedback.app.metrics_directory import empty_scratch

    return empty_scratch(settings.data_dir)


@contextmanager
def opened(settings: Settings, *, patient: bool = False, wait_s: float = 30.0) -> Iterator[Store]:
    """Open the store for the length of a block; `patient` also where the database is away for now."""
    from feedback.store import open_store

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        hint = "Set HITL_DATA_DIR to a directory that this user may write."
        raise StoreError(
            f"the data directory {settings.data_dir} cannot be made: {error.strerror}.", hint=hint
        ) from error
    store = open_store(settings.store_url, durability=settings.durability, patient=patient, wait_s=wait_s)
    try:
        with suppress(StoreError):  # it waits, then; whoever looks finds the rest
            store.ingest_inbox()  # what webhooks brought a moment ago
        yield store
    finally:
        store.close()


def put_back(settings: Settings, backup: Path) -> Restored:
    """Put a backup in the place of the SQLite store of these settings."""
    from sqlalchemy.engine import make_url

    from feedback.privacy.erasure import forget_in_backup
    from feedback.store import open_store
    from feedback.store.database.backups import restore

    url = make_url(settings.store_url)
    if url.get_backend_name() != "sqlite":
        raise StoreError(
            "only SQLite is restored here.", hint="PostgreSQL has pg_restore; docs/operations.md shows how."
        )
    return restore(backup, Path(str(url.database)), open_one=open_store, forget=forget_in_backup)


def known_project(store: Store, project: str) -> ProjectRow:
    """Find a project; NotConnected names those that there are."""
    row = store.projects.get_project(project)
    if row is None:
        known = ", ".join(one.id for one in store.projects.list_projects()) or "none"
        hint = f"`hitl connect {project}` makes it known." if project.isdecimal() else "Give the number of one."
        raise NotConnected(f"project {project!r} is not known; known: {known}.", hint=hint)
    return row


def client_of(settings: Settings, store: Store | None = None) -> Client:
    """A client of Label Studio: as our bot where connect made one (and `store` is given), else with our own token."""
    from ml_backend.labelstudio.client import Client

    if not settings.has_label_studio:
        given = {"LABEL_STUDIO_URL": settings.label_studio_url, "LABEL_STUDIO_API_KEY": settings.label_studio_api_key}
        missing = [name for name, value in given.items() if not value]
        raise NotConnected(f"no way to Label Studio; not set: {', '.join(missing)}.")
    bot = find_bot(store, settings.label_studio_url) if store else None
    return Client(settings.label_studio_url, bot.token if bot else settings.label_studio_api_key)


@contextmanager
def rooms_in(settings: Settings, store: Store) -> Iterator[LabelStudioAdapter | None]:
    """The review projects on Label Studio, for the length of a block; None without one."""
    from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter

    if not settings.has_label_studio:
        yield None
        return
    with client_of(settings, store) as client:
        yield LabelStudioAdapter(client, store)


def emails_of(settings: Settings, store: Store, person: int) -> list[str]:
    """The address that Label Studio has for somebody; none where it cannot be asked."""
    from ml_backend.errors import LabelStudioError

    try:
        with rooms_in(settings, store) as rooms:
            found = rooms.list_emails().get(person) if rooms else None
    except LabelStudioError as error:
        _log.warning("addresses cannot be asked: %s", error)
        return []
    return [found] if found else []


def loop_of(settings: Settings, store: Store) -> Loop:
    """The loop over this store; without Label Studio it learns from webhooks alone."""
    from feedback.app.notification_sender import post
    from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter, ReviewWebhook
    from feedback.loop.turn import Loop
    from feedback.project.connect import policy_of, webhook_secrets
    from ml_backend.labelstudio.projects import SECRET_HEADER
    from ml_backend.registry import FolderRegistry

    client = client_of(settings, store) if settings.has_label_studio else None

    def hook() -> ReviewWebhook:  # makes a secret where there was none, and from then on it is asked for
        return ReviewWebhook(f"{settings.url}/webhook", {SECRET_HEADER: webhook_secrets(settings, store)[0]})

    return Loop(
        store,
        platform=LabelStudioAdapter(client, store, hook) if client else None,
        post=post,
        model_factory=workshop_of(settings, store),
        folder=FolderRegistry(settings.data_dir / "models"),
        policies=policy_of,
        clock=time.time,
    )


def run_turn(settings: Settings, store: Store, project: str) -> Turn:
    """One turn now, under the lease that keeps two workers from one project."""
    from feedback.jobs.worker import run_held

    known_project(store, project)
    loop = loop_of(settings, store)
    return run_held(store, claimed(store, project, "turn"), lambda project, held: loop.turn(project, held=held))


def claimed(store: Store, project: str, kind: str) -> Work:
    """Work that somebody asks for by hand: waits for a worker that has it, but not for work that is parked."""
    from feedback.jobs.worker import LEASE_S

    store.jobs.request_job(project, kind)
    store.jobs.unpark_job(project, kind)
    while (work := store.jobs.claim_job(owner(), lease_s=LEASE_S, kinds=(kind,), project=project)) is None:
        time.sleep(0.2)
        if not any(row.state != "idle" for row in store.jobs.list_jobs() if (row.project, row.kind) == (project, kind)):
            store.jobs.request_job(
                project, kind
            )  # a worker was quicker and has done ours: without a new want none comes
    return work


def examine(settings: Settings, store: Store, project: str) -> list[Finding]:
    """Every trap that the doctor knows, looked for with the token of the settings."""
    from feedback.ingest.missed_changes import missed
    from feedback.reports.health import of_web
    from ml_backend.labelstudio import doctor

    row = known_project(store, project) if project and store.projects.get_project(project) else None
    fix = "Start `hitl serve`; where Label Studio reaches it by another address, set HITL_PUBLIC_URL."
    silent = [doctor.Finding("service not reached", "error", f"{said}.", fix) for said in of_web(settings)]
    return silent + doctor.examine(
        client_of(settings),
        project,
        backend_url=settings.url,
        connected=row is not None and row.connected,
        missed=missed(store, project) if row else 0,
    )


def simulate_policy(settings: Settings, store: Store, project: str, policy: Policy) -> Simulation:
    """Try a policy beside the active one: on the decisions of the past, or on the tasks as they are where none is."""
    from feedback.policy.simulate import simulate
    from feedback.routing.decision_history import load_decision_history, load_open_tasks
    from feedback.store.repositories.policies import policy_of

    row = known_project(store, project)
    past = load_decision_history(store, project)
    if not past.tasks:
        past = load_open_tasks(store, row, policy, workshop_of(settings, store), now_s=time.time())
    return simulate(policy_of(row), policy, past)


def validate_project_policy(settings: Settings, store: Store, project: str, policy: Policy) -> list[PolicyFinding]:
    """Return every error and warning of a policy for a project, with its labels and the fields of its tasks."""
    from feedback.project.policy_validation import validate_policy

    row, data = known_project(store, project), [task.data for task in store.tasks.list_tasks(project)]
    return validate_policy(policy, lock_ttl_s=settings.lock_ttl_s, project=row, data=data)


def workshop_of(settings: Settings, store: Store) -> ModelFactory:
    """Where models are made and loaded, with the hosted ones that some policy names."""
    from feedback.project.connect import policy_of
    from feedback.training.model_factory import ModelFactory

    def hosted() -> set[str]:
        found = set()
        for row in store.projects.list_projects():
            with suppress(PolicyError):  # its own turn says so; the other projects go on
                found.add(policy_of(row).model.hosted)
        return found - {""}

    return ModelFactory(hosted, media=_media(settings))


def _media(settings: Settings) -> Media:
    """What tasks point at comes from Label Studio, as the owner of our token, and from the hosts of the settings."""
    from ml_backend.features.media import Media
    from ml_backend.features.media_fetcher import MediaFetcher

    authorization = client_of(settings).authorization if settings.has_label_studio else None
    hosts = settings.media_hosts.split(",")
    return Media(MediaFetcher(settings.label_studio_url, authorization=authorization, hosts=hosts))


def gunicorn_command(settings: Settings) -> list[str]:
    """How the web half is served: threads for waiting, a few processes for computing, nothing before the fork."""
    return [
        sys.executable, "-m", "gunicorn", "feedback.app.web:create()",
        "--worker-class", "ml_backend.app.slow_client_worker.PatientWorker",
        "--workers", str(settings.web_workers),
        "--threads", str(settings.web_threads),
        "--bind", f"{settings.host}:{settings.port}",
        "--timeout", "120",
        "--graceful-timeout", "10",
        "--keep-alive", "15",
        "--no-control-socket",
        "--forwarder-headers", "",  # else whoever comes through a proxy here may move the paths by a SCRIPT_NAME header
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


def owner() -> str:
    """Name this process to the others: who holds which work."""
    return f"{socket.gethostname()}:{os.getpid()}"
