"""Connect a project and disconnect it: every change is planned, listed, recorded, and undone exactly."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.delete_predictions import delete_versions
from ml_backend.labelstudio.parsing import SECRET_HEADER
from ml_backend.labelstudio.transport import Json
from ml_backend.labelstudio.verified_writes import create_single

TITLE = "hitl"  # of our ML backend; no model version may have this name
DOT_HINT = "Give the service a network alias with a dot (hitl.internal), or use an IP address or localhost."
_MAX_SINGLE = 200  # a single correction costs 0.1 s; with more, the bulk reset is faster

UNCERTAINTY = "Uncertainty sampling"

# all settings that connecting may change, in the order of restoring: the wanted value, and why
WANTED_SETTINGS: Mapping[str, tuple[Any, str]] = {
    "sampling": (UNCERTAINTY, "so that Label Studio serves tasks in our order"),
    "show_collab_predictions": (True, "so that people see pre-annotations"),
    "evaluate_predictions_automatically": (False, "it would ask for predictions on every page"),
    "min_annotations_to_start_training": (0, "people would wait for training when they submit"),
    "maximum_annotations": (1, "above 1 Label Studio serves started tasks first, not our order"),
    "show_overlap_first": (False, "it would serve re-opened tasks before our order"),
    "annotator_evaluation_enabled": (False, "it would serve ground-truth tasks before our order"),
}
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
class SettingsSnapshot:
    """A project before it was connected."""

    project: str
    settings: Mapping[str, Any] = field(hash=False)  # of WANTED_SETTINGS
    model_version: str | None
    versions: tuple[str, ...]  # model versions that had predictions
    overlaps: Mapping[int, int] = field(hash=False)  # tasks whose overlap was not the project's
    hidden: tuple[int, ...]  # tasks marked as labelled by hand, with too few annotations
    backend_url: str  # ours
    webhook_url: str  # ours
    backend: Mapping[str, Any] | None = field(default=None, hash=False)  # a backend that had our address already
    webhook: Mapping[str, Any] | None = field(default=None, hash=False)
    remains: bool = False  # a lost store of ours had connected it: `settings` are not the original ones

    @property
    def overlap(self) -> int:
        """Return how many annotations each task of this project needs."""
        return int(self.settings["maximum_annotations"])

    def to_json(self) -> Json:
        """Return the JSON that `from_json` reads."""
        return {**asdict(self), "overlaps": {str(task): overlap for task, overlap in self.overlaps.items()}}

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> SettingsSnapshot:
        """Read what `to_json` returned; LabelStudioError where it is something else."""
        try:
            read = {
                "settings": {name: body["settings"][name] for name in WANTED_SETTINGS},
                "versions": tuple(body["versions"]),
                "overlaps": {int(task): int(overlap) for task, overlap in body["overlaps"].items()},
                "hidden": tuple(body["hidden"]),
            }
            return SettingsSnapshot(**{**body, **read})
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise LabelStudioError(f"the stored snapshot of the project cannot be read: {error!r}.") from error


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

    Safe to repeat, with the snapshot of the first connect as `earlier`. A new one goes to `save` before any change, so
    that an interrupted connect can be undone. A first connect that fails is rolled back, and the hint of the
    LabelStudioError says whether that worked; then `forget` is called, because settings may change before the next try.
    A later one that fails leaves no webhook to its new address.
    `basic_auth` is user and password for Label Studio's requests to `backend_url`, where it reaches this service.
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
        elif any(change.what == "webhook" and change.before is None for change in changes):
            with suppress(LabelStudioError):  # else each submit waits for an address at which nothing answers
                for webhook in _list_by_url(client.webhooks(project), webhook_url):
                    client.delete_webhook(webhook["id"])
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
        changes.append(Change("webhook", None, webhook_url, "with our secret as a header"))
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


def is_own_version(version: str, trained: Collection[str] = ()) -> bool:
    """Return whether a model version is ours: a queue's `M+qN`, or one of the models `trained`.

    >>> [is_own_version(version, ["m1"]) for version in ("m1+q2", "m1", "extractor-v1", "")]
    [True, True, False, False]
    """
    return version in trained or _OURS.fullmatch(version) is not None


def our_versions(client: Client, settings_snapshot: SettingsSnapshot, versions: Iterable[str] = ()) -> list[str]:
    """Return the model versions that we wrote into a project since the snapshot."""
    now = [row["model_version"] for row in client.model_versions(settings_snapshot.project)]
    ours = _queue_versions(filter(None, now)).union(versions)
    return [version for version in now if version in ours and version not in settings_snapshot.versions]


def _queue_versions(versions: Iterable[str]) -> set[str]:
    """Return those of these model versions that are ours, `M+qN`, with their `M`."""
    return {name for match in map(_OURS.fullmatch, versions) if match for name in (match[0], match["model"])}


def _set_webhook(client: Client, project: str, url: str, headers: Mapping[str, str]) -> None:
    found = create_single(
        lambda: _list_by_url(client.webhooks(project), url),
        lambda: client.create_webhook(project, url=url, headers=headers),
        lambda extra: client.delete_webhook(extra["id"]),
    )
    if any(found[name] != wanted for name, wanted in _webhook_wanted(headers).items()):
        client.patch_webhook(found["id"], url=url, **_webhook_wanted(headers))


def _webhook_wanted(headers: Mapping[str, str]) -> Json:
    return {"headers": dict(headers), "is_active": True, "send_payload": True, "send_for_all_actions": True}


def _set_backend(client: Client, project: str, url: str, basic_auth: tuple[str, str] | None) -> None:
    login = {"basic_auth_user": basic_auth[0], "basic_auth_pass": basic_auth[1]} if basic_auth else {}
    found = find_by_url(client.backends(project), url)
    if found is not None and login:
        client.patch_backend(found["id"], project, url=url, **login)
    if found is None:
        create_single(
            lambda: _list_by_url(client.backends(project), url),
            lambda: client.create_backend(project, url=url, title=TITLE, description="label-studio-hitl", **login),
            lambda extra: client.delete_backend(extra["id"]),
        )


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


def take_settings_snapshot(client: Client, project: Json, *, backend_url: str, webhook_url: str) -> SettingsSnapshot:
    """Return the settings of a project before a change; reads the overlap of every task (about 3,000 tasks/s)."""
    number = str(project["id"])
    wanted = int(project["maximum_annotations"])
    skips_count = project["skip_queue"] == "IGNORE_SKIPPED"
    overlaps: dict[int, int] = {}
    hidden: list[int] = []
    fields = ("id", "overlap", "is_labeled", "total_annotations", "cancelled_annotations")
    for task in client.each_task(number, include=fields):
        if task["overlap"] != wanted:
            overlaps[task["id"]] = task["overlap"]
        votes = task["total_annotations"] + (task["cancelled_annotations"] if skips_count else 0)
        if task["is_labeled"] and votes < task["overlap"]:
            hidden.append(task["id"])
    return SettingsSnapshot(
        project=number,
        settings={name: project[name] for name in WANTED_SETTINGS},
        model_version=project["model_version"],
        versions=tuple(row["model_version"] for row in client.model_versions(number)),
        overlaps=overlaps,
        hidden=tuple(hidden),
        backend_url=backend_url,
        webhook_url=webhook_url,
        backend=find_by_url(client.backends(number), backend_url),
        webhook=find_by_url(client.webhooks(number), webhook_url),
    )


def restore_overlaps(client: Client, settings_snapshot: SettingsSnapshot) -> None:
    """Restore the overlap and the labelled mark of every task; tasks imported later get the project's overlap.

    In bulk where Label Studio can: maximum_annotations = 1 resets all tasks, and a value k > 1 then sets all to k.
    """
    project, wanted = settings_snapshot.project, settings_snapshot.overlap
    now = client.project(project)
    wrong = _tasks_with_wrong_overlap(client, settings_snapshot)
    if now["maximum_annotations"] != wanted or len(wrong) > _MAX_SINGLE:
        if now["maximum_annotations"] == 1:  # a change to 1 is what resets all tasks
            client.patch_project(project, maximum_annotations=2)
        client.patch_project(project, maximum_annotations=1)
        if wanted > 1:
            client.patch_project(project, maximum_annotations=wanted)
        wrong = _tasks_with_wrong_overlap(client, settings_snapshot)
    for task in wrong:
        overlap = settings_snapshot.overlaps.get(task, wanted)
        skips_count = now["skip_queue"] == "IGNORE_SKIPPED"
        counted = [row for row in client.annotations(task) if skips_count or not row["was_cancelled"]]
        people = {row["completed_by"] for row in counted}
        client.patch_task(task, overlap=overlap, is_labeled=len(people) >= overlap)
    mark_hidden_tasks(client, settings_snapshot)


def mark_hidden_tasks(client: Client, settings_snapshot: SettingsSnapshot) -> None:
    """Mark tasks as labelled again that were marked by hand, because Label Studio's recount removes the mark."""
    if not settings_snapshot.hidden:
        return
    hidden = set(settings_snapshot.hidden)
    for task in client.each_task(settings_snapshot.project, include=("id", "is_labeled")):
        if task["id"] in hidden and not task["is_labeled"]:
            client.patch_task(task["id"], is_labeled=True)


def _tasks_with_wrong_overlap(client: Client, settings_snapshot: SettingsSnapshot) -> list[int]:
    wanted = settings_snapshot.overlap
    tasks = client.each_task(settings_snapshot.project, include=("id", "overlap"))
    return [task["id"] for task in tasks if task["overlap"] != settings_snapshot.overlaps.get(task["id"], wanted)]


def find_by_url(rows: list[Json], url: str) -> Json | None:
    """Return the backend or webhook with this address; None where there is none."""
    return next(iter(_list_by_url(rows, url)), None)


def _list_by_url(rows: list[Json], url: str) -> list[Json]:
    return [row for row in rows if row["url"].rstrip("/") == url.rstrip("/")]


def host_without_dot(url: str) -> str:
    """Return the host of an address where Label Studio accepts no webhook for it, else "".

    >>> host_without_dot("http://hitl:9090"), host_without_dot("http://hitl.internal:9090")
    ('hitl', '')
    """
    host = urlsplit(url).hostname or ""
    return "" if host == "localhost" or "." in host or ":" in host else host
