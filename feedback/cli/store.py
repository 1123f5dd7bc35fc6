"""hitl store verify / rebuild / unpark: prove that nothing was lost or altered, and give parked work another try."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.cli.arguments import AsJson, Project
from feedback.cli.terminal import screen

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

app = typer.Typer(help="Verify or rebuild what is kept.", no_args_is_help=True)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Check the hash chain of every project and that the projections follow from it; exit status 1 at a break."""
    from feedback.app.bootstrap import opened, settings_from_environment

    with opened(settings_from_environment()) as store:
        found = store.verify()
    typer.echo(json.dumps(found) if as_json else ", ".join(f"{name}: {value}" for name, value in found.items()))
    if found["chain"] != "ok" or found["projection"] != "ok":
        raise SystemExit(1)


@app.command()
def rebuild(check: Annotated[bool, typer.Option("--check", help="Compare only; change nothing.")] = False) -> None:
    """Build the projections anew from the log. What webhooks bring waits in the inbox meanwhile, and so do turns."""
    from feedback.app.bootstrap import opened, settings_from_environment

    console = screen(errors=True)
    if not check:
        console.print("Until this is done nothing else is written; what people do meanwhile waits in the inbox.")
    with opened(settings_from_environment()) as store, _progress(console) as tell:
        found = store.rebuild(check=check, tell=tell)
    typer.echo("the projections follow from the log" if found.ok else f"the projections differ: {found.differs}")
    if not found.ok:
        raise SystemExit(1)


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each project, on a terminal; elsewhere a line when a project begins and when it is done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("project {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        bar_of: dict[str, TaskID] = {}

        def tell(project: str, done: int, total: int) -> None:
            if project not in bar_of:
                bar_of[project] = bars.add_task(project, total=total)
                if not console.is_terminal:
                    console.print(f"project {project}: {total} steps")
            bars.update(bar_of[project], completed=done)
            if done == total and not console.is_terminal:
                console.print(f"project {project}: done")

        yield tell


@app.command()
def unpark(
    project: Project,
    kind: Annotated[
        str, typer.Option(help="The kind of work: turn, sweep or clean; default: all that is parked.")
    ] = "",
) -> None:
    """Give work that failed too often another try now; `hitl status` shows why it was parked."""
    from feedback.app.bootstrap import opened, settings_from_environment

    with opened(settings_from_environment()) as store:
        parked = [row.kind for row in store.jobs.list_jobs() if (row.project, row.state) == (project, "parked")]
        done = [one for one in parked if kind in ("", one) and store.jobs.unpark_job(project, one)]
    typer.echo(
        f"Project {project}: {', '.join(done)} is tried again." if done else f"Project {project}: none is parked."
    )
