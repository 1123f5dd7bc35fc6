"""Check the connection to Label Studio and a project's settings: each problem with its fix, for `hitl doctor`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Literal

from ml_backend.errors import LabelConfigError, LabelStudioError
from ml_backend.label_config import read_label_config
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.local_server import BULK_FLAG
from ml_backend.labelstudio.projects import DOT_HINT, TITLE, UNCERTAINTY, find_by_url, host_without_dot
from ml_backend.labelstudio.review_project_client import list_duplicate_review_projects
from ml_backend.labelstudio.transport import Json
from ml_backend.left_out import is_server_error
from ml_backend.models.learnability import CheckAddress, find_obstacles, list_learnability

TESTED = ("1.23.",)  # releases of Label Studio that the end-to-end tests run with
_OURS = ("ml_backend", "sampling", "feedback")
_BLOCKED = "reserved network address"
_UNRESOLVED = "Can't resolve hostname"
_RUN_CONNECT = "Run hitl connect"
_CONNECT = f"{_RUN_CONNECT} again."
_SAMPLE = 100  # tasks whose data are looked at


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem: its name, its severity, a description, and what to do."""

    name: str
    severity: Literal["error", "warning"]  # "error": the loop or its order does not work; "warning": it works less well
    what: str
    fix: str
    stops: bool = False  # whether `hitl connect` would fail half-way, and so does not begin

    @property
    def mended_by_connect(self) -> bool:
        """Return whether `hitl connect` is the remedy."""
        return self.fix.startswith(_RUN_CONNECT)


def each_check(
    client: Client,
    project: str = "",
    *,
    backend_url: str = "",
    connected: bool = True,
    missed: int = 0,
    control: str = "",
    hosted: bool = False,
    check_address: CheckAddress = lambda _address: None,
) -> Iterator[tuple[str, list[Finding]]]:
    """Run all checks; yield for each what holds where nothing is found, and its findings. Changes nothing.

    A token that does not work ends the checks, because all others need it. Without `project` (an id) only the
    installation is checked; without `backend_url`, where Label Studio reaches this service, not that address.
    `connected` says whether the project is supposed to be, `missed` how many changes only polling found, `control` and
    `hosted` what the policy says of the model ("": the default control), and `check_address` which images are fetched.
    """
    of_token = list(_check_api_token(client))
    yield "Label Studio answers, and accepts the access token", of_token
    if any(finding.severity == "error" for finding in of_token):
        return
    yield "the version of Label Studio is one that was tested", list(_check_version(client))
    if backend_url:
        yield "Label Studio accepts webhooks for the host of this service", list(_check_host(backend_url))
        yield "no SSRF guard of Label Studio blocks this service", list(_check_ssrf_guards(client, backend_url))
    if not project:
        return
    try:
        body, backends = client.project(project), client.backends(project)
    except LabelStudioError as error:
        yield "", [Finding("project not found", "error", str(error), error.hint)]
        return
    yield "model_version is not the title of a backend", list(_check_model_version(body, backends))
    yield (
        "the project's settings keep our order" if connected else "no setting stands against our order",
        list(_check_settings(body, connected=connected)),
    )
    our_url = backend_url if connected else ""
    holds = "its ML backend is connected, and the only one" if connected else "it has at most one ML backend"
    yield holds, list(_check_backends(backends, our_url))
    webhooks = _check_webhooks(client.webhooks(project), backends, backend_url, connected=connected)
    yield "its webhooks are complete" if connected else "it has no leftover webhook", list(webhooks)
    yield "each tier has one review project at most", list(_check_review_projects(client, project))
    yield "bulk writes are quick", list(_check_bulk_speed(client, body))
    yield "no webhook was missed" if connected else "", list(_check_missed_webhooks(missed))
    learning = _check_learning(client, body, control, hosted=hosted, check_address=check_address)
    yield "a model can learn the control of the policy", list(learning)


def _check_api_token(client: Client) -> Iterator[Finding]:
    """Find an access token that does not work."""
    try:
        client.me()
    except LabelStudioError as error:
        name = "dead token" if error.status in (401, 403) else "Label Studio not reached"
        yield Finding(name, "error", str(error), error.hint)


def _check_version(client: Client) -> Iterator[Finding]:
    release = client.version()
    if not release.startswith(TESTED):
        yield Finding(
            "untested Label Studio version",
            "warning",
            f"Label Studio is {release}; tested are {', '.join(prefix + 'x' for prefix in TESTED)}.",
            "Watch the queue for a while (hitl status), or use a tested release.",
        )


