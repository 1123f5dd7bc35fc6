"""hitl open: a project's label stream, one of its tasks, or its page, in the browser."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from feedback.app.bootstrap import load_settings, opened_project
from feedback.cli.arguments import AsJson, Project
from feedback.cli.terminal import print_found
from feedback.errors import NotConnected
from feedback.settings import Settings


def labelling_link(settings: Settings, project: str, task: int | None = None) -> str:
    """Return the address of Label Studio's label stream, which follows our order; with `task` that of the task.

    The stream is what the button "Label All Tasks" opens. "" where no address of Label Studio is set.
    """
    address = settings.label_studio_public_url or settings.label_studio_url
    shown = "labeling=1" if task is None else f"task={task}"
    return f"{address.rstrip('/')}/projects/{project}/data?{shown}" if address else ""


def open_page(
    project: Project,
    task: Annotated[int | None, typer.Option("--task", help="Open this task in Label Studio.")] = None,
    page: Annotated[bool, typer.Option("--page", help="Open the page of hitl with the state of the project.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the address where annotators work in our order, and open it in the browser; or a task, or our page."""
    settings = load_settings()
    with opened_project(project, settings) as (_store, row):
        link = f"{settings.url}/projects/{row.id}" if page else labelling_link(settings, row.id, task)
    if not link:
        raise NotConnected("the address of Label Studio is not known.")
    print_found({"project": row.id, "address": link}, [link], as_json=as_json)
    webbrowser.open(link)
