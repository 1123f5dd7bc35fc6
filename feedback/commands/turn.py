"""hitl turn: one pass of the loop, now."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer


def turn(
    project: Annotated[str, typer.Argument(help="The project's number.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Collect, settle, learn, judge, promote and ask, once. Waits for a worker that has the project."""
    from rich.console import Console
    from rich.table import Table

    from feedback.wiring import opened, run_turn, settings_from_environment

    settings = settings_from_environment()
    with opened(settings) as store:
        done = asdict(run_turn(settings, store, project))
    if as_json:
        typer.echo(json.dumps(done, indent=2))
        return
    table = Table("what", "this turn", title=f"Project {project}")
    for name, value in done.items():
        if name not in ("project", "at_s") and value not in ("", 0, ()):
            table.add_row(name, "\n".join(value) if isinstance(value, tuple) else str(value))
    Console().print(table)
