"""hitl forget: erase a person or a task, so that the law and the hash chain are both content."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.cli.access import Emails
from feedback.cli.arguments import AsJson, OfProject

if TYPE_CHECKING:
    from feedback.privacy.erasure import Erased


def forget(
    project: OfProject,
    person: Annotated[int | None, typer.Option(help="The person's number in Label Studio.")] = None,
    task: Annotated[int | None, typer.Option(help="The task's number in Label Studio.")] = None,
    email: Emails = [],  # noqa: B006 - typer copies it
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase what a person said, or a task and all that was said of it. There is no way back but an older backup."""
    from feedback.app.bootstrap import emails_of, known_project, opened, rooms_in, settings_from_environment
    from feedback.privacy.erasure import forget as erase

    whom = f"person {person}" if person is not None else f"task {task}"
    if not yes and person != task:  # neither or both is refused below
        typer.confirm(f"Erase what project {project} holds of {whom}, for ever?", abort=True)
    settings = settings_from_environment()
    with opened(settings) as store, rooms_in(settings, store) as rooms:
        row = known_project(store, project)
        known = [*email, *(emails_of(settings, store, person) if person is not None else ())]
        done = erase(store, row.id, person=person, task=task, emails=known, rooms=rooms, now_s=time.time())
    if as_json:
        typer.echo(json.dumps(done.to_json(), indent=2))
    else:
        _print(done, person=person)


def _print(done: Erased, *, person: int | None) -> None:
    told = [done.forgotten, *done.rooms.values()]
    annotations, events = sum(len(one.annotations) for one in told), sum(one.events for one in told)
    typer.echo(f"Erased {annotations} annotations and {len(done.forgotten.tasks)} tasks in {events} events.")
    if done.copies:
        typer.echo(f"{done.copies} copies in review projects went with it.")
    if models := dict.fromkeys(version for one in told for version in one.models):
        typer.echo(f"Models that had learned from them: {', '.join(models)}. The next turn trains one without.")
    if done.left:
        numbers = ", ".join(map(str, done.left))
        typer.echo(f"Label Studio still shows copies as they were: {numbers}. Run this again when it can be reached.")
    typer.echo("What stands in Label Studio itself, and in backups made before, must be deleted there.")
    if person is not None:
        typer.echo(f"Their number, {person}, is kept so that no backup brings them back; nothing else is.")
