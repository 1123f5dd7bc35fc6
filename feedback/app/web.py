"""The web half, composed: what gunicorn calls in each of its workers, after the fork."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Flask

from feedback.app.bootstrap import settings_from_environment, workshop_of
from feedback.app.logging import log_to_stderr
from feedback.settings import Settings
from ml_backend.app.wsgi import settle

if TYPE_CHECKING:
    from feedback.dashboard import DashboardConfig
    from feedback.store import Store


def create() -> Flask:
    """Make the application from the environment's settings; gunicorn's `feedback.app.web:create()`."""
    return settle(application(settings_from_environment()))


def application(settings: Settings) -> Flask:
    """The web application of one gunicorn worker; called after the fork."""
    from feedback.dashboard import SharedAttempts, pages
    from feedback.ingest.circuit_breaker import Breaker
    from feedback.ingest.incidents import Incidents
    from feedback.ingest.signals import mount_signals
    from feedback.ingest.webhook_handler import Webhook
    from feedback.policy import Policy
    from feedback.project.connect import policy_of, webhook_secrets
    from feedback.project.indicators import make_indicator_reader
    from feedback.project.snapshot import project_draws
    from feedback.store import open_store
    from ml_backend.app import Limits, Metrics, Security, TrustedProxies, create_app
    from ml_backend.loaded_models import IndicatorReader
    from ml_backend.predictor import Predictor
    from ml_backend.records import Task

    log_to_stderr(settings)
    # Label Studio waits for a webhook one second: whoever waits longer for a lock only keeps a thread from others
    store = open_store(settings.store_url, durability=settings.durability, wait_s=1.0, patient=True)
    incidents = Incidents(store, clock=time.time)
    incidents.start()
    metrics = Metrics(lambda: gauges(store), also=incidents.count)

    def blind(project: str) -> Callable[[Task], bool]:
        row = store.projects.get_project(project)
        if row is None:
            return lambda _task: False
        draws = project_draws(store, row, policy_of(row))
        return lambda task: draws.blind(task.data)

    def read_indicators(project: str) -> IndicatorReader:
        row = store.projects.get_project(project)
        return make_indicator_reader(store, project, policy_of(row) if row else Policy())

    def secrets() -> tuple[str, ...]:
        # a service that nobody has connected has told its secret to nobody: on loopback it listens to all
        return webhook_secrets(settings, store) if settings.secrets or store.secrets.get_secret("webhook") else ()

    webhook = Webhook(store)
    return create_app(
        Predictor(
            store.registry,
            blind=blind,
            read_indicators=read_indicators,
            load=workshop_of(settings, store).load,
            count=metrics.count,
        ),
        webhook=Breaker(webhook, count=metrics.count),
        job_status=webhook.job_status,
        limits=Limits(body_bytes=settings.max_body_mib << 20, tasks=settings.max_tasks),
        security=Security(
            settings.basic_auth_user,
            settings.basic_auth_password,
            secrets,
            SharedAttempts(store.sessions, "service"),
            TrustedProxies.read(settings.trusted_proxies),
        ),
        metrics=metrics,
        mounts=[mount_signals(store), pages(dashboard_config(settings, store))],
    )


def dashboard_config(settings: Settings, store: Store) -> DashboardConfig:
    """What the pages are made from. They are open to look at only where nobody but this machine can reach them."""
    from urllib.parse import urlsplit

    from feedback.dashboard import AccessSettings, DashboardConfig, LabelStudioAccounts, SharedAttempts
    from feedback.project.connect import policy_of

    known = settings.label_studio_url
    public = urlsplit(settings.url)
    return DashboardConfig(
        store,
        policy_of,
        AccessSettings(secure=public.scheme == "https", open=settings.open_to_look, public=public.netloc),
        LabelStudioAccounts(known, settings.label_studio_api_key) if known else None,
        SharedAttempts(store.sessions, "pages", burst=10, every_s=30.0),
        settings.label_studio_public_url or known,
    )


def gauges(store: Store) -> dict[str, float]:
    """What /metrics says of the store: one source for all workers, so that nothing is summed twice."""
    from feedback.ingest.incidents import last_day
    from feedback.reports.project_status import service_gauges

    met = last_day(store, now_s=time.time())
    return service_gauges(store) | {f"hitl_day_{name}": float(number) for name, number in met.items()}
