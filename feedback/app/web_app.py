"""The web process: the Flask application of one gunicorn worker, made after the fork."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from flask import Flask

from feedback.app.bootstrap import load_settings, make_model_factory
from feedback.app.logging import log_to_stderr
from feedback.dashboard import AccessSettings, DashboardConfig, LabelStudioAccounts, SharedAttempts, pages
from feedback.ingest.incidents import IncidentCounts, IncidentRecorder
from feedback.ingest.signals import make_signal_mount
from feedback.ingest.webhook_handler import CircuitBreaker, WebhookHandler
from feedback.policy import Policy
from feedback.project.connect import webhook_secrets
from feedback.project.indicators import make_indicator_reader
from feedback.project.snapshot import load_splits
from feedback.reports.health import RecentProblems, describe_health, find_problems, health_gauges
from feedback.reports.project_status import service_gauges
from feedback.settings import Settings
from feedback.store import Store, open_store
from ml_backend.app import Limits, Metrics, Security, TrustedProxies, create_app, freeze_startup_objects
from ml_backend.app.metrics import Values
from ml_backend.host_names import KnownHosts, host_name, read_host_names
from ml_backend.labelstudio.doctor import Finding
from ml_backend.predictor import IndicatorReader, Predictor
from ml_backend.records import Task

_ANSWER_S = 90.0  # of a prediction: Label Studio waits 100 s, and then reads no answer


def create() -> Flask:
    """Return the application for the settings of the environment; gunicorn calls `feedback.app.web_app:create()`."""
    return freeze_startup_objects(make_application(load_settings()))


def make_application(settings: Settings) -> Flask:
    """Return the web application: ML backend, webhook, signals and pages over one store."""
    log_to_stderr(settings)
    # Label Studio waits one second for a webhook: to wait longer for a lock only keeps a thread busy
    store = open_store(settings.store_url, durability=settings.durability, wait_s=1.0, patient=True)
    incidents = IncidentRecorder(store, clock=time.time)
    incidents.start()
    incident_counts = IncidentCounts(store)
    problems = RecentProblems(lambda: find_problems(settings, store, incident_counts, inbox_only=True))
    metrics = Metrics(lambda: _read_gauges(store, incident_counts, problems()), on_count=incidents.count)

    def blind(project: str) -> Callable[[Task], bool]:
        row = store.projects.get_project(project)
        if row is None:
            return lambda _task: False
        draws = load_splits(store, row, row.policy)
        return lambda task: draws.blind(task.data)

    def read_indicators(project: str) -> IndicatorReader:
        row = store.projects.get_project(project)
        return make_indicator_reader(store, project, row.policy if row else Policy())

    def secrets() -> tuple[str, ...]:
        # before the first connect Label Studio has no secret: on loopback, webhooks need none
        return webhook_secrets(settings, store) if settings.secrets or store.secrets.get_secret("webhook") else ()

    webhook = WebhookHandler(store, count=metrics.count)
    return create_app(
        Predictor(
            store.registry,
            blind=blind,
            read_indicators=read_indicators,
            load=make_model_factory(settings, store, media_within_s=_ANSWER_S / 2).load,
            count=metrics.count,
            within_s=_ANSWER_S,
        ),
        webhook=CircuitBreaker(webhook, count=metrics.count),
        job_status=webhook.job_status,
        limits=Limits(body_bytes=settings.max_body_mib << 20, tasks=settings.max_tasks),
        security=Security(
            settings.basic_auth_user,
            settings.basic_auth_password,
            secrets,
            SharedAttempts(store.sessions, "service"),
            TrustedProxies.read(settings.trusted_proxies),
            _known_hosts(settings),
            urlsplit(settings.url).netloc,
        ),
        metrics=metrics,
        mounts=[make_signal_mount(store), pages(_dashboard_config(settings, store, problems))],
        health_details=lambda: describe_health(problems()),
    )


def _known_hosts(settings: Settings) -> KnownHosts:
    """Return the names under which we are reached: what we listen on, what Label Studio was told, and what is set."""
    urls = [urlsplit(url).netloc for url in (settings.url, settings.pages_link_url)]
    names = [settings.host, *urls, *settings.allowed_hosts.split(",")]
    if not settings.loopback:
        names.append(socket.gethostname())
    return KnownHosts(read_host_names(filter(host_name, names)), beyond_loopback=not settings.loopback)


def _dashboard_config(settings: Settings, store: Store, problems: RecentProblems) -> DashboardConfig:
    """Return the settings of the pages; they are open without sign-in only where this machine alone reaches them."""
    label_studio_url, public = settings.label_studio_url, urlsplit(settings.url)
    return DashboardConfig(
        store,
        AccessSettings(secure=public.scheme == "https", open=settings.open_to_look, public=public.netloc),
        LabelStudioAccounts(label_studio_url, settings.label_studio_api_key) if label_studio_url else None,
        SharedAttempts(store.sessions, "pages", burst=10, every_s=30.0),
        settings.label_studio_link_url,
        problems,
    )


def _read_gauges(store: Store, incident_counts: IncidentCounts, problems: Sequence[Finding]) -> Values:
    """Return the gauges of /metrics that come from the store, which is the same for all web processes."""
    incidents = incident_counts.read(now_s=time.time())
    of_day = {f"hitl_day_{name}": float(number) for name, number in incidents.items()}
    return service_gauges(store) | health_gauges(problems) | of_day
