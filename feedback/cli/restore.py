"""hitl restore: bring a version of an annotation back into Label Studio."""

from __future__ import annotations

from typing import Annotated

import typer

from feedback.cli.arguments import OfProject


def restore(
    versions: Annotated[
        list[int], typer.Argument(metavar="VERSION", help="Numbers of versions, as `hitl history` shows them.")
    ],
    project: OfProject,
) -> None:
    """Make each version a new annotation, of the person whose answer it was; existing annotations stay."""
    from feedback.app.bootstrap import client_of, known_project, opened, settings_from_environment
    from feedback.labelling_platform import restore

    settings = settings_from_environment()
    with opened(settings) as store, client_of(settings, store) as client:
        known_project(store, project)
        for version in versions:
            made = restore.restore(store, client, project, version)
            typer.echo(f"Version {version} is annotation {made} now.")
