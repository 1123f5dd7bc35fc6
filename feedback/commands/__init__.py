"""The hitl command: one file a sub-command; nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys

import typer

from feedback.commands import (
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
    override,
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

app = typer.Typer(
    name="hitl",
    help="The human-in-the-loop for Label Studio Community: it predicts, asks the right question, learns, proves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(serve.serve)
app.command()(serve.web)
app.command()(serve.worker)
app.command()(connect.connect)
app.command()(connect.disconnect)
app.command()(pause.pause)
app.command()(pause.resume)
app.command()(doctor.doctor)
app.command()(status.status)
app.command()(turn.turn)
app.command()(agree.agree)
app.command()(people.people)
app.command()(relabel.relabel)
app.command()(history.history)
app.command()(restore.restore)
app.command()(sweep.sweep)
app.command()(backup.backup)
app.command()(backup.restore_backup)
app.command()(forget.forget)
app.command()(access.access)
app.command()(why.why)
app.command()(cases.cases)
app.command()(cases.case)
app.command()(override.overrides)
app.add_typer(policy.app, name="policy")
app.add_typer(gold.app, name="gold")
app.add_typer(signal.app, name="signal")
app.add_typer(store.app, name="store")


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
