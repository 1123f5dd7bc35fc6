"""hitl demo: the whole loop on a real Label Studio, in one command."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from feedback.cli.terminal import screen


def demo(
    recipe: Annotated[str, typer.Option(help="digits (images), or spam (a CSV of texts).")] = "digits",
    data: Annotated[Path | None, typer.Option(help="For spam: a CSV file.")] = None,
    text: Annotated[str, typer.Option(help="For spam: the column with the text.")] = "text",
    label: Annotated[str, typer.Option(help="For spam: the column with the true label.")] = "label",
    limit: Annotated[int | None, typer.Option(min=1, help="Take the first so many tasks only.")] = None,
    answers: Annotated[int, typer.Option(help="How many answers the three annotators give.", min=1)] = 400,
    seconds: Annotated[float, typer.Option(help="How long they work at most.", min=1)] = 150.0,
    data_dir: Annotated[Path | None, typer.Option(help="Keep everything here; default: a temporary folder.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running, to annotate in the browser.")] = False,
) -> None:
    """Start Label Studio and the service, let three people annotate, and watch the model learn from them."""
    from feedback.demo.run_demo import play
    from feedback.recipes import make_recipe

    for ending in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal, too, must not leave a Label Studio behind
        signal.signal(ending, _leave)
    made = make_recipe(recipe, data=data, text=text, label=label, limit=limit)
    play(made, answers=answers, seconds=seconds, keep=keep, data_dir=data_dir, console=screen())


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
