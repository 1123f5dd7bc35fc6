"""Connect and disconnect: what changes in Label Studio and in the store, and how it is restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from feedback.errors import NotConnected
from feedback.ingest.full_sync import run_full_sync
from feedback.ingest.store_check import OTHER_STORE, check_store_of_service
from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
from feedback.labelling_platform.service_account import find_bot, make_bot
from feedback.policy import Policy
from feedback.policy.key_positions import KeyPositions
from feedback.project.audit_splits import audit_share
from feedback.project.policy_validation import check_clocks, locate_findings, raise_policy_errors, validate_policy
from feedback.settings import Settings
from feedback.store import ProjectRow, Store
from feedback.store.log import events
from ml_backend.errors import LabelConfigError
from ml_backend.label_config import Control, read_label_config
from ml_backend.labelstudio import projects, queue_writer, review_project_client
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.doctor import Finding
from ml_backend.labelstudio.imported_predictions import count_predicted_tasks
from ml_backend.labelstudio.parsing import SECRET_HEADER
from ml_backend.labelstudio.projects import SettingsSnapshot, is_own_version
from ml_backend.models.learnability import CheckAddress, find_obstacles, list_learnability
from ml_backend.predictor import NO_MODEL_VERSION

_CONNECTED_BY_OTHER_STORE = (
    "the project was already connected, by another store: its earlier settings are unknown, so `hitl disconnect` "
    "will remove everything of hitl and keep the current settings"
)


def connect(
    settings: Settings,
    store: Store,
    client: Client,
    project: str,
    *,
    policy: Policy | None = None,
    positions: KeyPositions | None = None,
    dry_run: bool = False,
    now_s: float,
) -> list[str]:
    """Connect a project to the loop; return each change in words. Safe to repeat.

    In Label Studio this adds our webhook, ML backend and service account, and changes project settings; the earlier
    settings are stored for `disconnect`. In the store it reads all tasks and annotations and activates the policy.

    Parameters
    ----------
    policy
        None keeps the active policy of the project.
    positions
        Where the keys of the policy are in its file, for error messages.
    dry_run
        Return the changes without making them.

    Raises
    ------
    NotConnected
        For a review project, which belongs to its source project.
    LabelConfigError
        When the label config has no control whose answers can be learned or compared, with the reason for each.
    PolicyError
        When the policy has errors (`feedback.project.policy_validation`). All three come before any change.
    """
    stored = store.projects.get_project(project) or ProjectRow(project)
    if stored.source:
        raise NotConnected(
            f"project {project} is a review project of project {stored.source} and cannot be connected.",
            hint=f"Its answers are read with project {stored.source}.",
        )
    body = client.project(project)
    active_policy = policy or stored.policy
    row = replace(stored, title=str(body["title"]), label_config=str(body["label_config"]))
    _require_answers_that_count(row.label_config, active_policy)
    if policy is None:  # it was validated when it was activated; the lock of Label Studio may have changed
        raise_policy_errors(check_clocks(active_policy, settings.lock_ttl_s))
    else:
        findings = validate_policy(policy, lock_ttl_s=settings.lock_ttl_s, project=row)
        raise_policy_errors(locate_findings(findings, positions))

    def save(settings_snapshot: SettingsSnapshot) -> None:
        store.projects.save_project(replace(row, settings_snapshot=settings_snapshot.to_json()))

    connection = projects.connect(
        client,
        project,
        backend_url=settings.url,
        webhook_secret=webhook_secrets(settings, store)[0],
        basic_auth=(settings.basic_auth_user, settings.basic_auth_password) if settings.basic_auth_user else None,
        earlier=SettingsSnapshot.from_json(stored.settings_snapshot) if stored.settings_snapshot else None,
        save=save,
        forget=lambda: store.projects.save_project(replace(row, settings_snapshot={})),
        dry_run=dry_run,
    )
    changes = [*map(str, connection.changes), *describe_store_changes(stored, active_policy)]
    imported = _describe_imported(client, store, body, connection.settings_snapshot)
    if connection.settings_snapshot is None:
        return [*changes, *_describe_new_bot(settings, store), *imported]
    new_bot = _describe_new_bot(settings, store)
    bot = make_bot(store, client, settings.label_studio_url)
    store.append(
        [events.event_from_project(project, row.title, row.label_config, "poll", version=str(body["created_at"]))]
    )
    sync = run_full_sync(store, LabelStudioAdapter(client, store), project, clock=lambda: now_s)
    share = stored.options.get("audit_share") or audit_share(len(store.tasks.list_tasks(project)))
    row = replace(
        row,
        control=active_policy.model.control,
        connected=True,
        paused=False,
        overlap=connection.settings_snapshot.overlap,
        bots=tuple(sorted({*stored.bots, *([bot.id] if bot else [])})),
        settings_snapshot=connection.settings_snapshot.to_json(),
        options={**stored.options, "audit_share": share},
    )
    store.projects.save_project(row)
    store.policies.activate_policy(row, active_policy, who="hitl connect", now_s=now_s)
    notes = [f"store: {sync.missed} tasks and answers read"] if sync.missed else []
    notes += imported
    if connection.settings_snapshot.remains and not stored.settings_snapshot:
        notes.append(_CONNECTED_BY_OTHER_STORE)
    return [*changes, *(new_bot if bot else []), *notes]


def _require_answers_that_count(label_config: str, policy: Policy) -> None:
    """Raise LabelConfigError where nothing can come of anybody's work."""
    config = read_label_config(label_config)
    config.control(policy.model.control)
    found = list_learnability(config, hosted=bool(policy.model.hosted))
    if not any(item.is_read for item in found):
        reasons = "; ".join(f"{describe_control(item.control)}: {item.reason}" for item in found)
        remedies = " ".join(dict.fromkeys(item.remedy for item in found if item.remedy))
        raise LabelConfigError(f"no control's answers can be learned or compared. {reasons}", hint=remedies)


