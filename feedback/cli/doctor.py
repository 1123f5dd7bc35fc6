"""hitl doctor: find and name each trap between us and Label Studio."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.cli.arguments import AsJson

if TYPE_CHECKING:
    from ml_backend.labelstudio.doctor import Finding


def doctor(
    project: Annotated[
        str,
        typer.Argument(metavar="PROJECT", help="The project's number; without, only the installation is examined."),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Examine the installation and a project; exit status 1 when something needs you."""
    from feedback.app.bootstrap import examine, opened, settings_from_environment

    settings = settings_from_environment()
    with opened(settings) as store:
        findings = examine(settings, store, project)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings, f"project {project}" if project else "the installation")
    if any(finding.severity == "error" for finding in findings):
        raise SystemExit(1)


def _print(findings: list[Finding], examined: str) -> None:
    """A trap a paragraph: addresses and variables stay whole, to be copied."""
    if not findings:
        typer.echo(f"Nothing found: every known trap of {examined} was looked for.")
    for finding in findings:
        colour = typer.colors.RED if finding.severity == "error" else typer.colors.YELLOW
        typer.echo(f"{typer.style(finding.severity, fg=colour, bold=True)}  {typer.style(finding.name, bold=True)}")
        typer.echo(f"  {finding.what}\n  → {finding.fix}\n")
    if findings:
        errors = sum(finding.severity == "error" for finding in findings)
        typer.echo(f"{errors} {'error' if errors == 1 else 'errors'}, {len(findings) - errors} other, in {examined}.")
