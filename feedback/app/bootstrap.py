"""The composition root: make the store, the Label Studio client, the model factory and the loop from the settings."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from feedback.app.project_names import require_project
from feedback.errors import NotConnected, PolicyError, StoreError
from feedback.labelling_platform.service_account import find_bot
from feedback.settings import CONNECTION_VARIABLES, ENV_FILE, Settings, read_env_file, read_settings

if TYPE_CHECKING:
    from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
    from feedback.loop.context import Turn
    from feedback.loop.turn import Loop
    from feedback.store import JobClaim, ProjectRow, Store
    from feedback.training.model_factory import ModelFactory
    from ml_backend.features.media import Media
    from ml_backend.features.media_fetcher import MediaFetcher
    from ml_backend.labelstudio.client import Client

_LOG = logging.getLogger(__name__)
_POST_TIMEOUT_S = 5.0


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings of this process, with the `.env` of its working directory.

    What that file says about certificates and proxies goes into the environment, where libraries look for it.
    """
    settings = read_settings(os.environ if environ is None else environ, Path())
    for name, (value, _) in (read_env_file(Path(ENV_FILE)) if Path(ENV_FILE).is_file() else {}).items():
        if name.upper() in CONNECTION_VARIABLES and value:
            os.environ.setdefault(name, value)
    return settings


def prepare_store(settings: Settings) -> None:
    """Create the data directory and the tables, which all processes share."""
    with opened_store(settings, patient=True):
        pass


@contextmanager
def opened_store(
    settings: Settings, *, patient: bool = False, wait_s: float = 30.0, ingest: bool = True
) -> Iterator[Store]:
    """Open the store while a block runs; StoreError if its directory or database cannot be made or opened.

    With `patient` it opens also while the database is away, and every use raises StoreError until it is back. `wait_s`
    is how long to wait for a lock of another process. With `ingest`, what webhooks brought a moment ago is read first.
    """
    from feedback.store import open_store

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        reason = f"the data directory {settings.data_dir} cannot be made: {error.strerror}."
        raise StoreError(reason, hint="Set HITL_DATA_DIR to a directory that this user may write.") from error
    store = open_store(settings.store_url, durability=settings.durability, patient=patient, wait_s=wait_s)
    try:
        with suppress(StoreError):  # then it stays in the inbox; the stored rest can still be read
            if ingest:
                store.ingest_inbox()
        yield store
    finally:
        store.close()


@contextmanager
def opened_project(project: str, settings: Settings | None = None) -> Iterator[tuple[Store, ProjectRow]]:
    """Open the store and find a project in it, by number or title, while a block runs; "" is the only connected one.

    By default with the settings of this process.
    """
    with opened_store(settings or load_settings()) as store:
        yield store, require_project(store, project)


def make_client(settings: Settings, store: Store | None = None, *, timeout_s: float = 30.0) -> Client:
    """Return a client of Label Studio, as our bot where `store` knows one; NotConnected without address or token."""
    from ml_backend.labelstudio.client import Client

    if not settings.has_label_studio:
        given = {"LABEL_STUDIO_URL": settings.label_studio_url, "LABEL_STUDIO_API_KEY": settings.label_studio_api_key}
        missing = [name for name, value in given.items() if not value]
        raise NotConnected(f"Label Studio cannot be reached: {', '.join(missing)} not set.")
    bot = find_bot(store, settings.label_studio_url) if store else None
    token = bot.token if bot else settings.label_studio_api_key
    return Client(settings.label_studio_url, token, timeout_s=timeout_s)


@contextmanager
def connected_platform(settings: Settings, store: Store) -> Iterator[LabelStudioAdapter | None]:
    """Connect to Label Studio while a block runs; None where the settings name none."""
    from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter

    if not settings.has_label_studio:
        yield None
        return
    with make_client(settings, store) as client:
        yield LabelStudioAdapter(client, store)


def list_emails(settings: Settings, store: Store) -> Mapping[int, str]:
    """Return e-mail addresses by user id; {} where Label Studio does not answer, or the settings name none."""
    from ml_backend.errors import LabelStudioError

    try:
        with connected_platform(settings, store) as platform:
            return platform.list_emails() if platform else {}
    except LabelStudioError as error:
        _LOG.warning("e-mail addresses cannot be read: %s", error)
        return {}


def list_names(settings: Settings, store: Store) -> Mapping[int, str]:
    """Return the names of people by user id, or their addresses; {} where Label Studio does not answer.

    Whoever runs commands has the token of the service, and may see all of them in Label Studio anyway.
    """
    from ml_backend.errors import LabelStudioError
    from ml_backend.labelstudio import accounts

    if not settings.has_label_studio:
        return {}
    bot = find_bot(store, settings.label_studio_url)
    try:
        return accounts.list_names(settings.label_studio_url, bot.token if bot else settings.label_studio_api_key)
    except (LabelStudioError, KeyError, TypeError, ValueError) as error:
        _LOG.warning("the names of people cannot be read: %s", error)
        return {}


