"""hitl doctor: find and name each trap between us and Label Studio."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer


def doctor(
    project: Annotated[
        str, typer.Argument(help="The project's number; without, only the installation is examined.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Examine the installation and a project; exit status 1 when something needs you."""
    from rich.console import Console
    from rich.table import Table

    from feedback.wiring import examine, opened, settings_from_environment

    settings = settings_from_environment()
    with opened(settings) as store:
        findings = examine(settings, store, project)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    elif findings:
        table = Table("", "trap", "what is so", "what to do", title="hitl doctor", show_lines=True)
        for finding in findings:
            table.add_row(finding.severity, finding.name, finding.what, finding.fix)
        Console().print(table)
    else:
        typer.echo("Nothing found: every known trap was looked for.")
    if any(finding.severity == "error" for finding in findings):
        raise SystemExit(1)
