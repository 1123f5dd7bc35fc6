"""Connect a project and disconnect it: every change is planned, listed, recorded, and undone exactly."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.delete_predictions import delete_versions
from ml_backend.labelstudio.parsing import SECRET_HEADER
from ml_backend.labelstudio.settings_snapshot import (
    WANTED_SETTINGS,
    SettingsSnapshot,
    find_by_url,
    mark_hidden_tasks,
    restore_overlaps,
    take_settings_snapshot,
)
from ml_backend.labelstudio.transport import Json

TITLE = "hitl"  # of our ML backend; no model version may have this name
DOT_HINT = "Give the service a network alias with a dot (hitl.internal), or use an IP address or localhost."
_OURS = re.compile(r"(?P<model>.+)\+q\d+")  # the model version of queue rows


@dataclass(frozen=True, slots=True)
class Change:
    """One change that connecting makes in Label Studio."""

    what: str
    before: Any
    after: Any
    why: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.before!r} -> {self.after!r}" + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True, slots=True)
class Connection:
    """The changes that connecting made (in a dry run: would make), and the settings before."""

    changes: tuple[Change, ...]
    settings_snapshot: SettingsSnapshot | None  # None for a dry run


def connect(
    client: Client,
    project: str,
    *,
    backend_url: str,
    webhook_secret: str,
    basic_auth: tuple[str, str] | None = None,
    earlier: SettingsSnapshot | None = None,
    save: Callable[[SettingsSnapshot], None] = lambda _: None,
    forget: Callable[[], None] = lambda: None,
    dry_run: bool = False,
) -> Connection:
    """Connect a project: first the webhook, then the ML backend, then the settings that our order needs.

    Safe to repeat. A first connect that fails is rolled back; the hint of the LabelStudioError says whether the project
    was put back.

    Parameters
    ----------
    backend_url
        Where Label Studio reaches this service.
    basic_auth
        User and password for Label Studio's requests to the ML backend.
    earlier
        The settings snapshot of the first connect, where there was one.
    save
        Gets a new snapshot before any change, so that an interrupted connect can be undone.
    forget
        Called after a rollback: the snapshot is no longer valid, because settings may change before the next try.
    """
    backend_url = backend_url.rstrip("/")
    webhook_url = f"{backend_url}/webhook"
    if host := host_without_dot(backend_url):
        raise LabelStudioError(f"Label Studio accepts no webhook for a host without a dot: {host!r}.", hint=DOT_HINT)
    body = client.project(project)
    headers = {SECRET_HEADER: webhook_secret}
    changes = plan_changes(client, body, backend_url=backend_url, webhook_url=webhook_url, headers=headers)
    if dry_run:
        return Connection(changes, None)
    taken = earlier or take_settings_snapshot(client, body, backend_url=backend_url, webhook_url=webhook_url)
    settings_snapshot = earlier or without_leftovers(taken)
    if earlier is None:
        save(settings_snapshot)
    try:
        _set_webhook(client, project, webhook_url, headers)
        _set_backend(client, project, backend_url, basic_auth)
        _set_settings(client, project, settings_snapshot)
    except LabelStudioError as error:
        if earlier is None:
            advice = f"`hitl doctor {project}` shows the reason."
            error.hint = f"{error.hint} {advice} {_roll_back(client, settings_snapshot, forget)}".strip()
        raise
    return Connection(changes, settings_snapshot)


def plan_changes(
    client: Client, project: Json, *, backend_url: str, webhook_url: str, headers: Mapping[str, str]
) -> tuple[Change, ...]:
    """Return every change that connecting would make to a project as it is now; () where it is connected."""
    number = str(project["id"])
    backends = client.backends(number)
    changes = []
    webhook = find_by_url(client.webhooks(number), webhook_url)
    if webhook is None:
        changes.append(Change("webhook", None, webhook_url, "with a secret header, unlike Label Studio's own"))
    elif any(webhook[name] != wanted for name, wanted in _webhook_wanted(headers).items()):
        changes.append(Change("webhook", "changed by somebody", "switched on, every event, our secret header"))
    if find_by_url(backends, backend_url) is None:
        changes.append(Change("ML backend", None, backend_url))
    for name, (wanted, why) in WANTED_SETTINGS.items():
        if project[name] != wanted:
            changes.append(Change(name, project[name], wanted, why))
    if project["maximum_annotations"] > 1:
        votes = project["maximum_annotations"]
        others = "the second vote is" if votes == 2 else f"votes 2 to {votes} are"
        changes.append(Change("overlap of every task", votes, 1, f"{others} reached by re-opening"))
    version = _static_version(project["model_version"], backends)
    if (project["model_version"] or "") != version:
        why = "a backend's title means random order"
        changes.append(Change("model_version", project["model_version"], version, why))
    return tuple(changes)


def disconnect(client: Client, settings_snapshot: SettingsSnapshot, *, versions: Iterable[str] = ()) -> tuple[str, ...]:
    """Restore a project exactly, and remove our backend, webhook and predictions; return notes on what stays.

    Safe to repeat. Our predictions are those of versions `M+qN`, their `M`, and `versions`.
    """
    project = settings_snapshot.project
    notes: list[str] = []
    backend = find_by_url(client.backends(project), settings_snapshot.backend_url)
    if settings_snapshot.model_version is None and backend is not None:
        client.patch_project(project, model_version=backend["title"])
        client.delete_model_version(project, "hitl-no-such-version")  # only a deletion sets model_version to null
    elif client.project(project)["model_version"] not in (None, ""):
        client.patch_project(project, model_version="")
    if settings_snapshot.backend is None and backend is not None:
        client.delete_backend(backend["id"])
    delete_versions(client, project, our_versions(client, settings_snapshot, versions))
    restore_overlaps(client, settings_snapshot)
    client.patch_project(project, **settings_snapshot.settings)
    if settings_snapshot.model_version:  # set after show_collab_predictions, which empties it
        try:
            client.patch_project(project, model_version=settings_snapshot.model_version)
        except LabelStudioError as error:
            if error.status != 400:
                raise
            notes.append(f"model version {settings_snapshot.model_version!r} was deleted; model_version stays empty")
    webhook = find_by_url(client.webhooks(project), settings_snapshot.webhook_url)
    if webhook is not None and settings_snapshot.webhook is None:
        client.delete_webhook(webhook["id"])
    elif webhook is not None and settings_snapshot.webhook is not None:
        names = ("url", "headers", "is_active", "send_payload", "send_for_all_actions", "actions")
        client.patch_webhook(webhook["id"], **{name: settings_snapshot.webhook[name] for name in names})
    if settings_snapshot.remains:
        notes.append("its settings stay as they are: they were changed by an earlier connection whose store is lost")
    return tuple(notes)


def without_leftovers(settings_snapshot: SettingsSnapshot) -> SettingsSnapshot:
    """Remove from a snapshot what an earlier connection left, whose store is lost, so that disconnecting removes it."""
    webhook, backend = settings_snapshot.webhook, settings_snapshot.backend
    if webhook is None or SECRET_HEADER not in webhook["headers"]:
        return settings_snapshot
    ours = _queue_versions(settings_snapshot.versions)
    return replace(
        settings_snapshot,
        webhook=None,
        backend=None if backend is not None and backend["title"] == TITLE else backend,
        versions=tuple(version for version in settings_snapshot.versions if version not in ours),
        model_version="" if settings_snapshot.model_version in ours else settings_snapshot.model_version,
        remains=True,
    )


def _roll_back(client: Client, settings_snapshot: SettingsSnapshot, forget: Callable[[], None]) -> str:
    try:
        disconnect(client, settings_snapshot)
    except LabelStudioError as error:
        return f"The project could not be restored ({error}); disconnect it when Label Studio answers again."
    forget()
    return "The project was restored."


def our_versions(client: Client, settings_snapshot: SettingsSnapshot, versions: Iterable[str] = ()) -> list[str]:
    """Return the model versions that we wrote into a project since the snapshot."""
    now = [row["model_version"] for row in client.model_versions(settings_snapshot.project)]
    ours = _queue_versions(filter(None, now)).union(versions)
    return [version for version in now if version in ours and version not in settings_snapshot.versions]


def _queue_versions(versions: Iterable[str]) -> set[str]:
    """Return those of these model versions that are ours, `M+qN`, with their `M`."""
    return {name for match in map(_OURS.fullmatch, versions) if match for name in (match[0], match["model"])}


def _set_webhook(client: Client, project: str, url: str, headers: Mapping[str, str]) -> None:
    found = find_by_url(client.webhooks(project), url)
    if found is None:
        client.create_webhook(project, url=url, headers=headers)
    else:
        client.patch_webhook(found["id"], url=url, **_webhook_wanted(headers))


def _webhook_wanted(headers: Mapping[str, str]) -> Json:
    return {"headers": dict(headers), "is_active": True, "send_payload": True, "send_for_all_actions": True}


def _set_backend(client: Client, project: str, url: str, basic_auth: tuple[str, str] | None) -> None:
    login = {"basic_auth_user": basic_auth[0], "basic_auth_pass": basic_auth[1]} if basic_auth else {}
    found = find_by_url(client.backends(project), url)
    if found is None:
        client.create_backend(project, url=url, title=TITLE, description="label-studio-hitl", **login)
    elif login:
        client.patch_backend(found["id"], project, url=url, **login)


def _set_settings(client: Client, project: str, settings_snapshot: SettingsSnapshot) -> None:
    now = client.project(project)
    changed = {name: wanted for name, (wanted, _) in WANTED_SETTINGS.items() if now[name] != wanted}
    version = _static_version(now["model_version"], client.backends(project))
    if changed:
        client.patch_project(project, **changed)
    if "maximum_annotations" in changed:
        mark_hidden_tasks(client, settings_snapshot)
    if client.project(project)["model_version"] != version:
        client.patch_project(project, model_version=version)


def _static_version(version: str | None, backends: list[Json]) -> str:
    """Keep the version of stored predictions until the first window, but no backend's title: it means random order."""
    return "" if version is None or version in {TITLE, *(row["title"] for row in backends)} else version


def host_without_dot(url: str) -> str:
    """Return the host of an address where Label Studio accepts no webhook for it, else "".

    >>> host_without_dot("http://hitl:9090"), host_without_dot("http://hitl.internal:9090")
    ('hitl', '')
    """
    host = urlsplit(url).hostname or ""
    return "" if host == "localhost" or "." in host or ":" in host else host