def make_loop(settings: Settings, store: Store) -> Loop:
    """Return the loop over this store; without Label Studio it learns from webhooks alone."""
    from feedback.loop.turn import Loop
    from ml_backend.registry import FolderRegistry

    return Loop(
        store,
        platform=make_platform(settings, store) if settings.has_label_studio else None,
        post=post_json,
        model_factory=make_model_factory(settings, store),
        folder=FolderRegistry(settings.data_dir / "models"),
        clock=time.time,
    )


def make_platform(settings: Settings, store: Store) -> LabelStudioAdapter:
    """Return Label Studio as the loop uses it, as our bot, with the webhook for review projects."""
    from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter, ReviewWebhook
    from feedback.project.connect import webhook_secrets
    from ml_backend.labelstudio.parsing import SECRET_HEADER

    def review_webhook() -> ReviewWebhook:  # makes a secret where there was none; from then on webhooks must carry it
        return ReviewWebhook(f"{settings.url}/webhook", {SECRET_HEADER: webhook_secrets(settings, store)[0]})

    return LabelStudioAdapter(make_client(settings, store), store, review_webhook)


def run_turn(settings: Settings, store: Store, project: str) -> Turn:
    """Run one turn now, and then its reports, under the leases that keep two workers from one project."""
    from feedback.jobs.worker import run_held

    project = require_project(store, project).id
    loop = make_loop(settings, store)
    turn = run_held(store, claim_job(store, project, "turn"), lambda project, held: loop.turn(project, held=held))
    run_held(store, claim_job(store, project, "report"), lambda project, held: loop.report(project, held=held))
    return turn


def claim_job(store: Store, project: str, kind: str) -> JobClaim:
    """Claim a job that somebody runs by hand; wait for a worker that runs it, but not for a parked one."""
    from feedback.jobs.worker import LEASE_S

    store.jobs.request_job(project, kind)
    store.jobs.unpark_job(project, kind)
    while (claim := store.jobs.claim_job(worker_id(), lease_s=LEASE_S, kinds=(kind,), project=project)) is None:
        time.sleep(0.2)
        if not any(row.state != "idle" for row in store.jobs.list_jobs() if (row.project, row.kind) == (project, kind)):
            store.jobs.request_job(project, kind)  # a worker has run it already; request it again
    return claim


def make_model_factory(settings: Settings, store: Store, *, media_within_s: float = math.inf) -> ModelFactory:
    """Return what makes and loads models, including the hosted ones that a policy names.

    `media_within_s` limits the images of one prediction, for which a person waits.
    """
    from feedback.training.model_factory import ModelFactory

    def hosted() -> set[str]:
        found = set()
        for row in store.projects.list_projects():
            with suppress(PolicyError):  # its own turn reports it; the other projects go on
                found.add(row.policy.model.hosted)
        return found - {""}

    return ModelFactory(hosted, media=_make_media(settings, media_within_s))


def _make_media(settings: Settings, within_s: float) -> Media:
    """Return what reads media of tasks: from Label Studio with our token, and from the hosts of the settings."""
    from ml_backend.features.media import Media

    authorization = make_client(settings).authorization if settings.has_label_studio else None
    return Media(make_media_fetcher(settings, authorization), within_s=within_s)


def make_media_fetcher(settings: Settings, authorization: Callable[[], str] | None = None) -> MediaFetcher:
    """Return what fetches files of Label Studio, and of the hosts of the settings."""
    from ml_backend.features.media_fetcher import MediaFetcher

    hosts = settings.media_hosts.split(",")
    return MediaFetcher(settings.label_studio_url, authorization=authorization, hosts=hosts)


def worker_id() -> str:
    """Return the name by which other processes see who holds a job."""
    return f"{socket.gethostname()}:{os.getpid()}"


def post_json(url: str, body: bytes, headers: Mapping[str, str]) -> str:
    """POST a notification without following redirects; return "" for any 2xx, else why it did not arrive."""
    from ml_backend import connections  # reason: httpx takes 60 ms to import

    setting = "the url of its entry in [notify] of the policy"
    try:
        with connections.http_client(url, timeout=_POST_TIMEOUT_S) as client:
            answer = client.post(url, content=body, headers=dict(headers))
    except (*connections.FAILURES, ValueError) as error:
        return str(connections.describe_failure(error, url, setting=setting))
    location = answer.headers.get("Location", "")
    failure = connections.describe_answer(answer.status_code, answer.text[:2000], location, url, setting=setting)
    return "" if answer.is_success else str(failure or f"it answered HTTP {answer.status_code}")
