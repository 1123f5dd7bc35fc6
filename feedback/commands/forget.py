"""hitl forget: erase a person or a task, so that the law and the hash chain are both content."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from feedback.commands.arguments import AsJson, OfProject


def forget(
    project: OfProject,
    person: Annotated[int | None, typer.Option(help="The person's number in Label Studio.")] = None,
    task: Annotated[int | None, typer.Option(help="The task's number in Label Studio.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase what a person said, or a task and all that was said of it. There is no way back but an older backup."""
    from feedback.wiring import known_project, opened, settings_from_environment

    whom = f"person {person}" if person is not None else f"task {task}"
    if not yes and person != task:  # neither or both is refused below
        typer.confirm(f"Erase what project {project} holds of {whom}, for ever?", abort=True)
    with opened(settings_from_environment()) as store:
        done = store.forget(known_project(store, project).id, person=person, task=task)
    if as_json:
        typer.echo(json.dumps(asdict(done), indent=2))
        return
    typer.echo(f"Erased {len(done.annotations)} annotations and {len(done.tasks)} tasks in {done.events} events.")
    if done.models:
        typer.echo(f"Models that had learned from them: {', '.join(done.models)}. The next turn trains without them.")
    typer.echo("What stands in Label Studio itself, and in backups made before, must be deleted there.")
