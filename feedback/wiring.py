"""The one composition root: from settings to a store, a loop, a web application and a worker."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feedback.errors import NotConnected
from feedback.settings import Settings, read_settings

if TYPE_CHECKING:
    from flask import Flask

    from feedback.loop import Loop, Turn
    from feedback.policy import Policy
    from feedback.store import ProjectRow, Store
    from ml_backend.label_config import Control
    from ml_backend.labelstudio.client import Client
    from ml_backend.labelstudio.doctor import Finding
    from ml_backend.models import Recipe


def settings_from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings of this process."""
    return read_settings(os.environ if environ is None else environ)


def prepare(settings: Settings) -> None:
    """Make what the processes share: the data directory, the schema, an empty metrics directory."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with opened(settings):
        pass


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """Open the store for the length of a block."""
    from feedback.store import open_store

    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = open_store(settings.store_url, durability=settings.durability)
    try:
        yield store
    finally:
        store.close()


def known_project(store: Store, project: str) -> ProjectRow:
    """Find a project; NotConnected names those that there are."""
    row = store.project(project)
    if row is None:
        known = ", ".join(one.id for one in store.projects()) or "none"
        raise NotConnected(f"project {project!r} is not known; known: {known}.")
    return row


def client_of(settings: Settings, store: Store, *, as_admin: bool = False) -> Client:
    """A client of Label Studio: our bot's where connect made one, else the one of the settings."""
    from ml_backend.labelstudio.client import Client

    if not settings.has_label_studio:
        raise NotConnected("Label Studio's address or token is missing.")
    token = settings.label_studio_api_key if as_admin else _bot_token(settings, store)
    return Client(settings.label_studio_url, token)


def loop_of(settings: Settings, store: Store) -> Loop:
    """The loop over this store; without Label Studio it learns from webhooks alone."""
    from feedback.connecting import policy_of
    from feedback.loop import Loop
    from feedback.platform import LabelStudio

    platform = LabelStudio(client_of(settings, store), store) if settings.has_label_studio else None
    return Loop(store, platform=platform, recipes=recipe_of, policies=policy_of, clock=time.time)


def recipe_of(control: Control, policy: Policy) -> Recipe:
    """The model that the policy names, or the default of the control."""
    from ml_backend.models import recipe_for

    if policy.model.hosted:
        from ml_backend.models.hosted import hosted

        return hosted(policy.model.hosted)
    return recipe_for(control)


def run_turn(settings: Settings, store: Store, project: str) -> Turn:
    """One turn now, under the lease that keeps two workers from one project."""
    from feedback.jobs.lease import lease

    known_project(store, project)
    loop = loop_of(settings, store)
    store.want(project, "turn")
    while (work := store.claim(_owner(), lease_s=30.0, kinds=("turn",), project=project)) is None:
        time.sleep(0.2)
    with lease(store, work, beat_s=5.0) as held:
        done = loop.turn(project, holds=held.holds)
    store.done(work)
    return done


def run_worker(settings: Settings) -> None:
    """Work until asked to stop; each connected project is polled every `poll_s`."""
    from feedback.jobs.tick import Worker

    _log_to_stderr(settings)
    with opened(settings) as store:
        loop = loop_of(settings, store)
        polled: dict[str, float] = {}

        def turn(project: str, holds: Callable[[], bool]) -> None:
            now = time.monotonic()
            poll = now - polled.get(project, -1e9) >= settings.poll_s
            loop.turn(project, holds=holds, poll=poll)
            if poll:
                polled[project] = now

        def want_polls() -> None:
            now = time.monotonic()
            for row in store.projects():
                if row.connected and now - polled.get(row.id, -1e9) >= settings.poll_s:
                    store.want(row.id, "turn")

        Worker(store, {"turn": turn}, owner=_owner(), tick_s=settings.tick_s).run(before_look=want_polls)


def application(settings: Settings) -> Flask:
    """The web application of one gunicorn worker; called after the fork."""
    from feedback.connecting import policy_of, webhook_secrets
    from feedback.learning.scene import project_draws
    from feedback.store import open_store
    from feedback.webhooks import Webhook
    from ml_backend.app import create_app
    from ml_backend.predictor import Predictor
    from ml_backend.records import Task

    _log_to_stderr(settings)
    store = open_store(settings.store_url, durability=settings.durability)

    def blind(project: str, task: Task) -> bool:
        row = store.project(project)
        return row is not None and project_draws(store, row, policy_of(row)).blind(task.data)

    predictor = Predictor(store.registry, blind=blind)
    return create_app(predictor, webhook=Webhook(store), secrets=webhook_secrets(settings, store), settings=settings)


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
