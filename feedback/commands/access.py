"""hitl access: everything that is held of a person, as JSON."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from feedback.commands.arguments import OfProject


def access(
    project: OfProject,
    person: Annotated[int, typer.Option(help="The person's number in Label Studio.")],
) -> None:
    """Print what a project holds of a person: every version of every answer, what counts now, and findings."""
    from feedback.reports.access import held_of
    from feedback.wiring import known_project, opened, settings_from_environment

    with opened(settings_from_environment()) as store:
        found = held_of(store, known_project(store, project).id, person)
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
