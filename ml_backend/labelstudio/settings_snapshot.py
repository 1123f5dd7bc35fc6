"""What a project was before we connected it, as JSON: enough to restore it exactly, whatever happened meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.transport import Json

_MANY = 200  # single corrections cost 0.1 s each; beyond this the bulk reset is quicker

# every setting that connecting may change, in the order in which it is restored
SETTINGS = (
    "sampling",
    "show_collab_predictions",
    "evaluate_predictions_automatically",
    "min_annotations_to_start_training",
    "maximum_annotations",
    "show_overlap_first",
    "annotator_evaluation_enabled",
)


@dataclass(frozen=True, slots=True)
class SettingsSnapshot:
    """A project before we touched it."""

    project: str
    settings: Mapping[str, Any] = field(hash=False)  # SETTINGS
    model_version: str | None
    versions: tuple[str, ...]  # model versions that had predictions
    overlaps: Mapping[int, int] = field(hash=False)  # tasks whose overlap was not the project's
    hidden: tuple[int, ...]  # tasks marked as labelled without the votes for it
    backend_url: str  # ours
    webhook_url: str  # ours
    backend: Mapping[str, Any] | None = field(default=None, hash=False)  # one that had our address already
    webhook: Mapping[str, Any] | None = field(default=None, hash=False)
    remains: bool = False  # a store of ours that is lost had connected it: `settings` are not the project's own

    @property
    def overlap(self) -> int:
        """How many votes a task of this project wants."""
        return int(self.settings["maximum_annotations"])

    def to_json(self) -> Json:
        """Give what `from_json` reads; only JSON types."""
        return {**asdict(self), "overlaps": {str(task): overlap for task, overlap in self.overlaps.items()}}

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> SettingsSnapshot:
        """Read back what `to_json` gave."""
        try:
            return SettingsSnapshot(
                project=str(body["project"]),
                settings={name: body["settings"][name] for name in SETTINGS},
                model_version=body["model_version"],
                versions=tuple(body["versions"]),
                overlaps={int(task): int(overlap) for task, overlap in body["overlaps"].items()},
                hidden=tuple(body["hidden"]),
                backend_url=body["backend_url"],
                webhook_url=body["webhook_url"],
                backend=body.get("backend"),
                webhook=body.get("webhook"),
                remains=body.get("remains") is True,
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise LabelStudioError(f"the stored snapshot of the project cannot be read: {error!r}.") from error


def take(client: Client, project: Json, *, backend_url: str, webhook_url: str) -> SettingsSnapshot:
    """Look at a project before changing it; reads every task's overlap (about 3,000 tasks/s)."""
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
        settings={name: project[name] for name in SETTINGS},
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
    """Give every task the overlap that it had, tasks imported meanwhile the project's own; labelled marks follow.

    In bulk where Label Studio can: maximum_annotations = 1 resets every task, k > 1 then sets every task to k.
    """
    project, wanted = settings_snapshot.project, settings_snapshot.overlap
    now = client.project(project)
    wrong = _wrong(client, settings_snapshot)
    if now["maximum_annotations"] != wanted or len(wrong) > _MANY:
        if now["maximum_annotations"] == 1:  # a change to 1 is what resets all tasks
            client.patch_project(project, maximum_annotations=2)
        client.patch_project(project, maximum_annotations=1)
        if wanted > 1:
            client.patch_project(project, maximum_annotations=wanted)
        wrong = _wrong(client, settings_snapshot)
    for task in wrong:
        overlap = settings_snapshot.overlaps.get(task, wanted)
        people = {
            row["completed_by"]
            for row in client.annotations(task)
            if now["skip_queue"] == "IGNORE_SKIPPED" or not row["was_cancelled"]
        }
        client.patch_task(task, overlap=overlap, is_labeled=len(people) >= overlap)
    hide(client, settings_snapshot)


def hide(client: Client, settings_snapshot: SettingsSnapshot) -> None:
    """Mark the tasks again that somebody had marked as labelled by hand: Label Studio's recount forgets it."""
    if not settings_snapshot.hidden:
        return
    hidden = set(settings_snapshot.hidden)
    for task in client.each_task(settings_snapshot.project, include=("id", "is_labeled")):
        if task["id"] in hidden and not task["is_labeled"]:
            client.patch_task(task["id"], is_labeled=True)


def _wrong(client: Client, settings_snapshot: SettingsSnapshot) -> list[int]:
    wanted = settings_snapshot.overlap
    tasks = client.each_task(settings_snapshot.project, include=("id", "overlap"))
    return [task["id"] for task in tasks if task["overlap"] != settings_snapshot.overlaps.get(task["id"], wanted)]


def find_by_url(rows: list[Json], url: str) -> Json | None:
    """Find the backend or webhook with this address."""
    return next((row for row in rows if row["url"].rstrip("/") == url.rstrip("/")), None)
