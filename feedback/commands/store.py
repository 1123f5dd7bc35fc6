"""hitl store verify / rebuild / unpark: prove that nothing was lost or altered, and give parked work another try."""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer(help="Verify or rebuild what is kept.", no_args_is_help=True)


@app.command()
def verify(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check the hash chain of every project and that the projections follow from it; exit status 1 at a break."""
    from feedback.wiring import opened, settings_from_environment

    with opened(settings_from_environment()) as store:
        found = store.verify()
    typer.echo(json.dumps(found) if as_json else ", ".join(f"{name}: {value}" for name, value in found.items()))
    if found["chain"] != "ok" or found["projection"] != "ok":
        raise SystemExit(1)


@app.command()
def rebuild(check: Annotated[bool, typer.Option("--check", help="Compare only; change nothing.")] = False) -> None:
    """Build the projections anew from the event log."""
    from feedback.wiring import opened, settings_from_environment

    with opened(settings_from_environment()) as store:
        same = store.rebuild(check=check)
    typer.echo("the projections follow from the log" if same else "the projections differ from the log")
    if check and not same:
        raise SystemExit(1)


@app.command()
def unpark(
    project: Annotated[str, typer.Argument(help="The project's number.")],
    kind: Annotated[str, typer.Option(help="The kind of work: turn or sweep; default: all that is parked.")] = "",
) -> None:
    """Give work that failed too often another try now; `hitl status` shows why it was parked."""
    from feedback.wiring import opened, settings_from_environment

    with opened(settings_from_environment()) as store:
        parked = [row.kind for row in store.works() if (row.project, row.state) == (project, "parked")]
        done = [one for one in parked if kind in ("", one) and store.unpark(project, one)]
    typer.echo(
        f"Project {project}: {', '.join(done)} is tried again." if done else f"Project {project}: none is parked."
    )
