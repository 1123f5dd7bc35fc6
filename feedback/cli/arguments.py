"""What sub-commands ask for alike: a project, a task, JSON in the place of a table."""

from __future__ import annotations

from typing import Annotated

import typer

_NUMBER = "The project's number: it stands in its address in Label Studio, such as 12."

Project = Annotated[str, typer.Argument(metavar="PROJECT", help=_NUMBER)]
OfProject = Annotated[str, typer.Option("--project", "-p", metavar="PROJECT", help=_NUMBER)]
Task = Annotated[int, typer.Argument(metavar="TASK", help="The task's number in Label Studio.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
