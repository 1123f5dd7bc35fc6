"""The hitl command and its sub-commands; heavy modules are imported only when they are needed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version as installed
from typing import Annotated

import typer

from feedback.cli import (
    agree,
    cases,
    connect,
    demo,
    doctor,
    evaluate,
    export,
    gold,
    history,
    init,
    loop_control,
    open_page,
    overrides,
    people,
    personal_data,
    policy,
    recipes,
    relabel,
    serve,
    signal,
    status,
    store,
    why,
)
from feedback.cli.arguments import Commands
from feedback.cli.progress import CommandProgress
from feedback.cli.terminal import echo
from feedback.errors import FeedbackError
from ml_backend.errors import BackendError
from ml_backend.printable import make_streams_printable

_PANELS: Mapping[str, tuple[Callable[..., None], ...]] = {  # in the order of `hitl --help`
    "Start": (
        demo.demo,
        recipes.recipes,
        evaluate.evaluate,
        init.init,
        serve.serve,
        doctor.doctor,
        connect.connect,
        recipes.new,
        connect.disconnect,
    ),
    "Inspect": (
        status.status,
        open_page.open_page,
        agree.agree,
        people.people,
        why.why,
        history.history,
        overrides.overrides,
    ),
    "Control": (loop_control.turn, loop_control.pause, loop_control.resume, loop_control.sweep, relabel.relabel),
    "Review": (cases.cases, cases.case),
    "Data": (
        export.export,
        store.backup,
        store.restore_backup,
        history.restore,
        personal_data.access,
        personal_data.forget,
    ),
    "Processes": (serve.web, serve.worker),
}
_NAMES: dict[object, str] = {open_page.open_page: "open"}  # of commands that are not called as their function
_GROUPS = {
    "policy": (policy.app, "Control"),
    "gold": (gold.app, "Control"),
    "signal": (signal.app, "Control"),
    "store": (store.app, "Data"),
}
_INTERRUPTED, _NOT_READ = 130, 141  # 128 + SIGINT, 128 + SIGPIPE
_WITHOUT_PROGRESS = ("demo", "serve", "web", "worker")  # they have their own, or run until they are stopped
_FIRST_STEPS = (
    "To try it, run hitl demo. To use it with your Label Studio, run hitl init, which asks for LABEL_STUDIO_URL and "
    "LABEL_STUDIO_API_KEY; then run hitl serve, and hitl connect PROJECT in another terminal. "
    "Exit codes: 0 fine, 1 trouble found (or the store or Label Studio is away), 2 wrong use."
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer gives it by position
    if wanted:
        echo(f"label-studio-hitl {installed('label-studio-hitl')}")
        raise typer.Exit


app = Commands(
    name="hitl",
    help="Human-in-the-loop machine learning for Label Studio Community: predict, select tasks, learn, and measure.",
    epilog=_FIRST_STEPS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for panel, commands in _PANELS.items():
    for command in commands:
        app.command(_NAMES.get(command), rich_help_panel=panel)(command)
for name, (group, panel) in _GROUPS.items():
    app.add_typer(group, name=name, rich_help_panel=panel)


@app.callback()
def _before(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - its callback shows it
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Handle the options that come before a sub-command."""
    name = context.invoked_subcommand
    if name not in _WITHOUT_PROGRESS:
        context.with_resource(CommandProgress(f"hitl {name}"))


def main() -> None:
    """Run the command line; expected errors are printed as a message and a hint, without a traceback.

    The exit code is 0 where all is fine, 1 where trouble was found or a service is away, 2 for wrong use. Ctrl-C and a
    reader that has gone, as of `| head`, have those that shells give to programs that end so.
    """
    make_streams_printable()
    try:
        app(prog_name="hitl")
    except (FeedbackError, BackendError) as error:
        echo(f"hitl: {error}", errors=True, fg=typer.colors.RED)
        if error.hint:
            echo(f"      {error.hint}", errors=True)
        sys.exit(1 if error.of_service else 2)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer calls it 1, but there is no trouble
            sys.exit(_NOT_READ)
        raise
