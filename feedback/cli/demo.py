"""hitl demo: run the whole loop on a real Label Studio with one command."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from feedback.cli.serve import check_port
from feedback.cli.terminal import screen

_LOOPBACK = "127.0.0.1"


def demo(
    recipe: Annotated[str, typer.Option(help="digits (images), or spam (texts from a CSV file).")] = "digits",
    data: Annotated[Path | None, typer.Option(help="For spam: the CSV file.")] = None,
    text: Annotated[str, typer.Option(help="For spam: the text column.")] = "text",
    label: Annotated[str, typer.Option(help="For spam: the column of true labels.")] = "label",
    limit: Annotated[int | None, typer.Option(min=1, help="Use only this number of tasks.")] = None,
    answers: Annotated[int, typer.Option(help="Number of answers that the three annotators give.", min=1)] = 400,
    seconds: Annotated[float, typer.Option(help="Longest time that they work, in seconds.", min=1)] = 150.0,
    port: Annotated[
        int | None, typer.Option(help="The port of the service and its pages. Default: a free one.")
    ] = None,
    label_studio_port: Annotated[
        int | None, typer.Option(help="The port of Label Studio. Default: a free one.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep all data here. Default: a temporary folder.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep it running, to annotate in the browser.")] = False,
) -> None:
    """Start Label Studio and the service, let three simulated annotators work, and show how the model learns."""
    from feedback.demo.run_demo import run_demo
    from feedback.recipes import make_recipe

    for ending in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal must also stop Label Studio
        signal.signal(ending, _exit)
    for wanted in filter(None, (port, label_studio_port)):
        check_port(_LOOPBACK, wanted)  # at once, not after the half minute in which Label Studio starts
    made = make_recipe(recipe, data=data, text=text, label=label, limit=limit)
    run_demo(
        made,
        answers=answers,
        seconds=seconds,
        keep=keep,
        data_dir=data_dir,
        ports=(port, label_studio_port),
        console=screen(),
    )


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
