"""Health: problems of the service now or within the last day, each in one sentence."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from http import HTTPStatus

from feedback.errors import FeedbackError
from feedback.ingest.incidents import IncidentCounts, describe_incidents
from feedback.settings import Settings
from feedback.store import InboxStatus, Store

_LITTLE_BYTES = 256 << 20  # of free space: SQLite's write-ahead log and a backup must fit
_PATIENCE_S = 2.0
_LATE_S = 10.0  # for what webhooks brought to wait


def troubles(settings: Settings, store: Store | None) -> list[str]:
    """Look at the store, the disk and our own web half; [] where nothing is wrong."""
    return [*_of_store(store), *_of_disk(settings), *of_web(settings), *_of_label_studio(settings)]


def _of_store(store: Store | None) -> list[str]:
    if store is None:
        return []
    try:
        found = [f"within a day: {one}" for one in describe_incidents(IncidentCounts(store).read(now_s=time.time()))]
        found += [
            f"project {row.project}: {row.kind} failed {row.tries} times: {row.reason}"
            for row in store.jobs.list_jobs()
            if row.tries and row.reason
        ]
        found += _of_inbox(store.get_inbox_status(), now_s=time.time())
    except FeedbackError as error:
        return [f"the store cannot be read: {error}"]
    try:
        store.check_writable()
    except FeedbackError as error:
        found.insert(0, f"the store cannot be written: {error}")
    return found


def _of_inbox(waiting: InboxStatus, *, now_s: float) -> list[str]:
    """What webhooks brought is taken in within a second wherever a worker runs."""
    found = [f"a webhook's events are kept but cannot be taken in: {reason}" for reason in waiting.problems]
    if waiting.oldest_s is not None and now_s - waiting.oldest_s > _LATE_S:
        late = f"{waiting.deliveries} webhook(s) wait since {now_s - waiting.oldest_s:.0f} s: does `hitl worker` run?"
        found.append(late)
    return found


def _of_disk(settings: Settings) -> list[str]:
    if settings.database_url:
        return []  # the disk of another host
    try:
        free = shutil.disk_usage(settings.data_dir).free
    except OSError as error:
        return [f"the data directory cannot be read: {error.strerror}"]
    return [f"the disk of the data directory has only {free >> 20} MiB left"] if free < _LITTLE_BYTES else []


def of_web(settings: Settings) -> list[str]:
    """Ask our own /health, as Label Studio would; a check of ours must not go through a proxy. [] where it answers."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return _asked(direct, settings.url, "the web half")


def _of_label_studio(settings: Settings) -> list[str]:
    if not settings.label_studio_url:
        return []
    return _asked(urllib.request.build_opener(), settings.label_studio_url.rstrip("/"), "Label Studio")


def _asked(opener: urllib.request.OpenerDirector, url: str, who: str) -> list[str]:
    try:
        with opener.open(f"{url}/health", timeout=_PATIENCE_S) as answer:
            return [] if answer.status == HTTPStatus.OK else [f"{url}/health answers {answer.status}"]
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return [f"{who} does not answer at {url}: {reason}"]
