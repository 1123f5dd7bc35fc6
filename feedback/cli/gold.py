"""hitl gold: tasks whose answer is known, asked among the others to see who needs help."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.cli.arguments import AsJson, Project

if TYPE_CHECKING:
    from feedback.policy import Policy
    from feedback.store import ProjectRow, Store

app = typer.Typer(name="gold", help="Tasks with a known answer, asked among the others; the answers stay in our store.")


@app.command()
def add(
    project: Project,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with the columns task, gold: a task id and its right answer.")
    ],
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="How far off is still right: a difference for numbers and ratings, else a distance in 0..1."
        ),
    ] = None,
) -> None:
    """Add known answers. These tasks are asked like any other, of everybody, and models never learn from them."""
    from feedback.annotators.cell_parsing import read_answers
    from feedback.annotators.gold import add_gold
    from feedback.app.bootstrap import known_project, opened, settings_from_environment
    from feedback.reports.votes_file import read_gold
    from feedback.store.repositories.policies import policy_of
    from ml_backend.label_config import read_label_config

    cells, notes = read_gold(file)
    with opened(settings_from_environment()) as store:
        row = known_project(store, project)
        policy = policy_of(row)
        control = read_label_config(row.label_config).control(policy.model.control)
        answers = read_answers(cells, control)
        done = add_gold(store, project, answers, _units(store, row, policy, answers), tolerance=tolerance)
    for note in notes:
        typer.echo(f"Note: {note}.")
    typer.echo(f"{done} gold tasks are in the book of project {project}.")


@app.command()
def ask(
    project: Project,
    tasks: Annotated[list[int], typer.Argument(metavar="TASK", help="Task ids.")],
) -> None:
    """Ask the same tasks of everybody without knowing the answers: a calibration set, each against the consensus."""
    from feedback.annotators.gold import add_gold
    from feedback.app.bootstrap import known_project, opened, settings_from_environment
    from feedback.store.repositories.policies import policy_of

    with opened(settings_from_environment()) as store:
        row, unknown = known_project(store, project), dict.fromkeys(tasks)
        done = add_gold(store, project, unknown, _units(store, row, policy_of(row), unknown))
    typer.echo(f"{done} tasks of project {project} are asked of everybody.")


@app.command("list")
def show(
    project: Project,
    as_json: AsJson = False,
) -> None:
    """List the gold tasks, how often each was answered, and how often rightly."""
    from feedback.app.bootstrap import known_project, opened, settings_from_environment
    from feedback.reports.gold_report import gold_figures
    from feedback.store.repositories.policies import policy_of

    with opened(settings_from_environment()) as store:
        row = known_project(store, project)
        found = gold_figures(store, row, policy_of(row))
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for one in found:
        state = "" if one["state"] == "asked" else f"  ({one['state']})"
        right = f"{one['right']} of {one['answers']} right" if one["answer"] else f"{one['answers']} answers"
        typer.echo(f"task {one['task']}: {one['answer'] or 'asked of everybody'}, {right}{state}")
    if not found:
        typer.echo(f"Project {project} has no gold tasks. Add some: hitl gold add {project} FILE.csv")


@app.command()
def retire(
    project: Project,
    tasks: Annotated[list[int], typer.Argument(metavar="TASK", help="Task ids.")],
) -> None:
    """Ask gold tasks no more, because people know them by heart."""
    from feedback.annotators.gold import retire_gold
    from feedback.app.bootstrap import known_project, opened, settings_from_environment

    with opened(settings_from_environment()) as store:
        known_project(store, project)
        done = retire_gold(store, project, tasks)
    typer.echo(f"Retired: {', '.join(map(str, done)) or 'none of them is an asked gold task'}.")


def _units(store: Store, row: ProjectRow, policy: Policy, tasks: Collection[int]) -> dict[int, str]:
    """What draws are made on, of those of these tasks that are there."""
    from feedback.project.snapshot import project_draws

    drawn = project_draws(store, row, policy)
    return {task.id: drawn.unit(task.data) for task in store.tasks.list_tasks(row.id) if task.id in tasks}
