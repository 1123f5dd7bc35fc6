"""Checks of one project's settings in Label Studio: each finds one problem that breaks or slows the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.local_server import BULK_FLAG
from ml_backend.labelstudio.projects import TITLE, UNCERTAINTY
from ml_backend.labelstudio.settings_snapshot import find_by_url
from ml_backend.labelstudio.transport import Json

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem: its name, its severity, a description, and what to do."""

    name: str
    severity: Severity  # "error": the loop or its task order does not work; "warning": it works less well
    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class ProjectState:
    """The state of a project in Label Studio, fetched once for all checks."""

    client: Client
    project: Json
    backends: tuple[Json, ...]
    webhooks: tuple[Json, ...]
    backend_url: str
    connected: bool  # whether the project is supposed to be connected
    missed: int  # changes that polling found and no webhook had brought

    @property
    def webhook_url(self) -> str:
        """Return the URL that our webhook should have."""
        return f"{self.backend_url.rstrip('/')}/webhook"


def check_model_version(state: ProjectState) -> Iterator[Finding]:
    """Find a `model_version` that is a backend's title: tasks then come in random order."""
    titles = {row["title"] for row in state.backends} | {TITLE}
    if state.project["model_version"] in titles:
        yield Finding(
            "model_version is a backend's title",
            "error",
            f"model_version is {state.project['model_version']!r}, a backend's title: tasks come in random order.",
            "Run hitl connect again; in Label Studio do not select the backend under Annotation > live predictions.",
        )


_CONNECT = "Run hitl connect again."
_WRONG_SETTINGS: tuple[tuple[str, Callable[[Any], bool], Finding], ...] = (
    (
        "maximum_annotations",
        lambda number: number > 1,  # Label Studio serves started tasks before our order then
        Finding(
            "maximum_annotations above 1",
            "error",
            "maximum_annotations is {}: Label Studio serves started tasks at random before our order.",
            "Run hitl connect: it keeps the number of annotations, and re-opens tasks for them.",
        ),
    ),
    *(
        (name, bool, Finding(name, "error", f"{name} is on: those tasks come before our order.", _CONNECT))
        for name in ("show_overlap_first", "annotator_evaluation_enabled")
    ),
    (
        "show_collab_predictions",
        lambda shown: not shown,  # Label Studio empties model_version, too
        Finding(
            "show_collab_predictions is off",
            "error",
            "predictions are not shown to annotators, and our order is lost with them.",
            f"{_CONNECT} To hide pre-annotations from people, set the blind share to 1 in hitl.toml.",
        ),
    ),
    (
        "evaluate_predictions_automatically",
        bool,
        Finding(
            "evaluate_predictions_automatically is on",
            "warning",
            "every page of the Data Manager requests and stores predictions outside our queue.",
            _CONNECT,
        ),
    ),
    (
        "min_annotations_to_start_training",
        bool,
        Finding(
            "min_annotations_to_start_training above 0",
            "warning",
            "every {}. submit waits until each ML backend has answered a training request (up to 100 s).",
            "Run hitl connect again: the loop starts training by its own triggers.",
        ),
    ),
)


def check_settings(state: ProjectState) -> Iterator[Finding]:
    """Find settings that change our order, hide predictions, or slow a submit or the Data Manager."""
    if state.connected and (sampling := state.project["sampling"]) != UNCERTAINTY:
        what = f"sampling is {sampling!r}, wanted {UNCERTAINTY!r}: our order is ignored."
        yield Finding("sampling", "error", what, _CONNECT)
    for name, is_wrong, finding in _WRONG_SETTINGS:
        if is_wrong(state.project[name]):
            yield replace(finding, what=finding.what.format(state.project[name]))


def check_single_backend(state: ProjectState) -> Iterator[Finding]:
    """Find more than one ML backend: only the first predicts, but all get events and training requests."""
    if len(state.backends) > 1:
        backends = ", ".join(f"{row['title']} ({row['url']})" for row in state.backends)
        yield Finding(
            "several ML backends",
            "warning",
            f"{len(state.backends)} backends are connected: {backends}. Only the first predicts; each slows submits.",
            "Remove those that are not needed: Settings > Model in Label Studio.",
        )


def check_our_backend(state: ProjectState) -> Iterator[Finding]:
    """Find that our ML backend is missing or not reached."""
    if not (state.connected and state.backend_url):
        return
    found = find_by_url(list(state.backends), state.backend_url)
    if found is None:
        what = f"no ML backend of this project has our address, {state.backend_url}."
        yield Finding("ML backend missing", "error", what, _CONNECT)
    elif found["state"] != "CO":
        what = (
            f"Label Studio reports our ML backend as {found['readable_state']}: {found['error_message'] or 'no reply'}."
        )
        yield Finding("ML backend not reached", "error", what, "Is hitl serve running, at an address it can reach?")


def check_webhooks(state: ProjectState) -> Iterator[Finding]:
    """Find that our webhook is missing, off, without events or without a secret; find webhooks of removed backends."""
    backends = {f"{row['url'].rstrip('/')}/webhook" for row in state.backends}
    ours = find_by_url(list(state.webhooks), state.webhook_url) if state.backend_url else None
    if ours is None and state.connected and state.backend_url:
        what = f"no webhook of this project points to {state.webhook_url}; answers arrive by polling only."
        yield Finding("webhook missing", "error", what, _CONNECT)
    for row in state.webhooks:
        if not row["send_for_all_actions"] and not row["actions"]:
            what = f"the webhook to {row['url']} has no events: a change without them emptied its list."
            yield Finding("emptied webhook", "error" if row is ours else "warning", what, _CONNECT)
        if row is ours and not (row["is_active"] and row["send_payload"]):
            yield Finding("webhook switched off", "error", "our webhook is inactive or sends no payload.", _CONNECT)
        if row is ours and not row["headers"]:
            what = "our webhook carries no secret header, so its events are refused."
            yield Finding("webhook without secret", "error", what, _CONNECT)
        if row is not ours and row["url"].endswith("/webhook") and row["url"] not in backends:
            yield Finding(
                "leftover webhook",
                "warning",
                f"the webhook to {row['url']} belongs to no connected ML backend; each submit still waits for it.",
                "Remove it: Settings > Webhooks in Label Studio.",
            )


def check_bulk_speed(state: ProjectState) -> Iterator[Finding]:
    """Find slow bulk writes, with a row for a task that cannot exist."""
    body = [{"task": 0, "result": [], "score": 0.5, "model_version": "hitl-probe"}]
    refused = state.client.probe(f"api/projects/{state.project['id']}/import/predictions", body)
    if refused is not None and "not found in project" not in str(refused):
        yield Finding(
            "slow bulk writes",
            "warning",
            "each write of the queue recounts the whole project: 1 s at 20,000 tasks, 3 s at 100,000.",
            f"Start Label Studio with the environment variable {BULK_FLAG}=true.",
        )


def check_missed_webhooks(state: ProjectState) -> Iterator[Finding]:
    """Find changes that only polling found."""
    if state.missed > 0:
        yield Finding(
            "missed webhooks",
            "warning",
            f"{state.missed} changes were found by polling and not sent by a webhook; nothing is lost.",
            "Label Studio gives up after 1 s and does not repeat: check the network, or raise WEBHOOK_TIMEOUT.",
        )


CHECKS: tuple[Callable[[ProjectState], Iterator[Finding]], ...] = (
    check_model_version,
    check_settings,
    check_single_backend,
    check_our_backend,
    check_webhooks,
    check_bulk_speed,
    check_missed_webhooks,
)
