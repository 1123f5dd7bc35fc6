"""Health: problems of the service now or within the last day, each in one sentence."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from http import HTTPStatus

from feedback.errors import FeedbackError
from feedback.ingest.incidents import IncidentCounts, describe_incidents
from feedback.reports.file_access import access_problems
from feedback.settings import Settings
from feedback.store import InboxStatus, Store

_MIN_FREE_BYTES = 256 << 20  # of disk, for SQLite's write-ahead log and a backup
_TIMEOUT_S = 2.0
_MAX_INBOX_AGE_S = 10.0


def list_problems(settings: Settings, store: Store | None) -> list[str]:
    """Check the store, the disk, our web process and Label Studio; return the problems as sentences."""
    label_studio = settings.label_studio_url.rstrip("/")
    return [
        *_store_problems(store),
        *_disk_problems(settings),
        *access_problems(settings.data_dir),
        *web_problems(settings),
        *(_check_health(label_studio, "Label Studio") if label_studio else ()),
    ]


def _store_problems(store: Store | None) -> list[str]:
    if store is None:
        return []
    try:
        found = [f"within a day: {line}" for line in describe_incidents(IncidentCounts(store).read(now_s=time.time()))]
        found += [
            f"project {row.project}: {row.kind} failed {row.tries} times: {row.reason}"
            for row in store.jobs.list_jobs()
            if row.tries and row.reason
        ]
        found += _inbox_problems(store.get_inbox_status(), now_s=time.time())
    except FeedbackError as error:
        return [f"the store cannot be read: {error}"]
    try:
        store.check_writable()
    except FeedbackError as error:
        found.insert(0, f"the store cannot be written: {error}")
    return found


def _inbox_problems(waiting: InboxStatus, *, now_s: float) -> list[str]:
    """Return inbox problems; a running worker processes webhooks within a second."""
    found = [f"a webhook is stored but cannot be processed: {reason}" for reason in waiting.problems]
    if waiting.oldest_s is not None and now_s - waiting.oldest_s > _MAX_INBOX_AGE_S:
        age_s = now_s - waiting.oldest_s
        found.append(f"{waiting.deliveries} webhook(s) have waited for {age_s:.0f} s. Check that `hitl worker` runs.")
    return found


def _disk_problems(settings: Settings) -> list[str]:
    if settings.database_url:
        return []  # the disk of another host
    try:
        free = shutil.disk_usage(settings.data_dir).free
    except OSError as error:
        return [f"the data directory cannot be read: {error.strerror}"]
    return [f"the disk of the data directory has only {free >> 20} MiB left"] if free < _MIN_FREE_BYTES else []


def web_problems(settings: Settings) -> list[str]:
    """Check our own /health, as Label Studio would see it, but never through a proxy."""
    return _check_health(settings.url, "the web process", urllib.request.ProxyHandler({}))


def _check_health(url: str, who: str, *handlers: urllib.request.BaseHandler) -> list[str]:
    try:
        with urllib.request.build_opener(*handlers).open(f"{url}/health", timeout=_TIMEOUT_S) as answer:
            return [] if answer.status == HTTPStatus.OK else [f"{url}/health answers {answer.status}"]
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return [f"{who} does not answer at {url}: {reason}"]
