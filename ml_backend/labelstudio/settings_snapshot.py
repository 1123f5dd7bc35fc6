"""The settings of a project before it was connected, as JSON, to restore them exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.transport import Json

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
    return next((row for row in rows if row["url"].rstrip("/") == url.rstrip("/")), None)
