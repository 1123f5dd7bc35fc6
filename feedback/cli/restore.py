"""hitl restore: restore an old version of an annotation in Label Studio."""

from __future__ import annotations

from typing import Annotated

import typer

from feedback.cli.arguments import OfProject


def restore(
    versions: Annotated[list[int], typer.Argument(metavar="VERSION", help="Version numbers from `hitl history`.")],
    project: OfProject,
) -> None:
    """Restore old versions of annotations, each as a new annotation by the same person. Existing ones stay."""
    from feedback.app.bootstrap import load_settings, make_client, opened_project
    from feedback.labelling_platform import restore

    settings = load_settings()
    with opened_project(project, settings) as (store, _row), make_client(settings, store) as client:
        for version in versions:
            made = restore.restore(store, client, project, version)
            typer.echo(f"Version {version} is now annotation {made}.")
