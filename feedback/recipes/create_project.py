"""Create the Label Studio project of a recipe: its label config, its files uploaded, its tasks imported; once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from feedback.errors import RecipeError
from feedback.recipes.recipe_tasks import RecipeTasks
from ml_backend.labelstudio.client import Client
from ml_backend.records import content_hash

_MARKER = "[hitl recipe]"  # in the description of a project that we made


@dataclass(frozen=True, slots=True)
class CreatedProject:
    """A project of a recipe; `tasks` is 0 where it had its tasks before."""

    id: str
    tasks: int
    truth: Mapping[str, str] = field(repr=False)  # content hash of the data -> true label, of the imported tasks


def create_project(client: Client, made: RecipeTasks, *, title: str, name: str) -> CreatedProject:
    """Create a project and import the tasks, with media as uploaded files.

    Safe to repeat: a project that this function made is found by its title, and gets its tasks where it has none.
    RecipeError where a project of somebody else has the title.
    """
    found = next((row for row in client.projects() if row["title"] == title), None)
    if found is not None and _MARKER not in str(found["description"]):
        what = f"project {found['id']} has the title {title!r} already, and was not made from a recipe."
        raise RecipeError(what, hint="Choose another --title.")
    if found is None:
        description = f"Made from the recipe {name}. {_MARKER}"
        found = client.create_project(title=title, label_config=made.label_config, description=description)
    project = str(found["id"])
    if client.project(project)["task_number"]:
        return CreatedProject(project, 0, {})
    tasks = _upload(client, project, made)
    client.import_tasks(project, [{"data": data} for data in tasks])
    truth: dict[str, str] = {}
    for data, label in zip(tasks, made.truth, strict=True):
        truth.setdefault(content_hash(data), label)  # equal tasks share the label of the first
    return CreatedProject(project, len(tasks), truth)


def _upload(client: Client, project: str, made: RecipeTasks) -> Sequence[Mapping[str, Any]]:
    """Return the data of the tasks with the address of each file in the place of its name; equal names are one file."""
    names = list(dict.fromkeys(str(task[name]) for name in made.files for task in made.tasks))
    files = [(PurePosixPath(name).name, made.read_file(name)) for name in names]
    addresses = dict(zip(names, client.upload_files(project, files), strict=True)) if files else {}
    return [{**task, **{name: addresses[str(task[name])] for name in made.files}} for task in made.tasks]