def shadowed_packages(
    installed: Callable[[], Iterable[tuple[str, Iterable[str]]]] = lambda: packages_distributions().items(),
    path: Callable[[], Iterable[str]] = lambda: sys.path,
) -> Iterator[Finding]:
    """Find other distributions, or files on Python's path, with the name of one of our packages."""
    for name, owners in installed():
        others = sorted(set(owners) - {"label-studio-hitl"})
        if name in _OURS and others:
            yield _shadow(name, f"also installed by {', '.join(others)}", f"Uninstall {', '.join(others)}")
    ours = Path(__file__).parents[2]
    for place in {Path(entry or ".").resolve() for entry in path()} - {ours}:
        for name in _OURS:
            for other in (place / f"{name}.py", place / name / "__init__.py"):
                if other.exists() and not other.samefile(ours / name / "__init__.py"):
                    yield _shadow(name, f"also at {other}", f"Rename or remove {other}")


def _shadow(name: str, where: str, remedy: str) -> Finding:
    what = f"the package {name!r} is {where}; Python may import the wrong one."
    return Finding("shadowed package", "error", what, f"{remedy}, or give label-studio-hitl its own environment.")


def _check_host(backend_url: str) -> Iterator[Finding]:
    if host := host_without_dot(backend_url):
        what = f"Label Studio accepts no webhook for a host without a dot, and ignores it silently: {host!r}."
        yield Finding("webhook host without a dot", "error", what, DOT_HINT)


def _check_ssrf_guards(client: Client, backend_url: str) -> Iterator[Finding]:
    """Find the two SSRF guards of Label Studio, with requests that can never succeed."""
    probes = (
        ("SSRF guard blocks webhooks", "SSRF_PROTECTION_ENABLED", "api/webhooks/", {"project": None}),
        ("SSRF guard blocks ML backends", "ML_BLOCK_LOCAL_IP", "api/ml/", {"project": -1}),
    )
    for name, switch, path, nobody in probes:
        refused = client.probe(path, {"url": f"{backend_url.rstrip('/')}/webhook", **nobody})
        if refused is not None and _UNRESOLVED in str(refused):
            what = f"Label Studio's machine does not know the host of {backend_url}."
            fix = "Set HITL_PUBLIC_URL to an address of this service that Label Studio's machine or container knows."
            yield Finding("our host not known", "error", what, fix, stops=True)
            return
        if refused is not None and _BLOCKED in str(refused):
            yield Finding(
                name,
                "error",
                f"Label Studio refuses {backend_url}: its SSRF guard blocks this network.",
                f"Start Label Studio with {switch}=false, or with USE_DEFAULT_BANNED_SUBNETS=false and "
                "USER_ADDITIONAL_BANNED_SUBNETS naming the networks that stay closed.",
                stops=True,
            )


def _check_model_version(project: Json, backends: list[Json]) -> Iterator[Finding]:
    if (version := project["model_version"]) in {TITLE, *(row["title"] for row in backends)}:
        yield Finding(
            "model_version is a backend's title",
            "error",
            f"model_version is {version!r}, a backend's title: tasks come in random order.",
            f"{_CONNECT} In Label Studio do not select the backend under Annotation > live predictions.",
        )


# setting, whether its value is wrong, and the finding, in which {} is the value
_WRONG_SETTINGS: tuple[tuple[str, Callable[[Any], bool], Finding], ...] = (
    (
        "maximum_annotations",
        lambda number: number > 1,  # Label Studio serves started tasks before our order then
        Finding(
            "maximum_annotations above 1",
            "error",
            "maximum_annotations is {}: Label Studio serves started tasks at random before our order.",
            f"{_RUN_CONNECT}: it keeps the number of annotations, and re-opens tasks for them.",
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
            f"{_RUN_CONNECT} again: the loop starts training by its own triggers.",
        ),
    ),
)


def _check_settings(project: Json, *, connected: bool) -> Iterator[Finding]:
    """Find settings that change our order, hide predictions, or slow a submit or the Data Manager."""
    if connected and (sampling := project["sampling"]) != UNCERTAINTY:
        what = f"sampling is {sampling!r}, wanted {UNCERTAINTY!r}: our order is ignored."
        yield Finding("sampling", "error", what, _CONNECT)
    for name, is_wrong, finding in _WRONG_SETTINGS:
        if is_wrong(project[name]):
            yield replace(finding, what=finding.what.format(project[name]))


def _check_backends(backends: list[Json], our_url: str) -> Iterator[Finding]:
    """Find more than one ML backend (only the first predicts, all get events), and that ours is missing or down."""
    if len(backends) > 1:
        listed = ", ".join(f"{row['title']} ({row['url']})" for row in backends)
        yield Finding(
            "several ML backends",
            "warning",
            f"{len(backends)} backends are connected: {listed}. Only the first predicts; each slows submits.",
            "Remove those that are not needed: Settings > Model in Label Studio.",
        )
    if not our_url:
        return
    found = find_by_url(backends, our_url)
    if found is None:
        what = f"no ML backend of this project has our address, {our_url}."
        yield Finding("ML backend missing", "error", what, _CONNECT)
    elif found["state"] != "CO":
        reply = found["error_message"] or "no reply"
        what = f"Label Studio reports our ML backend as {found['readable_state']}: {reply}."
        yield Finding("ML backend not reached", "error", what, "Is hitl serve running, at an address it can reach?")


