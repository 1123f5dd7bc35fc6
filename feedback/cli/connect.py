"""hitl connect, hitl disconnect: connect a Label Studio project, or restore it as it was before."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from feedback.app.bootstrap import load_settings, make_client, make_media_fetcher, opened_store
from feedback.app.project_names import find_number, require_project
from feedback.cli.arguments import AsJson, NamedProject
from feedback.cli.doctor import describe_findings
from feedback.cli.open_page import HOW_TO_START, annotation_link
from feedback.cli.terminal import print_found
from ml_backend.errors import LabelStudioError

_SCORE = (
    "Beside the model's name Label Studio shows 0.00 % at each task: that is its place in our order, no confidence."
)


def connect(
    project: NamedProject,
    policy: Annotated[Path | None, typer.Option(help="A policy file. Default: ./hitl.toml, if it exists.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List all changes and problems; change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Connect a project: set its webhook, ML backend and task order. Safe to repeat.

    Exit code 1, and no change, where `hitl doctor` finds a problem with which it would fail.
    """
    from feedback.app.doctor import examine
    from feedback.policy.hitl_toml import read_policy_file, read_policy_text, read_positions
    from feedback.project import connect
    from feedback.reports.imported_answers import describe_imports_at_connect
    from feedback.store import ProjectRow, describe_store
    from ml_backend.labelstudio.doctor import sample_task_data

    settings = load_settings()
    path = policy or (Path("hitl.toml") if Path("hitl.toml").exists() else None)
    wanted, positions = (read_policy_file(path), read_positions(read_policy_text(path))) if path else (None, None)
    with opened_store(settings) as store, make_client(settings) as client:
        project = find_number(store, client, project)
        unreached = connect.require_own_store(settings, store)
        findings = examine(settings, store, project, before_connect=unreached).findings
        fails = any(finding.stops for finding in findings)
        dry_run |= fails
        try:
            changes = connect.connect(
                settings, store, client, project, policy=wanted, positions=positions, dry_run=dry_run, now_s=time.time()
            )
        except LabelStudioError as error:
            error.hint = " ".join([error.hint, *(f"Asked from here: {each.what} {each.fix}" for each in unreached)])
            raise
        active = wanted or (store.projects.get_project(project) or ProjectRow(project)).policy
        describe_learning = connect.describe_learning(
            str(client.project(project)["label_config"]),
            active,
            data=sample_task_data(client, project),
            check_address=make_media_fetcher(settings).check,
        )
        describe_learning += describe_imports_at_connect(store, client, project, active, dry_run=dry_run)
    link = annotation_link(settings, project)
    place = describe_store(settings.store_url)
    lines = [f"Project {project}: nothing to change, it is already connected."]
    if changes:
        done = "these changes would be made" if dry_run else "changed"
        lines = [f"Project {project}: {done}", *(f"  • {change}" for change in changes)]
    lines += ["The loop", *(f"  • {line}" for line in describe_learning)]
    lines.append(f"Store: {place}")
    if dry_run:
        lines += describe_findings(findings)
    else:
        lines += [f"But {finding.what} {finding.fix}" for finding in unreached]
        lines.append(f"Annotators open {link} and {HOW_TO_START} (docs/annotators.md is for them).")
        lines.append(_SCORE)
        lines.append(f"See `hitl status {project}` and the pages at {settings.pages_link_url}.")
    if fails:
        lines.append(f"Nothing is changed: project {project} cannot be connected as it is now.")
    found = {"project": project, "changes": changes, "loop": describe_learning, "annotate_at": link, "store": place}
    print_found(found | {"dry_run": dry_run, "findings": findings}, lines, as_json=as_json)
    if fails:
        raise typer.Exit(1)


def disconnect(project: NamedProject, as_json: AsJson = False) -> None:
    """Restore a project as it was before `hitl connect`."""
    from feedback.project import connect

    settings = load_settings()
    with opened_store(settings) as store, make_client(settings) as client:
        project = require_project(store, project).id
        notes = connect.disconnect(store, client, project)
    done = f"Project {project} is as it was before it was connected. The answers stay in the store."
    print_found({"project": project, "notes": notes}, [done, *(f"  but: {note}" for note in notes)], as_json=as_json)
