"""hitl doctor: find problems of the installation and of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from feedback.cli.arguments import AsJson
from feedback.cli.terminal import print_json

if TYPE_CHECKING:
    from ml_backend.labelstudio.doctor import Finding


def doctor(
    project: Annotated[
        str,
        typer.Argument(metavar="PROJECT", help="The number of a project. Default: check only the installation."),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check the installation and a project for known problems. Exit status 1 if there is an error."""
    from feedback.app.bootstrap import load_settings, opened_store, run_doctor

    settings = load_settings()
    with opened_store(settings) as store:
        findings = run_doctor(settings, store, project)
    if as_json:
        print_json(findings)
    else:
        _print(findings, f"project {project}" if project else "the installation")
    if any(finding.severity == "error" for finding in findings):
        raise SystemExit(1)


def _print(findings: list[Finding], examined: str) -> None:
    """Print each problem without line breaks inside, so that addresses can be copied."""
    if not findings:
        typer.echo(f"No problem found in {examined}.")
    for finding in findings:
        colour = typer.colors.RED if finding.severity == "error" else typer.colors.YELLOW
        typer.echo(f"{typer.style(finding.severity, fg=colour, bold=True)}  {typer.style(finding.name, bold=True)}")
        typer.echo(f"  {finding.what}\n  → {finding.fix}\n")
    if findings:
        errors = sum(finding.severity == "error" for finding in findings)
        typer.echo(f"{errors} {'error' if errors == 1 else 'errors'}, {len(findings) - errors} other, in {examined}.")
