"""The hitl command: one file a sub-command; nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from typing import Annotated

import typer

from feedback.cli import (
    access,
    agree,
    backup,
    cases,
    connect,
    demo,
    doctor,
    forget,
    gold,
    history,
    overrides,
    pause,
    people,
    policy,
    relabel,
    restore,
    serve,
    signal,
    status,
    store,
    sweep,
    turn,
    why,
)

_PANELS = {  # in the order of `hitl --help`
    "Begin": (demo.demo, serve.serve, doctor.doctor, connect.connect, connect.disconnect),
    "Look": (status.status, agree.agree, people.people, why.why, history.history, overrides.overrides),
    "Steer": (turn.turn, pause.pause, pause.resume, sweep.sweep, relabel.relabel),
    "Review": (cases.cases, cases.case),
    "Keep and give back": (backup.backup, backup.restore_backup, restore.restore, access.access, forget.forget),
    "Run one half alone": (serve.web, serve.worker),
}
_GROUPS = {
    "policy": (policy.app, "Steer"),
    "gold": (gold.app, "Steer"),
    "signal": (signal.app, "Steer"),
    "store": (store.app, "Keep and give back"),
}
_FIRST_STEPS = (
    "To see it at work: hitl demo. On a Label Studio of yours: set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, "
    "run hitl serve, and in another terminal hitl connect PROJECT."
)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"label-studio-hitl {installed('label-studio-hitl')}")
        raise typer.Exit


app = typer.Typer(
    name="hitl",
    help="The human-in-the-loop for Label Studio Community: it predicts, asks the right question, learns, proves.",
    epilog=_FIRST_STEPS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for panel, commands in _PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
for name, (group, panel) in _GROUPS.items():
    app.add_typer(group, name=name, rich_help_panel=panel)


@app.callback()
def _before(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda wanted: _show_version(wanted=wanted),
            is_eager=True,
            help="Say which release this is.",
        ),
    ] = False,
) -> None:
    """What stands before every sub-command."""


def main() -> None:
    """Run the command line; an error that we raise on purpose becomes two sentences, never a traceback."""
    from feedback.errors import FeedbackError
    from ml_backend.errors import BackendError

    try:
        app()
    except (FeedbackError, BackendError) as error:
        typer.secho(f"hitl: {error}", err=True, fg=typer.colors.RED)
        if error.hint:
            typer.secho(f"      {error.hint}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
