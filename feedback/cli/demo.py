"""hitl demo: run the whole loop on a real Label Studio with one command."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from feedback.cli.arguments import LabelColumn, RecipeData, TaskLimit, TextColumn
from feedback.cli.serve import check_port
from feedback.cli.terminal import screen

_LOOPBACK = "127.0.0.1"


def demo(
    recipe: Annotated[str, typer.Option(help="A name of `hitl recipes`, or a folder of yours.")] = "digits",
    data: RecipeData = "",
    text: TextColumn = "",
    label: LabelColumn = "",
    limit: TaskLimit = None,
    answers: Annotated[
        int | None, typer.Option(help="Number of answers that the three annotators give. Default: the recipe's.", min=1)
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Longest time that they work, in seconds. Default: the recipe's.", min=1)
    ] = None,
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
    """Start Label Studio and the service, let simulated people work, and show how the model learns.

    It ends with the figures that the recipe promises. Exit code 1 where one is not in its range.
    """
    from feedback.demo.run_demo import run_demo
    from feedback.recipes.recipe import load_recipe
    from feedback.recipes.recipe_tasks import load_tasks

    for ending in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal must also stop Label Studio
        signal.signal(ending, _exit)
    for wanted in filter(None, (port, label_studio_port)):
        check_port(_LOOPBACK, wanted)  # at once, not after the half minute in which Label Studio starts
    chosen = load_recipe(recipe)
    if not run_demo(
        chosen,
        partial(load_tasks, chosen, data=data, shown=text, label=label, limit=limit),
        answers=answers or chosen.description.demo.answers,
        seconds=seconds or chosen.description.demo.seconds,
        keep=keep,
        data_dir=data_dir,
        ports=(port, label_studio_port),
        console=screen(),
    ):
        raise typer.Exit(1)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
