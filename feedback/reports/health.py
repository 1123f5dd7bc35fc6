"""Health: what is wrong now or was within the last day; each finding says what it is and what to do.

`find_problems` reads only the store and the disk: the pages, /health and /metrics show it. `list_findings` asks the
service and Label Studio as well, for `hitl status` and `hitl doctor`.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from feedback.errors import FeedbackError
from feedback.ingest.incidents import IncidentCounts, describe_incidents
from feedback.ingest.store_check import OTHER_STORE, check_store_of_service
from feedback.jobs.heartbeat import is_dead_here
from feedback.labelling_platform.service_account import find_bot
from feedback.reports.file_access import access_findings
from feedback.settings import Settings
from feedback.store import Heartbeat, InboxStatus, Store, WebhookArrival, describe_store
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.doctor import Finding
from ml_backend.number_format import format_counted, format_seconds

# the names of findings, each a gauge of /metrics
STORE, DISK, ACCESS, INBOX, JOB, REFUSED = "store", "disk", "file access", "inbox", "job", "refused requests"
WORKER, LABEL_STUDIO, WEBHOOK = "worker", "Label Studio", "webhook"
NAMES = (STORE, DISK, ACCESS, INBOX, JOB, REFUSED, WORKER, LABEL_STUDIO, WEBHOOK, OTHER_STORE)

_MIN_FREE_BYTES = 256 << 20  # of disk, for SQLite's write-ahead log and a backup
_MAX_INBOX_AGE_S = 10.0  # a running worker processes webhooks within a second
_SILENT_S = 25.0  # of a heartbeat that comes every 5 s, and of a main thread that waits within a step
_LONG_S, _TOO_LONG_S = 120.0, 600.0  # of a main thread that computes, or asks Label Studio, within a step
_RECENT_S = 3600.0
_ARRIVING_S = 5.0  # a webhook may be under way while a poll finds its answer; Label Studio gives up after 1 s
_RESTART = "Restart `hitl serve` after that: it reads its settings once."
_UNKNOWN_SECRET, _NOT_STORED = "webhook_secret_unknown", "webhook_not_stored"  # names of incidents


@dataclass(frozen=True, slots=True)
class ProjectFinding(Finding):
    """A finding about one project, which people without access to it do not see."""

    project: str = ""


def list_findings(settings: Settings, store: Store | None) -> list[Finding]:
    """Check the store, the disk, the workers, our service and Label Studio; each finding once."""
    here = _local_findings(settings) if store is None else service_findings(settings, store)
    return list({finding.what: finding for finding in [*here, *label_studio_findings(settings, store)]}.values())


def service_findings(settings: Settings, store: Store) -> list[Finding]:
    """Check the store, the disk and the workers, and ask our service; do not ask Label Studio."""
    found = find_problems(settings, store, IncidentCounts(store))
    try:
        return [*check_store_of_service(settings, store), *found]
    except FeedbackError:
        return found  # the store, of which they tell


def find_problems(
    settings: Settings, store: Store, incidents: IncidentCounts, *, inbox_only: bool = False
) -> list[Finding]:
    """Return what the store and the disk show, the errors first; `inbox_only` as in `Store.check_writable`."""
    now_s, found = time.time(), _local_findings(settings)
    try:
        arrivals = store.liveness.list_webhook_arrivals()
        found += _incident_findings(settings, incidents, arrivals, now_s=now_s)
        found += _job_findings(store)
        found += _inbox_findings(store.get_inbox_status(), now_s=now_s)
        found += worker_findings(store.liveness.list_heartbeats(), now_s=now_s)
        if not any(finding.name == OTHER_STORE and finding.severity == "error" for finding in found):
            found += _webhook_findings(settings, store, arrivals, now_s=now_s)  # else they arrive, and are refused
    except FeedbackError as error:
        found.append(Finding(STORE, "error", f"the store cannot be read: {error}", error.hint))
    else:
        try:
            store.check_writable(inbox_only=inbox_only)
        except FeedbackError as error:
            found.append(Finding(STORE, "error", f"the store cannot be written: {error}", error.hint))
    return sorted(found, key=lambda finding: finding.severity != "error")


def label_studio_findings(settings: Settings, store: Store | None, *, timeout_s: float = 2.0) -> list[Finding]:
    """Ask Label Studio who we are, with the token of the settings and with that of the service account."""
    if not settings.has_label_studio:
        return []
    try:
        bot = find_bot(store, settings.label_studio_url) if store else None
    except FeedbackError:
        bot = None
    found: list[Finding] = []
    tokens = {settings.label_studio_api_key: "LABEL_STUDIO_API_KEY"} | (
        {bot.token: "our service account"} if bot else {}
    )
    for token, name in tokens.items():
        try:
            with Client(settings.label_studio_url, token, timeout_s=timeout_s, tries=1) as client:
                client.me()
        except LabelStudioError as error:
            if error.status not in (401, 403):
                return [Finding(LABEL_STUDIO, "error", str(error), error.hint)]
            is_ours = bot is not None and token == bot.token
            fix = "Run `hitl connect PROJECT`, which gets a new one." if is_ours else f"{error.hint} {_RESTART}"
            found.append(Finding(LABEL_STUDIO, "error", f"Label Studio refuses the token of {name}: {error}", fix))
    return found


def worker_findings(rows: Sequence[Heartbeat], *, now_s: float) -> Iterator[Finding]:
    """Find that no worker works, by the heartbeats of all; `now_s` is in epoch seconds.

    A worker that was stopped writes no heartbeat. One that hangs writes it, but its main thread neither moves on nor
    uses the processor. One that computes for long, as a training does, or that asks Label Studio, is at work.
    """
    alive = [row for row in rows if now_s - row.beat_s <= _SILENT_S]
    if not rows:
        what = "no worker runs on this store: answers are kept, but nothing is learned and no queue is written."
        yield Finding(WORKER, "error", what, "Start `hitl serve`, or `hitl worker`, with this store.")
    for row in rows:
        host, _, process = row.worker.rpartition(":")
        silent_s, waits_s = now_s - row.beat_s, row.beat_s - max(row.step_s, row.busy_s)
        step = f"in “{row.step}”" if row.step else "while it waits for work"
        end = (
            f"end it (`kill -9 {process}` on {host}, or `docker restart {host}` where that is a container): "
            "`hitl serve` starts another, which repeats what was under way."
        )
        if row not in alive:
            has_died, is_here = is_dead_here(row), host == socket.gethostname()
            why = "it has died" if has_died else "it is stopped" if is_here else "it is stopped or has died"
            what = f"the worker {row.worker} has given no sign of life for {format_seconds(silent_s)}: {why}."
            fix = f"Start `hitl serve` again on {host}. If it runs, compare both clocks."
            if is_here:
                fix = "Start `hitl serve` again." if has_died else f"To go on, {end}"
            yield Finding(WORKER, "warning" if alive else "error", what, fix)
        elif waits_s > _SILENT_S:
            what = f"the worker {row.worker} hangs: it has done nothing for {format_seconds(waits_s)} {step}."
            yield Finding(WORKER, "error", what, f"If the database is slow, wait; else {end}")
        elif (works_s := row.beat_s - row.step_s) > _LONG_S:
            what = f"the worker {row.worker} has been busy for {format_seconds(works_s)} {step}."
            fix = f"If neither a training nor an answer of Label Studio takes so long, {end}"
            yield Finding(WORKER, "error" if works_s > _TOO_LONG_S else "warning", what, fix)
    if trouble := next((row for row in alive if row.label_studio), None):
        yield Finding(LABEL_STUDIO, "error", trouble.label_studio, trouble.remedy)


class RecentProblems:
    """What `find_problems` found a moment ago, so that many pages and programs may ask."""

    def __init__(self, find: Callable[[], Sequence[Finding]], *, every_s: float = 5.0) -> None:
        self._find, self._every_s = find, every_s
        self._lock = threading.Lock()
        self._read_s = float("-inf")
        self._found: Sequence[Finding] = ()

    def __call__(self) -> Sequence[Finding]:
        """Return what was found within the last seconds; while one caller looks again, the others do not wait."""
        is_first = self._read_s < 0.0  # nothing is known yet, which is not that all is well
        if time.monotonic() - self._read_s >= self._every_s and self._lock.acquire(blocking=is_first):
            try:
                self._found, self._read_s = self._find(), time.monotonic()
            finally:
                self._lock.release()
        return self._found


def describe_health(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return what /health says about findings; to answer at all is to be alive.

    Ready means that answers are taken, that models learn from them, and that the queue is written.
    """
    return {"ready": all(finding.severity != "error" for finding in findings), "findings": list(map(asdict, findings))}


