"""The traps of one project: each check looks at what Label Studio says of it and names what will hurt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.local_server import BULK_FLAG
from ml_backend.labelstudio.projects import TITLE, UNCERTAINTY
from ml_backend.labelstudio.settings_snapshot import find_by_url
from ml_backend.labelstudio.transport import Json

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A trap that was met: its name, whether the loop can work with it, what is so, what to do."""

    name: str
    severity: Severity  # "error": the loop or its order does not work; "warning": it works worse
    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class ProjectSnapshot:
    """What the checks look at, fetched once."""

    client: Client
    project: Json
    backends: tuple[Json, ...]
    webhooks: tuple[Json, ...]
    backend_url: str
    connected: bool  # whether the project is supposed to be ours
    missed: int  # events that polling found and no webhook had brought

    @property
    def webhook_url(self) -> str:
        """Where our webhook should point."""
        return f"{self.backend_url.rstrip('/')}/webhook"


def title_as_version(snapshot: ProjectSnapshot) -> Iterator[Finding]:
    """`model_version` equal to a backend's title: the order is silently random."""
    titles = {row["title"] for row in snapshot.backends} | {TITLE}
    if snapshot.project["model_version"] in titles:
        yield Finding(
            "model_version is a backend's title",
            "error",
            f"model_version is {snapshot.project['model_version']!r}, a backend's title: tasks come in random order.",
            "Run hitl connect again; in Label Studio do not select the backend under Annotation > live predictions.",
        )


def breadth_first(snapshot: ProjectSnapshot) -> Iterator[Finding]:
    """`maximum_annotations` above 1: breadth-first comes before our order."""
    wanted = snapshot.project["maximum_annotations"]
    if wanted > 1:
        yield Finding(
            "maximum_annotations above 1",
            "error",
            f"maximum_annotations is {wanted}: Label Studio hands out started tasks at random before our order.",
            "Run hitl connect: it keeps the number of votes and reaches them by re-opening.",
        )


def other_order(snapshot: ProjectSnapshot) -> Iterator[Finding]:
    """Settings that put other tasks first, or that do not follow scores at all."""
    project = snapshot.project
    fix = "Run hitl connect again."
    if snapshot.connected and project["sampling"] != UNCERTAINTY:
        what = f"sampling is {project['sampling']!r}, wanted {UNCERTAINTY!r}: our order is ignored."
        yield Finding("sampling", "error", what, fix)
    for name in ("show_overlap_first", "annotator_evaluation_enabled"):
        if project[name]:
            yield Finding(name, "error", f"{name} is on: those tasks come before our order.", fix)


def hidden_predictions(snapshot: ProjectSnapshot) -> Iterator[Finding]:
    """`show_collab_predictions` off: people see no pre-annotation, and model_version is emptied with it."""
    if not snapshot.project["show_collab_predictions"]:
        yield Finding(
            "show_collab_predictions is off",
            "error",
            "predictions are not shown to annotators, and our order is lost with them.",
            "Run hitl connect again; to hide pre-annotations from people, set the blind share to 1 in hitl.toml.",
        )


def automatic_evaluation(snapshot: ProjectSnapshot) -> Iterator[Finding]:
    """`evaluate_predictions_automatically` on: every page of the Data Manager asks the backend."""
    if snapshot.project["evaluate_predictions_automatically"]:
        yield Finding(
            "evaluate_predictions_automatically is on",
            "warning",
            "every page of the Data Manager asks for predictions and stores them, past our queue.",
            "Run hitl connect again.",
        )


def training_in_submit(snapshot: ProjectSnapshot) -> Iterator[Finding]:
    """`min_annotations_to_start_training` above 0: people's submits wait for a training request."""
    every = snapshot.project["min_annotations_to_start_training"]
    if every > 0:
        yield Finding(
            "min_annotations_to_start_training above 0",
            "warning",
            f"every {every}. submit waits until each ML backend has answered a training request (up to 100 s).",
            "Run hitl connect again: training is started by our own triggers.",
        )