def describe_control(control: Control) -> str:
    """Return a control in words: its name, its kind and what it is about."""
    return f"{control.name!r} ({control.kind} on {control.object_kind})"


def describe_learning(
    label_config: str,
    policy: Policy,
    *,
    data: Sequence[Mapping[str, Any]] = (),
    check_address: CheckAddress = lambda _address: None,
) -> list[str]:
    """Return in words which control of a label config the loop learns, and why it does not learn the others.

    `data` are some tasks of the project: what in them keeps a model from learning is said, too.
    """
    config = read_label_config(label_config)
    control = config.control(policy.model.control)
    found = {item.control.name: item for item in list_learnability(config, hosted=bool(policy.model.hosted))}
    chosen = found.pop(control.name)
    notes = [f"works on control {describe_control(control)}"]
    if chosen.is_learned and not policy.model.hosted:
        notes += [f"{item.what} {item.remedy}".strip() for item in find_obstacles(control, data, check_address)]
    elif not chosen.is_learned:
        notes.append(" ".join(filter(None, (chosen.reason, chosen.use, chosen.remedy))))
    if found:
        notes.append(f"leaves {', '.join(found)} as people answer them; [model] control in hitl.toml chooses another")
    for name, item in found.items():
        if not item.is_learned:
            remedy = item.remedy if item.control.problem else ""
            notes.append(f"cannot learn {name!r}: {item.reason_in_short}. {remedy}".strip())
    return notes


def describe_store_changes(stored: ProjectRow, policy: Policy) -> list[str]:
    """Say what changes in the store: the active policy, and that an earlier `connect` had not finished."""
    unfinished = stored.settings_snapshot and not stored.connected
    before = stored.policy.hash
    return [
        *([f"policy: {before} -> {policy.hash} (`hitl policy explain` shows one)"] if policy.hash != before else []),
        *(["an earlier `hitl connect` had not finished; this one finishes it"] if unfinished else []),
    ]


