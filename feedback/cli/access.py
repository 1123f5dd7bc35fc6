"""hitl access: all data stored about a person, as JSON."""

from __future__ import annotations

from typing import Annotated

import typer

from feedback.cli.arguments import OfProject
from feedback.cli.terminal import print_json

Emails = Annotated[
    list[str],
    typer.Option("--email", help="A further e-mail address of the person; can be repeated."),
]


def access(
    project: OfProject,
    person: Annotated[int, typer.Option(help="The user id of the person in Label Studio.")],
    email: Emails = [],  # noqa: B006 - typer copies it
) -> None:
    """Print all data about a person in a project: answers in all versions, reviews, sessions, roles and figures."""
    from feedback.app.bootstrap import list_person_emails, load_settings, opened_project
    from feedback.privacy.subject_access import build_access_report

    settings = load_settings()
    with opened_project(project, settings) as (store, row):
        emails = [*email, *list_person_emails(settings, store, person)]
        print_json(build_access_report(store, row.id, person, emails=emails))