def several_backends(snapshot: ProjectSnapshot) -> Iterator[Finding]:
    """More than one ML backend: only the first predicts, all get events and training requests."""
    if len(snapshot.backends) > 1:
        named = ", ".join(f"{row['title']} ({row['url']})" for row in snapshot.backends)
        yield Finding(
            "several ML backends",
            "warning",
            f"{len(snapshot.backends)} backends are connected: {named}. Only the first predicts; each slows people.",
            "Remove those that are not needed: Settings > Model in Label Studio.",
        )


def our_backend(snapshot: ProjectSnapshot) -> Iterator[Finding]:
    """Our ML backend missing or not reached."""
    if not (snapshot.connected and snapshot.backend_url):
        return
    found = find_by_url(list(snapshot.backends), snapshot.backend_url)
    if found is None:
        what = f"no ML backend of this project has our address, {snapshot.backend_url}."
        yield Finding("ML backend missing", "error", what, "Run hitl connect again.")
    elif found["state"] != "CO":
        what = (
            f"Label Studio reports our ML backend as {found['readable_state']}: {found['error_message'] or 'no reply'}."
        )
        yield Finding("ML backend not reached", "error", what, "Is hitl serve running, at an address it can reach?")


def webhooks(snapshot: ProjectSnapshot) -> Iterator[Finding]:
    """Our webhook missing, switched off, emptied or without a secret; others left over by removed backends."""
    backends = {f"{row['url'].rstrip('/')}/webhook" for row in snapshot.backends}
    ours = find_by_url(list(snapshot.webhooks), snapshot.webhook_url) if snapshot.backend_url else None
    fix = "Run hitl connect again."
    if ours is None and snapshot.connected and snapshot.backend_url:
        what = f"no webhook of this project points to {snapshot.webhook_url}; answers arrive by polling only."
        yield Finding("webhook missing", "error", what, fix)
    for row in snapshot.webhooks:
        if not row["send_for_all_actions"] and not row["actions"]:
            what = f"the webhook to {row['url']} has no events: a change without them emptied the list."
            yield Finding("emptied webhook", "error" if row is ours else "warning", what, fix)
        if row is ours and not (row["is_active"] and row["send_payload"]):
            yield Finding("webhook switched off", "error", "our webhook is inactive or sends no payload.", fix)
        if row is ours and not row["headers"]:
            what = "our webhook carries no secret header, so its events are refused."
            yield Finding("webhook without secret", "error", what, fix)
        if row is not ours and row["url"].endswith("/webhook") and row["url"] not in backends:
            yield Finding(
                "leftover webhook",
                "warning",
                f"the webhook to {row['url']} belongs to no ML backend here; each submit still waits for it.",
                "Remove it: Settings > Webhooks in Label Studio.",
            )


def slow_bulk(snapshot: ProjectSnapshot) -> Iterator[Finding]:
    """Bulk writes that recount the whole project, asked with a row for a task that cannot exist."""
    body = [{"task": 0, "result": [], "score": 0.5, "model_version": "hitl-probe"}]
    refused = snapshot.client.probe(f"api/projects/{snapshot.project['id']}/import/predictions", body)
    if refused is not None and "not found in project" not in str(refused):
        yield Finding(
            "slow bulk writes",
            "warning",
            "each window recounts the whole project: 1 s at 20,000 tasks, 3 s at 100,000.",
            f"Start Label Studio with the environment variable {BULK_FLAG}=true.",
        )


def missed_webhooks(snapshot: ProjectSnapshot) -> Iterator[Finding]:
    """Events that only polling found."""
    if snapshot.missed > 0:
        yield Finding(
            "missed webhooks",
            "warning",
            f"{snapshot.missed} changes were found by polling and never came as webhooks; nothing is lost.",
            "Label Studio gives up after 1 s and never repeats: check that it reaches us, or raise WEBHOOK_TIMEOUT.",
        )


CHECKS: tuple[Callable[[ProjectSnapshot], Iterator[Finding]], ...] = (
    title_as_version,
    breadth_first,
    other_order,
    hidden_predictions,
    automatic_evaluation,
    training_in_submit,
    several_backends,
    our_backend,
    webhooks,
    slow_bulk,
    missed_webhooks,
)