def _check_webhooks(
    webhooks: list[Json], backends: list[Json], backend_url: str, *, connected: bool
) -> Iterator[Finding]:
    """Find that our webhook is missing, off, without events or without a secret; find webhooks of removed backends."""
    our_url = f"{backend_url.rstrip('/')}/webhook"
    of_backends = {f"{row['url'].rstrip('/')}/webhook" for row in backends}
    ours = find_by_url(webhooks, our_url) if backend_url else None
    if ours is None and connected and backend_url:
        what = f"no webhook of this project points to {our_url}; answers arrive by polling only."
        yield Finding("webhook missing", "error", what, _CONNECT)
    for row in webhooks:
        if not row["send_for_all_actions"] and not row["actions"]:
            what = f"the webhook to {row['url']} has no events: a change without them emptied its list."
            yield Finding("emptied webhook", "error" if row is ours else "warning", what, _CONNECT)
        if row is ours and not (row["is_active"] and row["send_payload"]):
            yield Finding("webhook switched off", "error", "our webhook is inactive or sends no payload.", _CONNECT)
        if row is ours and not row["headers"]:
            what = "our webhook carries no secret header, so its events are refused."
            yield Finding("webhook without secret", "error", what, _CONNECT)
        if row is not ours and row["url"].endswith("/webhook") and row["url"] not in of_backends:
            yield Finding(
                "leftover webhook",
                "warning",
                f"the webhook to {row['url']} belongs to no connected ML backend; each submit still waits for it.",
                "Remove it: Settings > Webhooks in Label Studio.",
            )


def _check_review_projects(client: Client, project: str) -> Iterator[Finding]:
    """Find tiers with two review projects: Label Studio made one and failed to say so."""
    for tier, ids in list_duplicate_review_projects(client, project).items():
        yield Finding(
            "review project twice",
            "warning",
            f"tier {tier} has the review projects {', '.join(ids)}; one of them is used.",
            "The one with review tasks is used. Delete the others in Label Studio if they hold no answers.",
        )


def _check_bulk_speed(client: Client, project: Json) -> Iterator[Finding]:
    """Find slow bulk writes, with a row for a task that cannot exist."""
    body = [{"task": 0, "result": [], "score": 0.5, "model_version": "hitl-probe"}]
    refused = client.probe(f"api/projects/{project['id']}/import/predictions", body)
    if refused is not None and "not found in project" not in str(refused):
        yield Finding(
            "slow bulk writes",
            "warning",
            "each write of the queue recounts the whole project: 1 s at 20,000 tasks, 3 s at 100,000.",
            f"Start Label Studio with the environment variable {BULK_FLAG}=true.",
        )


def _check_missed_webhooks(missed: int) -> Iterator[Finding]:
    if missed > 0:
        yield Finding(
            "missed webhooks",
            "warning",
            f"{missed} changes were found by polling and not sent by a webhook; nothing is lost.",
            "Label Studio gives up after 1 s and does not repeat: check the network, or raise WEBHOOK_TIMEOUT.",
        )


def sample_task_data(client: Client, project: str) -> list[Json]:
    """Return the data of the first tasks of a project, in one request; [] where Label Studio cannot show one of them.

    The full sync finds and names that task.
    """
    try:
        rows = client.tasks(project, include=("id", "data"), page_size=_SAMPLE)
    except LabelStudioError as error:
        if is_server_error(error):
            return []
        raise
    return [row["data"] for row in rows if isinstance(row["data"], dict)]


def _check_learning(
    client: Client, project: Json, name: str, *, hosted: bool, check_address: CheckAddress
) -> Iterator[Finding]:
    """Find that no model learns the control, or that the first tasks lack what a model reads."""
    try:
        config = read_label_config(str(project["label_config"]))
        control = config.control(name)
    except LabelConfigError as error:
        yield Finding("label config not read", "error", str(error), error.hint)
        return
    found = next(item for item in list_learnability(config, hosted=hosted) if item.control is control)
    if not found.is_learned:
        what = f"{found.reason} {found.use}".strip()
        yield Finding("control not learned", "warning" if found.is_read else "error", what, found.remedy)
    if hosted or not found.is_learned:
        return
    for obstacle in find_obstacles(control, sample_task_data(client, str(project["id"])), check_address):
        severity: Literal["error", "warning"] = "error" if obstacle.is_total else "warning"
        yield Finding("tasks not readable for a model", severity, obstacle.what, obstacle.remedy)
