"""Connecting a project: what Label Studio is told, and what we remember of how it was."""

from __future__ import annotations

from dataclasses import replace

from feedback.errors import NotConnected
from feedback.ingest.full_sync import run_full_sync
from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
from feedback.labelling_platform.service_account import find_bot, make_bot
from feedback.policy import Policy
from feedback.project.policy_validation import check_clocks, raise_policy_errors, validate_policy
from feedback.project.splits import audit_share
from feedback.settings import Settings
from feedback.store import ProjectRow, Store
from feedback.store.log import events
from feedback.store.repositories.policies import policy_of as policy_of
from ml_backend.codecs import codec
from ml_backend.errors import UnknownName
from ml_backend.label_config import read_label_config
from ml_backend.labelstudio import projects, review_project_client, task_visibility
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.settings_snapshot import SettingsSnapshot
from ml_backend.models import recipe_for

_REMAINS = (
    "found connected by a store that is not this one: what the project's settings were before is not known, "
    "so `hitl disconnect` will remove all that is ours and leave the settings"
)


def connect(
    settings: Settings,
    store: Store,
    client: Client,
    project: str,
    *,
    policy: Policy | None = None,
    dry_run: bool = False,
    now_s: float,
) -> list[str]:
    """Put the loop around a project; gives each change in words. Safe to repeat.

    Without `policy` a project keeps the one that it has. Raises before anything is changed: NotConnected for a review
    project of ours, LabelConfigError when
    the project's label config holds nothing that we can read, PolicyError when a clock is shorter than Label Studio's
    task lock, or a new policy calls something by a name that leads nowhere.
    """
    known = store.projects.get_project(project) or ProjectRow(project)
    if known.source:
        raise NotConnected(
            f"project {project} is where project {known.source} is reviewed; it has no loop of its own.",
            hint="What is said there is read with the project that it reviews.",
        )
    body = client.project(project)
    wanted = policy or policy_of(known)
    row = replace(known, title=str(body["title"]), label_config=str(body["label_config"]))
    read_label_config(row.label_config).control(wanted.model.control)
    if policy is None:  # it was validated when it was activated; the lock of Label Studio may have changed
        raise_policy_errors(check_clocks(wanted, settings.lock_ttl_s))
    else:
        raise_policy_errors(validate_policy(policy, lock_ttl_s=settings.lock_ttl_s, project=row))

    def save(settings_snapshot: SettingsSnapshot) -> None:
        store.projects.save_project(replace(row, settings_snapshot=settings_snapshot.to_json()))

    connection = projects.connect(
        client,
        project,
        backend_url=settings.url,
        webhook_secret=webhook_secrets(settings, store)[0],
        basic_auth=(settings.basic_auth_user, settings.basic_auth_password) if settings.basic_auth_user else None,
        earlier=SettingsSnapshot.from_json(known.settings_snapshot) if known.settings_snapshot else None,
        save=save,
        forget=lambda: store.projects.save_project(replace(row, settings_snapshot={})),
        dry_run=dry_run,
    )
    if connection.settings_snapshot is None:
        return [*map(str, connection.changes), *_bot_to_make(settings, store)]
    made = _bot_to_make(settings, store)
    bot = make_bot(store, client, settings.label_studio_url)
    store.append([events.event_from_project(project, row.title, row.label_config, "poll", version=str(body["created_at"]))])
    read = run_full_sync(store, LabelStudioAdapter(client, store), project, clock=lambda: now_s)
    share = known.options.get("audit_share") or audit_share(len(store.tasks.list_tasks(project)))
    row = replace(
        row,
        control=wanted.model.control,
        connected=True,
        paused=False,
        overlap=connection.settings_snapshot.overlap,
        bots=tuple(sorted({*known.bots, *([bot.id] if bot else [])})),
        settings_snapshot=connection.settings_snapshot.to_json(),
        options={**known.options, "audit_share": share},
    )
    store.projects.save_project(row)
    store.policies.activate_policy(row, wanted, who="hitl connect", now_s=now_s)
    told = [f"store: {read.missed} tasks and answers read"] if read.missed else []
    if connection.settings_snapshot.remains and not known.settings_snapshot:
        told.append(_REMAINS)
    return [*map(str, connection.changes), *(made if bot else []), *told]


def describe_learning(label_config: str, policy: Policy) -> list[str]:
    """What the loop will make of a label config, in words: the control it works on, and what it cannot do for it."""
    config = read_label_config(label_config)
    control = config.control(policy.model.control)
    told = [f"works on control {control.name!r} ({control.kind} on {control.object_kind})"]
    if others := [one.name for one in config.controls if one.name != control.name]:
        told.append(f"leaves {', '.join(others)} as people answer them; [model] control in hitl.toml chooses another")
    try:
        codec(control.kind)
    except UnknownName:
        return [*told, f"cannot read answers of the kind {control.kind!r}: they are kept, and nothing is made of them"]
    try:
        if not policy.model.hosted:
            recipe_for(control)
    except UnknownName as error:
        told.append(f"{error} Tasks come in random order; agreement and consensus work. {error.hint}")
    return told


def _bot_to_make(settings: Settings, store: Store) -> list[str]:
    known = find_bot(store, settings.label_studio_url)
    return [] if known else ["a user for our own writes: None -> 'hitl-bot' (its answers are never votes)"]


def disconnect(store: Store, client: Client, project: str) -> list[str]:
    """Put a project back exactly as it was; gives what could not be restored, in words. Safe to repeat.

    Review projects stay, with all that was said in them; they tell us no more.
    """
    row = store.projects.get_project(project)
    if row is None or not row.settings_snapshot:
        raise NotConnected(f"project {project} is not connected.", hint="`hitl status` lists the projects.")
    store.projects.save_project(replace(row, connected=False, paused=True))  # first: a turn under way writes no more
    _show_again(store, client, project, SettingsSnapshot.from_json(row.settings_snapshot))
    for review_project in store.review_projects.list_review_projects(project).values():
        review_project_client.delete_webhooks(client, review_project.id, projects.SECRET_HEADER)
    store.review_projects.refresh_review_projects(project)
    notes = projects.disconnect(
        client, SettingsSnapshot.from_json(row.settings_snapshot), versions=store.registry.versions(project)
    )
    store.projects.save_project(replace(row, connected=False, paused=False, settings_snapshot={}))
    return list(notes)


def _show_again(store: Store, client: Client, project: str, settings_snapshot: SettingsSnapshot) -> None:
    """Let people see the tasks that the routing kept from them; those that somebody answered are done."""
    kept, answered = (
        store.tasks.list_hidden_tasks(project),
        {vote.task for vote in store.votes.list_votes(project)},
    )
    for task in store.tasks.list_tasks(project) if kept else ():
        if task.id in kept and task.id not in answered and task.id not in settings_snapshot.hidden:
            task_visibility.reopen_task(client, task.id, max(1, task.overlap))
    store.tasks.delete_hidden_tasks(project, kept)


def webhook_secrets(settings: Settings, store: Store) -> tuple[str, ...]:
    """The secrets that a webhook may carry, the one to hand out first; one is made where none is given."""
    return settings.secrets or (store.secrets.get_or_create_secret("webhook"),)
