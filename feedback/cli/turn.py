"""hitl turn: run one turn of the loop now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from feedback.cli.arguments import AsJson, Project
from feedback.cli.terminal import print_json

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the seconds of each stage of the turn.")]


def turn(project: Project, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Collect answers, train and judge a model, and write the queue, once; wait while a worker has the project."""
    from feedback.app.bootstrap import load_settings, opened_store, run_turn

    settings = load_settings()
    with opened_store(settings) as store:
        done = asdict(run_turn(settings, store, project))
    if as_json:
        print_json(done)
        return
    typer.echo(f"Project {project}: the turn is done.")
    for name, value in done.items():
        for item in value if isinstance(value, tuple) else (value,):
            if name not in ("project", "at_s", "stages") and item not in ("", 0):
                typer.echo(f"  {name:<10} {item}")
    if verbose:
        for stage, seconds in done["stages"].items():
            typer.echo(f"  {seconds:8.3f} s  {stage}")
