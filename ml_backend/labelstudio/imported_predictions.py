"""Predictions that are not ours: which of them stay visible in our queue, next to what our model says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.transport import Json

_MAX_UNPAGED = 20_000  # predictions in one response without pages (2 s)
# result types that have no place of their own: with the id of a region they are attributes of it
_WITHOUT_PLACE = ("choices", "textarea", "rating", "number", "taxonomy", "datetime")


@dataclass(frozen=True, slots=True)
class ImportedPrediction:
    """The regions of one prediction that is not ours."""

    version: str
    result: tuple[Json, ...] = field(hash=False)

    def controls(self) -> frozenset[str]:
        """Return the names of the controls that it has regions of."""
        return frozenset(str(region["from_name"]) for region in self.result if region.get("from_name"))

    def without(self, control: str) -> tuple[Json, ...]:
        """Return its regions without those of a control, without their attributes and relations.

        >>> span = {"id": "r1", "from_name": "label", "type": "labels"}
        >>> sure = {"id": "r1", "from_name": "sure", "type": "choices"}  # an attribute of the span
        >>> topic = {"id": "c1", "from_name": "topic", "type": "choices"}
        >>> [region["id"] for region in ImportedPrediction("v1", (span, sure, topic)).without("label")]
        ['c1']
        """
        # as text: Label Studio stores whatever somebody imports as an id
        removed = {
            str(region["id"])
            for region in self.result
            if region.get("from_name") == control and region.get("type") not in _WITHOUT_PLACE and region.get("id")
        }
        return tuple(
            region
            for region in self.result
            if region.get("from_name") != control
            and not (region.get("type") in _WITHOUT_PLACE and str(region.get("id")) in removed)
            and not removed & {str(region.get("from_id")), str(region.get("to_id"))}
        )


@dataclass(frozen=True, slots=True)
class ImportedVersions:
    """How to tell predictions that are not ours, and which model version of them people saw before `connect`."""

    is_ours: Callable[[str], bool]
    shown: str = ""  # "": the project showed none of them

    def choose(self, predictions: Sequence[Json]) -> ImportedPrediction | None:
        """Return what stays visible of a task's predictions: the version that people saw, else the newest prediction.

        None where there is none with a region.

        >>> rows = [{"id": n, "model_version": f"v{n}", "result": [{"from_name": "c"}]} for n in (1, 2, 3)]
        >>> [ImportedVersions(lambda version: version == "v3", shown).choose(rows).version for shown in ("v1", "v9")]
        ['v1', 'v2']
        """
        others = [row for row in predictions if not self.is_ours(str(row["model_version"] or ""))]
        given = [row for row in others if _regions(row)]
        best = max(given, key=lambda row: (row["model_version"] == self.shown, int(row["id"])), default=None)
        return None if best is None else ImportedPrediction(str(best["model_version"]), _regions(best))


def count_predicted_tasks(client: Client, project: str) -> dict[str, int]:
    """Return how many tasks have a prediction of each model version, the newest version first.

    Of a project with very many predictions, the predictions are counted: a task has mostly one of a version.
    """
    rows = [row for row in client.model_versions(project) if row["model_version"]]
    counts = {str(row["model_version"]): int(row["count"]) for row in rows}
    if sum(counts.values()) > _MAX_UNPAGED:
        return counts
    tasks: dict[str, set[int]] = {version: set() for version in counts}
    for row in client.predictions(project=project):
        if row["model_version"] in tasks:
            tasks[row["model_version"]].add(int(row["task"]))
    return {version: len(found) for version, found in tasks.items()}


def _regions(prediction: Json) -> tuple[Json, ...]:
    """Return the regions of a prediction; what is no region, as Label Studio lets anybody store it, is left out."""
    result = prediction["result"]
    return tuple(dict(row) for row in result if isinstance(row, Mapping)) if isinstance(result, list) else ()
