"""hitl gold: tasks with a known answer, which show who needs help."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feedback.app.bootstrap import opened_project
from feedback.cli.arguments import AsJson, Commands, NamedProject, Project
from feedback.cli.terminal import print_found
from feedback.errors import VotesError
from ml_backend.number_format import format_counted

if TYPE_CHECKING:
    from feedback.store import ProjectRow, Store

app = Commands(name="gold", help="Manage gold tasks: tasks with a known answer. Label Studio never gets the answers.")

Tasks = Annotated[list[int], typer.Argument(metavar="TASK", help="Ids of tasks.")]


@app.command()
def add(
    project: Project,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file with the columns task, gold.")],
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Largest error of a right answer: a difference for numbers and ratings, else a distance in 0..1.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add gold tasks. Everybody gets them like any other task, and models never learn from them."""
    from feedback.annotators.gold import QUANTITIES, add_gold
    from feedback.reports.votes_file import parse_answers, read_gold
    from ml_backend.label_config import read_label_config

    cells, notes = read_gold(file)
    with opened_project(project) as (store, row):
        control = read_label_config(row.label_config).control(row.policy.model.control)
        data = {task.id: task.data for task in store.tasks.list_tasks(row.id)} if control.options else {}
        answers = parse_answers(cells, control, data)
        if tolerance is not None and tolerance > 1.0 and control.kind not in QUANTITIES:
            what = f"--tolerance is {tolerance:g}; answers to {control.name} are compared by a distance from 0 to 1."
            raise VotesError(what, hint="Only for numbers and ratings it is a difference, and may be more.")
        done = add_gold(store, row.id, answers, _units(store, row, answers), tolerance=tolerance)
    lines = [
        *(f"Note: {note}." for note in notes),
        f"{format_counted(done, 'gold task was', 'gold tasks were')} added to project {row.id}.",
    ]
    print_found({"project": row.id, "added": done, "notes": notes}, lines, as_json=as_json)


@app.command()
def ask(project: NamedProject, tasks: Tasks, as_json: AsJson = False) -> None:
    """Give these tasks to everybody and compare each person with the others; no right answer is needed."""
    from feedback.annotators.gold import add_gold

    unknown = dict.fromkeys(tasks)
    with opened_project(project) as (store, row):
        done = add_gold(store, row.id, unknown, _units(store, row, unknown))
    named = f"task of project {row.id} is", f"tasks of project {row.id} are"
    line = f"{format_counted(done, *named)} given to everybody."
    print_found({"project": row.id, "added": done}, [line], as_json=as_json)


@app.command("list")
def show(project: Project, as_json: AsJson = False) -> None:
    """List the gold tasks, how often each was answered, and how often the answer was right."""
    from feedback.reports.annotator_report import gold_figures

    with opened_project(project) as (store, row):
        found = gold_figures(store, row)
    none = f"Project {row.id} has no gold tasks. Add some: hitl gold add {row.id} FILE.csv"
    print_found(found, map(_gold_text, found), as_json=as_json, empty=none)


@app.command()
def retire(project: NamedProject, tasks: Tasks, as_json: AsJson = False) -> None:
    """Stop giving these gold tasks to people, for example because people know the answers by heart."""
    from feedback.annotators.gold import retire_gold

    with opened_project(project) as (store, row):
        done = retire_gold(store, row.id, tasks)
    line = f"Retired: {', '.join(map(str, done)) or 'none of them is an active gold task'}."
    print_found({"project": row.id, "retired": done}, [line], as_json=as_json)


def _gold_text(entry: Mapping[str, Any]) -> str:
    state = "" if entry["state"] == "asked" else f"  ({entry['state']})"
    right = (
        f"{entry['right']} of {entry['answers']} right"
        if entry["answer"]
        else format_counted(entry["answers"], "answer", "answers")
    )
    return f"task {entry['task']}: {entry['answer'] or 'given to everybody'}, {right}{state}"


def _units(store: Store, row: ProjectRow, tasks: Collection[int]) -> dict[int, str]:
    """Return the unit of the random draws by task id, for the tasks that exist."""
    from feedback.project.snapshot import load_splits

    drawn = load_splits(store, row, row.policy)
    return {task.id: drawn.dedup_key(task.data) for task in store.tasks.list_tasks(row.id) if task.id in tasks}
