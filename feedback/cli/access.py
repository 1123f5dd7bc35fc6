"""hitl access: everything that is held of a person, as JSON."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from feedback.cli.arguments import OfProject

Emails = Annotated[
    list[str],
    typer.Option("--email", help="An address of theirs; those of their sessions and of Label Studio are known."),
]


def access(
    project: OfProject,
    person: Annotated[int, typer.Option(help="The person's number in Label Studio.")],
    email: Emails = [],  # noqa: B006 - typer copies it
) -> None:
    """Print what a project holds of a person: every version of every answer, reviews, sessions, rights and findings."""
    from feedback.app.bootstrap import emails_of, known_project, opened, settings_from_environment
    from feedback.privacy.subject_access import held_of

    settings = settings_from_environment()
    with opened(settings) as store:
        row = known_project(store, project)
        found = held_of(store, row.id, person, emails=[*email, *emails_of(settings, store, person)])
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
