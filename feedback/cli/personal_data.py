"""hitl access, hitl forget: all data stored about a person, and its erasure; the hash chain stays valid."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.app.bootstrap import connected_platform, list_emails, load_settings, opened_project
from feedback.app.project_names import list_titles
from feedback.cli.arguments import AsJson, NamedProject, OnlyJson, Project, Yes
from feedback.cli.terminal import confirm, echo, print_json
from ml_backend.number_format import format_counted

if TYPE_CHECKING:
    from feedback.privacy.erasure_and_access import ErasureReport

Emails = Annotated[
    list[str],
    typer.Option("--email", help="A further e-mail address of the person; can be repeated."),
]


def access(
    project: Project,
    person: Annotated[int, typer.Option(help="The user id of the person in Label Studio.")],
    email: Emails = [],  # noqa: B006 - typer copies it
    as_json: OnlyJson = True,  # noqa: ARG001 - there is no other form
) -> None:
    """Print all data about a person in a project: answers in all versions, reviews, sessions, roles and figures."""
    from feedback.privacy.erasure_and_access import build_access_report

    settings = load_settings()
    with opened_project(project, settings) as (store, row):
        emails = {*email, list_emails(settings, store).get(person, "")} - {""}
        report = build_access_report(store, row.id, person, emails=emails)
    print_json(report)
    if not report["versions"] and not report["held"]:  # an answer, too: nothing is wrong
        echo(f"Nothing is stored about person {person} in project {row.id}.", errors=True)


def forget(
    project: NamedProject,
    person: Annotated[int | None, typer.Option(help="The user id of the person in Label Studio.")] = None,
    task: Annotated[int | None, typer.Option(help="The id of the task in Label Studio.")] = None,
    email: Emails = [],  # noqa: B006 - typer copies it
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase all answers of a person, or a task with all its answers. Only an older backup can restore them."""
    from feedback.privacy.erasure_and_access import erase_person_or_task

    whom = f"person {person}" if person is not None else f"task {task}"
    settings = load_settings()
    with opened_project(project, settings) as (store, row), connected_platform(settings, store) as platform:
        if (person is None) != (task is None):  # giving neither or both is an error below
            confirm(f"Permanently erase all data about {whom} in project {list_titles({row.id: row.title})}?", yes=yes)
        known = list_emails(settings, store) if person is not None else {}
        emails = {*email, known.get(person or 0, "")} - {""}
        report = erase_person_or_task(
            store, row.id, person=person, task=task, emails=emails, platform=platform, now_s=time.time()
        )
        n_answered, min_rows = store.projects.count_project(row.id).answered, row.policy.train.min_rows
    if as_json:
        print_json(report.to_json())
    else:
        _print(report, whom, person=person, n_answered=n_answered, min_rows=min_rows)


def _print(report: ErasureReport, whom: str, *, person: int | None, n_answered: int, min_rows: int) -> None:
    results = [report.erased, *report.review_projects.values()]
    if not any(row.annotations or row.tasks or row.events for row in results):
        echo(f"No {'answer' if person is not None else 'data and no answer'} of {whom} was stored.")
    n_annotations, n_events = sum(len(row.annotations) for row in results), sum(row.events for row in results)
    annotations = format_counted(n_annotations, "annotation", "annotations")
    tasks, events = len(report.erased.tasks), format_counted(n_events, "event", "events")
    echo(f"Erased {annotations} and {format_counted(tasks, 'task', 'tasks')} in {events}.")
    if report.n_review_tasks:
        echo(f"{format_counted(report.n_review_tasks, 'review task was', 'review tasks were')} erased, too.")
    if models := dict.fromkeys(version for result in results for version in result.models):
        echo(
            f"Models that learned from them: {', '.join(models)}. A model without them is trained as soon as there are "
            f"{min_rows} training tasks (train.min_rows) with answers of two kinds; {n_answered} tasks are answered, "
            "audit tasks among them. Until that model is promoted, the present one serves."
        )
    if report.not_updated:
        numbers = ", ".join(map(str, report.not_updated))
        echo(
            f"Label Studio still shows review tasks as they were: {numbers}. "
            "Run this command again when Label Studio can be reached."
        )
    echo("Delete the data in Label Studio itself, in exports and in older backups, too.")
    if person is not None:
        echo(f"Only the user id {person} is kept, so that no backup restores the data.")
