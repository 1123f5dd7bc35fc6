"""Arguments that several sub-commands share: the project, the task, and JSON output."""

from __future__ import annotations

from typing import Annotated

import typer

_NUMBER = "The project's number, as in its address in Label Studio: /projects/12/."

Project = Annotated[str, typer.Argument(metavar="PROJECT", help=_NUMBER)]
OfProject = Annotated[str, typer.Option("--project", "-p", metavar="PROJECT", help=_NUMBER)]
Task = Annotated[int, typer.Argument(metavar="TASK", help="The id of the task in Label Studio.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
