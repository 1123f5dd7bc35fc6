"""hitl policy: explain, check, compare, simulate and activate the policy of a project."""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.app.bootstrap import (
    list_emails,
    load_settings,
    make_client,
    make_model_factory,
    opened_project,
    opened_store,
)
from feedback.app.project_names import find_number, require_project
from feedback.cli.arguments import AsJson, Commands, OnlyJson, Project, Yes, project_argument
from feedback.cli.terminal import confirm, echo, print_found, print_json
from feedback.errors import FeedbackError, UnknownProject

if TYPE_CHECKING:
    from feedback.policy import Policy
    from feedback.policy.simulate import Simulation
    from feedback.project.policy_validation import PolicyFinding
    from feedback.settings import Settings
    from feedback.store import ProjectRow, Store

_MAX_TASKS_READ = 1000  # of a project that is not connected yet

app = Commands(help="Explain, check, compare, simulate and activate the policy of a project.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A policy file, such as hitl.toml.")]


@app.command()
def explain(
    project: Annotated[str, project_argument("It may be left out before a file that ends in .toml.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A policy file. Default: the active policy of the project.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain a policy in plain words: each rule, each tier, and who may answer."""
    from feedback.policy.explain import explain_policy
    from ml_backend.label_config import read_label_config

    controls: set[str] | None = None
    if file is None and project.endswith(".toml"):
        project, file = "", Path(project)
    if project or file is None:
        policy, config = _read_with_config(project, file)
        controls = {control.name for control in read_label_config(config).controls} if config else None
    else:
        policy = _read(file)
    lines = explain_policy(policy, controls)
    printed = [f"Policy {policy.hash}", *(f"  {line}" for line in lines)]
    print_found({"hash": policy.hash, "sentences": lines}, printed, as_json=as_json)


@app.command()
def check(
    project: Annotated[str, project_argument("Without it, the file alone is checked.")],
    file: File,
    run: Annotated[
        bool,
        typer.Option("--run", help="Import the hosted model, labelling functions and plug-ins that the policy names."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a policy file and all names in it; with PROJECT also against its labels and tasks, connected or not.

    Code that the policy names is read, and not run without --run. Exit code 2 if the policy is not valid.
    """
    from feedback.project.policy_validation import raise_policy_errors, validate_policy

    policy, settings = _read(file), load_settings()
    if project:
        with opened_store(settings) as store:
            try:
                findings = _validate(settings, store, require_project(store, project), policy, run=run)
            except UnknownProject:
                findings = _validate_unconnected(settings, store, project, policy, run=run)
    else:
        findings = validate_policy(policy, lock_ttl_s=settings.lock_ttl_s, run=run)
    findings = _locate(findings, file)
    raise_policy_errors(findings)
    found = {"hash": policy.hash, "warnings": [str(finding) for finding in findings]}
    lines = [f"{file} is a policy; its hash is {policy.hash}.", *_warning_lines(findings)]
    print_found(found, lines, as_json=as_json)


@app.command()
def simulate(project: Project, file: File, as_json: AsJson = False) -> None:
    """Apply a policy to the recorded decisions of a project and compare it with the active one. Changes nothing."""
    policy, settings = _read(file), load_settings()
    with opened_project(project, settings) as (store, row):
        found = _simulate(settings, store, row, policy)
        answers = _describe_answers(store, row, policy, list_emails(settings, store))
    sentences = [*found.sentences, *([f"answers: {answers}"] if answers else [])]
    print_found(asdict(found) | {"sentences": sentences}, _simulation_lines(found, sentences), as_json=as_json)


@app.command()
def thresholds(project: Project, as_json: AsJson = False) -> None:
    """Compare confidence thresholds on recorded decisions: automation, error, load and cost. Changes nothing."""
    from feedback.automation.thresholds import build_threshold_table, threshold_table_to_json

    settings = load_settings()
    with opened_project(project, settings) as (store, row):
        models = make_model_factory(settings, store)
        found = build_threshold_table(store, row, row.policy, models, now_s=time.time())
    print_found(threshold_table_to_json(found), found.sentences, as_json=as_json)


@app.command()
def diff(
    project: Annotated[
        str, project_argument("Or a file that ends in .toml, to compare with instead of the active policy.")
    ],
    file: File,
    as_json: AsJson = False,
) -> None:
    """Compare the active policy, or a policy file, with another file, key by key. Changes nothing."""
    from feedback.policy.policy_changes import list_changes

    after = _read(file)
    if project.endswith(".toml"):
        before = _read(Path(project))
    else:
        with opened_project(project) as (_store, row):
            before = row.policy
    changes = list_changes(before, after)
    same = f"There is no difference: both have the hash {after.hash}."
    print_found(changes, [change.sentence for change in changes], as_json=as_json, empty=same)


@app.command()
def activate(
    project: Project,
    file: File,
    add_questions: Annotated[
        bool,
        typer.Option("--add-questions", help="Add the \\[feedback] questions to the label config of the project."),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Check and simulate a policy, say what it will do, and make it the active one from the next turn on."""
    from feedback.project.policy_validation import raise_policy_errors
    from feedback.reports.policy_activation import describe_activation

    policy, settings = _read(file), load_settings()
    with opened_project(project, settings) as (store, row):
        findings = _locate(_validate(settings, store, row, policy), file)
        raise_policy_errors(findings)
        found = _simulate(settings, store, row, policy)
        lines = [*_warning_lines(findings), *_simulation_lines(found, found.sentences)]
        plan = list(describe_activation(store, row, policy, found))
        if add_questions:
            plan.append("the [feedback] questions that are missing are added to the label config in Label Studio")
        lines.append(f"Activating policy {policy.hash} in project {row.id} changes{':' if plan else ' nothing.'}")
        for line in (*lines, *(f"  • {change}" for change in plan)):
            echo(line, errors=as_json)  # before the question
        if plan:
            confirm(f"Activate it in project {row.id}?", yes=yes)
        done = store.policies.activate_policy(row, policy, who=getpass.getuser(), now_s=time.time())
        added = _add_questions(settings, store, row, policy) if add_questions else ""
    was = f"; before: {done.before}" if done.before and done.before != done.hash else ""
    active = f"Policy {done.hash} is active in project {row.id}{was}."
    body = {"project": row.id, "hash": done.hash, "before": done.before, "changes": plan, "notes": lines}
    print_found(body | {"added": added}, filter(None, [added, active]), as_json=as_json)


@app.command()
def history(project: Project, as_json: AsJson = False) -> None:
    """List all policies that were active in a project, newest first."""
    from feedback.review.review_task_content import format_time

    with opened_project(project) as (store, row):
        found = store.policies.list_activations(row.id)
    lines = (f"{format_time(row.at_s)}  {row.hash}  {row.who}" for row in found)
    print_found(found, lines, as_json=as_json, empty=f"No policy was activated in project {row.id} yet.")


@app.command()
def show(
    project: Project,
    hash_: Annotated[str, typer.Option("--hash", help="The hash of an earlier policy. Default: the active one.")] = "",
    as_toml: Annotated[bool, typer.Option("--toml", help="Print a policy file with the same hash.")] = False,
    as_json: OnlyJson = True,  # noqa: ARG001 - it is the default
) -> None:
    """Print a stored policy: as JSON with every key, or as a file with the keys that are not at their default."""
    from feedback.policy.policy_changes import policy_to_toml

    with opened_project(project) as (store, row):
        policy = store.policies.get_policy(row.id, hash_) if hash_ else row.policy
    if not as_toml:
        print_json(policy.model_dump(mode="json"))
        return
    for line in policy_to_toml(policy).split("\n")[:-1]:
        echo(line)


@app.command()
def secret(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The `secret` of a \\[notify] target.")],
    new: Annotated[bool, typer.Option("--new", help="Replace it. Receivers need the new one from then on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the secret that signs the notifications to targets with `secret = NAME`; make it if there is none.

    docs/policy.md shows how a receiver verifies the signature.
    """
    from feedback.review.notifications import notification_secret

    with opened_store(load_settings()) as store:
        found = notification_secret(store, name, new=new)
    print_found({"name": name, "secret": found}, [found], as_json=as_json)


@app.command()
def schema(as_json: OnlyJson = True) -> None:  # noqa: ARG001 - there is no other form
    """Print the JSON Schema of policy files, for completion and checks in editors."""
    from feedback.policy.schema import Policy

    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **Policy.model_json_schema()})


def _add_questions(settings: Settings, store: Store, row: ProjectRow, policy: Policy) -> str:
    """Add the questions that the first tier is not asked to the project's label config; return what was done."""
    from feedback.review.first_tier_questions import add_questions, list_missing_questions
    from ml_backend.label_config import read_label_config

    with make_client(settings, store) as client:
        config = read_label_config(str(client.project(row.id)["label_config"]))
        missing = list_missing_questions(config, policy)
        if not missing:
            return "The label config of the project asks every question of the policy."
        xml = add_questions(config, config.control(policy.model.control), policy)
        client.patch_project(row.id, label_config=xml)
        store.projects.save_project(replace(store.projects.get_project(row.id) or row, label_config=xml))
    return f"Added to the label config of project {row.id}: {', '.join(missing)}."


def _read(file: Path) -> Policy:
    from feedback.policy.hitl_toml import read_policy_file

    return read_policy_file(file)


def _locate(findings: Sequence[PolicyFinding], file: Path) -> list[PolicyFinding]:
    """Return the findings with their line and column in the file."""
    from feedback.policy.hitl_toml import read_policy_text, read_positions
    from feedback.project.policy_validation import locate_findings

    return locate_findings(findings, read_positions(read_policy_text(file)))


def _read_with_config(project: str, file: Path | None) -> tuple[Policy, str]:
    """Return the policy of a file, or the active one, and the project's label config; "" where it cannot be read.

    A project that is not connected yet is asked of Label Studio; UnknownProject where it has none of that name.
    """
    from ml_backend.errors import BackendError

    settings = load_settings()
    with opened_store(settings) as store:
        try:
            row = require_project(store, project)
        except UnknownProject:
            if file is None:
                raise
        else:
            return (row.policy if file is None else _read(file)), row.label_config
        policy, config = _read(file), ""
        try:
            with make_client(settings) as client:
                config = str(client.project(find_number(store, client, project)).get("label_config") or "")
        except UnknownProject:
            raise
        except (FeedbackError, BackendError) as error:
            what = "were not read, because it is not connected yet, and"
            echo(f"The labels of project {project} {what} {error}", errors=True)
    return policy, config


def _validate(
    settings: Settings, store: Store, row: ProjectRow, policy: Policy, *, run: bool = True
) -> list[PolicyFinding]:
    """Return every error and warning of a policy for a project, with its labels and the fields of its tasks."""
    from feedback.project.policy_validation import PolicyFinding, validate_policy

    data = [task.data for task in store.tasks.list_tasks(row.id)]
    bots, emails = row.bots, list_emails(settings, store)
    users = [email for person, email in emails.items() if person not in bots] or None
    found = validate_policy(policy, lock_ttl_s=settings.lock_ttl_s, project=row, data=data, users=users, run=run)
    answers = _describe_answers(store, row, policy, emails)
    told = [PolicyFinding("warning", "people", answers)] if answers else []
    owner = _check_token_owner(settings, policy) if emails else []  # no second wait for a Label Studio that is away
    return [*found, *owner, *told]


def _check_token_owner(settings: Settings, policy: Policy) -> list[PolicyFinding]:
    """Return a warning where the owner of the access token loses our pages; none where nobody can be asked."""
    from feedback.project.policy_validation import check_token_owner
    from ml_backend.errors import LabelStudioError

    if not policy.people or not settings.has_label_studio:
        return []
    try:
        with make_client(settings) as client:  # without the store: as the owner, not as our bot
            return check_token_owner(policy, str(client.me()["email"]))
    except LabelStudioError:
        return []


def _describe_answers(store: Store, row: ProjectRow, policy: Policy, emails: Mapping[int, str]) -> str:
    """Return which recorded answers a policy takes out or lets in, in a sentence; "" where none."""
    from feedback.project.snapshot import load_snapshot
    from feedback.review.eligibility import describe_eligibility_change
    from ml_backend.errors import LabelConfigError

    if not row.policy.people and not policy.people:
        return ""  # everybody's answers count: the project need not be read
    try:
        snapshot = load_snapshot(store, row, row.policy)
    except LabelConfigError:
        return ""  # no answer of it is read, under any policy
    return describe_eligibility_change(snapshot, policy, emails)


def _validate_unconnected(
    settings: Settings, store: Store, project: str, policy: Policy, *, run: bool
) -> list[PolicyFinding]:
    """Return the same for a project that is not connected yet, as Label Studio shows it; or what cannot be checked.

    Raises UnknownProject for a project that Label Studio does not have.
    """
    from feedback.project.policy_validation import PolicyFinding, validate_policy
    from feedback.store import ProjectRow
    from ml_backend.errors import BackendError

    try:
        with make_client(settings) as client:
            project = find_number(store, client, project)
            body = client.project(project)
            data = [dict(task["data"]) for task in client.tasks(project, page_size=_MAX_TASKS_READ, include=["data"])]
            users = [str(user["email"]) for user in client.users()]
    except UnknownProject:
        raise
    except (FeedbackError, BackendError) as error:
        what = f"its labels and the fields of its tasks were not checked, because it is not connected yet, and {error}"
        unchecked = PolicyFinding("warning", f"project {project}", what, error.hint)
        return [*validate_policy(policy, lock_ttl_s=settings.lock_ttl_s, run=run), unchecked]
    row = ProjectRow(project, str(body.get("title") or ""), str(body.get("label_config") or ""))
    found = validate_policy(policy, lock_ttl_s=settings.lock_ttl_s, project=row, data=data, users=users, run=run)
    return [*found, *_check_token_owner(settings, policy)]


def _simulate(settings: Settings, store: Store, row: ProjectRow, policy: Policy) -> Simulation:
    """Compare a policy with the active one, on past decisions or, where there are none, on the open tasks."""
    from feedback.policy.simulate import simulate
    from feedback.routing.rule_inputs import load_decision_history, load_open_tasks

    history = load_decision_history(store, row.id)
    if not history.tasks:
        history = load_open_tasks(store, row, policy, make_model_factory(settings, store), now_s=time.time())
    return simulate(row.policy, policy, history)


def _warning_lines(findings: Sequence[PolicyFinding]) -> list[str]:
    return [f"  warning: {finding}{f' {finding.hint}' if finding.hint else ''}" for finding in findings]


def _simulation_lines(found: Simulation, sentences: Sequence[str]) -> list[str]:
    return [*sentences, *(f"  task {task}: {before} -> {after}" for task, before, after in found.examples[:5])]
