"""hitl open: the place where people annotate a project, one of its tasks, or its page, in the browser."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from feedback.app.bootstrap import load_settings, opened_project
from feedback.cli.arguments import AsJson, Project
from feedback.cli.terminal import print_found
from feedback.errors import NotConnected
from feedback.settings import Settings

HOW_TO_START = "press Label All Tasks: only this button follows our order"


def annotation_link(settings: Settings, project: str, task: int | None = None) -> str:
    """Return the address of a project in Label Studio, where the button "Label All Tasks" is; with `task` of the task.

    No address leads past the button: in a browser in which it was never pressed, `?labeling=1` serves the tasks in the
    order of the table, and the same one to several people. "" where no address of Label Studio is set.
    """
    address = settings.label_studio_link_url
    shown = "" if task is None else f"?task={task}"
    return f"{address}/projects/{project}/data{shown}" if address else ""


def open_page(
    project: Project,
    task: Annotated[int | None, typer.Option("--task", help="Open this task in Label Studio.")] = None,
    page: Annotated[bool, typer.Option("--page", help="Open the page of hitl with the state of the project.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the address where people annotate the project, and open it in the browser; or a task, or our page.

    With --json the address is printed only.
    """
    settings = load_settings()
    with opened_project(project, settings) as (_store, row):
        link = f"{settings.pages_link_url}/projects/{row.id}" if page else annotation_link(settings, row.id, task)
    if not link:
        raise NotConnected("the address of Label Studio is not known.")
    is_ordered = row.connected or row.source
    how = f"There, {HOW_TO_START}." if is_ordered else "The project is not connected: it has Label Studio's own order."
    lines = [link] if page or task is not None else [link, how]
    print_found({"project": row.id, "address": link}, lines, as_json=as_json)
    if not as_json:
        webbrowser.open(link)