def _describe_imported(
    client: Client, store: Store, body: Mapping[str, Any], before: SettingsSnapshot | None
) -> list[str]:
    """Say which predictions that are not ours a project has, and what becomes of them."""
    project = str(body["id"])
    trained = {NO_MODEL_VERSION, *store.registry.versions(project)}
    counts = {
        version: n
        for version, n in count_predicted_tasks(client, project).items()
        if not is_own_version(version, trained)
    }
    if not counts:
        return []
    shown = str((before.model_version if before else body["model_version"]) or "")
    if not (before.settings if before else body)["show_collab_predictions"]:
        fate = "people did not see them before, so they stay hidden"
        return [f"{n} tasks have predictions of {version}: {fate}" for version, n in counts.items()]
    notes = []
    for version, n in counts.items():
        fate = "they stay visible until a model of ours serves the control"
        if shown in counts and version != shown:
            fate = f"they are visible where a task has none of {shown}, until a model of ours serves the control"
        notes.append(f"{n} tasks have predictions of {version}: {fate}")
    return notes


def _describe_new_bot(settings: Settings, store: Store) -> list[str]:
    return (
        []
        if find_bot(store, settings.label_studio_url)
        else ["service account: None -> 'hitl-bot' (its answers are never votes)"]
    )


def disconnect(store: Store, client: Client, project: str) -> list[str]:
    """Restore a project as it was before `connect`; return in words what is not as before. Safe to repeat.

    Review projects and their answers stay; only their webhooks are removed.

    Raises
    ------
    NotConnected
        When the project is not connected.
    """
    row = store.projects.get_project(project)
    if row is None or not row.settings_snapshot:
        raise NotConnected(f"project {project} is not connected.", hint="`hitl status` lists the projects.")
    store.projects.save_project(replace(row, connected=False, paused=True))  # first: a running turn stops writing
    _reopen_hidden_tasks(store, client, project, SettingsSnapshot.from_json(row.settings_snapshot))
    reviews = [row.id for row in store.review_projects.list_review_projects(project).values()]
    for review_project in reviews:
        review_project_client.delete_webhooks(client, review_project, SECRET_HEADER)
    store.review_projects.refresh_review_projects(project)
    notes = projects.disconnect(
        client, SettingsSnapshot.from_json(row.settings_snapshot), versions=store.registry.versions(project)
    )
    store.projects.save_project(replace(row, connected=False, paused=False, settings_snapshot={}))
    kept = "stays with its answers and is used when you connect again; delete it if you will not"
    return [*notes, *(f"review project {review_project} {kept}" for review_project in reviews)]


def _reopen_hidden_tasks(store: Store, client: Client, project: str, settings_snapshot: SettingsSnapshot) -> None:
    """Show the tasks that the routing had hidden, except those that have an answer."""
    hidden, answered = (
        store.tasks.list_hidden_tasks(project),
        {vote.task for vote in store.votes.list_votes(project)},
    )
    for task in store.tasks.list_tasks(project) if hidden else ():
        if task.id in hidden and task.id not in answered and task.id not in settings_snapshot.hidden:
            queue_writer.reopen_task(client, task.id, max(1, task.overlap))
    store.tasks.delete_hidden_tasks(project, hidden)


def require_own_store(settings: Settings, store: Store) -> list[Finding]:
    """Raise NotConnected where the service at our public address works on another store, which would learn nothing.

    Return why the service could not be asked: Label Studio may reach it although this command does not.
    """
    webhook_secrets(settings, store)  # webhooks will carry it
    found = check_store_of_service(settings, store, is_secret_new=True)
    for finding in found:
        if finding.name == OTHER_STORE:
            raise NotConnected(finding.what, hint=finding.fix)
    return found


def webhook_secrets(settings: Settings, store: Store) -> tuple[str, ...]:
    """Return the secrets that webhooks may carry, the one for new webhooks first; create one where none is set."""
    return settings.secrets or (store.secrets.get_or_create_secret("webhook"),)