def health_gauges(findings: Sequence[Finding]) -> dict[str, float]:
    """Return the gauges of /metrics: whether we are ready, and the number of findings of each name."""
    counts = {name: sum(finding.name == name for finding in findings) for name in NAMES}
    gauges = {f"hitl_findings_{name.lower().replace(' ', '_')}": float(count) for name, count in counts.items()}
    return {"hitl_ready": float(describe_health(findings)["ready"]), **gauges}


def _local_findings(settings: Settings) -> list[Finding]:
    return [*_disk_findings(settings), *access_findings(settings.data_dir)]


def _disk_findings(settings: Settings) -> Iterator[Finding]:
    if settings.database_url:
        return  # the disk of another host
    try:
        free = shutil.disk_usage(settings.data_dir).free
    except OSError as error:
        what = f"the data directory {settings.data_dir} cannot be read: {error.strerror}."
        yield Finding(DISK, "error", what, "Set HITL_DATA_DIR to a directory that this user may read and write.")
        return
    if free < _MIN_FREE_BYTES:
        what = f"the disk of {settings.data_dir} has only {free >> 20} MiB left."
        yield Finding(DISK, "error", what, "Free some space: on a full disk no answer is taken.")


def _incident_findings(
    settings: Settings, incidents: IncidentCounts, arrivals: Sequence[WebhookArrival], *, now_s: float
) -> Iterator[Finding]:
    counts = incidents.read(now_s=now_s)

    def severity(event: str) -> Literal["error", "warning"]:
        """Return whether it happens now: recently, and no webhook has come since."""
        last_s = incidents.last_s[event]
        return "warning" if now_s - last_s > _RECENT_S or any(row.arrived_s > last_s for row in arrivals) else "error"

    if refused := counts.pop(_UNKNOWN_SECRET, 0):
        ago_s = max(0.0, now_s - incidents.last_s[_UNKNOWN_SECRET])
        (told,) = describe_incidents({_UNKNOWN_SECRET: refused})
        yield Finding(
            OTHER_STORE,
            severity(_UNKNOWN_SECRET),
            f"within a day {told}, the last one {format_seconds(ago_s)} ago: HITL_WEBHOOK_SECRET was "
            f"changed after `hitl connect`, or another store connected the project.",
            f"Run `hitl connect PROJECT` again with this store, {describe_store(settings.store_url)}; or run `hitl "
            "serve` with the store, and the HITL_WEBHOOK_SECRET, with which it ran.",
        )
    if lost := counts.pop(_NOT_STORED, 0):
        (told,) = describe_incidents({_NOT_STORED: lost})
        fix = "Look at the disk and the database: space, rights, locks. The log of the web process has the reason."
        yield Finding(INBOX, severity(_NOT_STORED), f"within a day: {told}.", fix)
    for line in describe_incidents(counts):
        yield Finding(REFUSED, "warning", f"within a day: {line}.", "The log of the web process tells of them.")


def _job_findings(store: Store) -> Iterator[Finding]:
    for row in store.jobs.list_jobs():
        if row.tries and row.reason:
            what = (
                f"project {row.project}: {row.kind} failed {format_counted(row.tries, 'time', 'times')}: {row.reason}"
            )
            fix = f"It is tried again by itself; `hitl store unpark {row.project}` tries it now. The log has more."
            severity: Literal["error", "warning"] = "error" if row.state == "parked" else "warning"
            yield ProjectFinding(JOB, severity, what, fix, project=row.project)


def _inbox_findings(waiting: InboxStatus, *, now_s: float) -> Iterator[Finding]:
    for reason in waiting.problems:
        what = f"a webhook is stored but cannot be processed: {reason}"
        yield Finding(
            INBOX, "warning", what, "It is tried again when the worker starts. Please report it with the log."
        )
    if waiting.oldest_s is not None and (age_s := now_s - waiting.oldest_s) > _MAX_INBOX_AGE_S:
        webhooks = format_counted(waiting.deliveries, "webhook has", "webhooks have")
        what = f"the inbox fills up: {webhooks} waited for {format_seconds(age_s)}."
        yield Finding(INBOX, "error", what, "Check that `hitl worker` runs; its log says why it does not take them.")


def _webhook_findings(
    settings: Settings, store: Store, arrivals: Sequence[WebhookArrival], *, now_s: float
) -> Iterator[Finding]:
    silent = [row for row in arrivals if row.polled and now_s - row.polled_s > _ARRIVING_S]
    connected = {row.id for row in store.projects.list_projects() if row.connected} if silent else set()
    for row in silent:
        if row.project in connected:
            last = (
                f"the last one came {format_seconds(now_s - row.arrived_s)} ago" if row.arrived_s else "none ever came"
            )
            yield ProjectFinding(
                WEBHOOK,
                "error",
                f"webhooks of project {row.project} do not arrive ({last}): polls alone found "
                f"{format_counted(row.polled, 'answer', 'answers')}, each up to {settings.poll_s:.0f} s late.",
                f"Label Studio must reach {settings.url}/webhook: look at proxy and firewall, and start it with "
                f"SSRF_PROTECTION_ENABLED=false for a private network. `hitl doctor {row.project}` finds more.",
                project=row.project,
            )
