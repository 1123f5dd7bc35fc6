"""hitl recipes, hitl new: list the recipes, and start a project from one."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from feedback.app.bootstrap import load_settings, make_client, make_platform, opened_store
from feedback.cli import connect as connecting
from feedback.cli.arguments import AsJson, LabelColumn, RecipeData, TaskLimit, TextColumn
from feedback.cli.terminal import echo, print_json, print_table
from feedback.errors import RecipeError
from ml_backend.number_format import format_count


def recipes(as_json: AsJson = False) -> None:
    """List the recipes: folders from which a project starts."""
    from feedback.recipes.recipe import describe_needs, list_recipes

    rows = [
        {
            "recipe": recipe.name,
            "input": recipe.description.input,
            "shows": recipe.description.summary,
            "needs": describe_needs(recipe),
        }
        for recipe in list_recipes()
    ]
    if as_json:
        print_json([row | {"folder": str(recipe.folder)} for row, recipe in zip(rows, list_recipes(), strict=True)])
        return
    print_table(rows)
    echo("`hitl demo --recipe NAME` plays one; `hitl new NAME --title TITLE` starts a project of yours from it.")


def new(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A name of `hitl recipes`, or a folder of yours.")],
    title: Annotated[str, typer.Option(help="The title of the new project.")] = "",
    data: RecipeData = "",
    text: TextColumn = "",
    label: LabelColumn = "",
    limit: TaskLimit = None,
    folder: Annotated[
        Path | None, typer.Option(help="Only copy the recipe's folder to this new folder, to change it.")
    ] = None,
) -> None:
    """Create a project in Label Studio from a recipe, with tasks, and connect it. Safe to repeat."""
    from feedback.recipes.create_project import create_project
    from feedback.recipes.recipe import POLICY_FILE, load_recipe
    from feedback.recipes.recipe_tasks import load_tasks

    chosen = load_recipe(recipe)
    if folder is not None:
        if folder.exists():
            raise RecipeError(f"{folder} exists already.", hint="Name a new folder.")
        shutil.copytree(chosen.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
        echo(f"{folder} is a copy of the recipe {chosen.name}. Next: hitl new {folder} --title TITLE")
        return
    if not title:
        raise RecipeError("the new project needs a title.", hint=f"hitl new {recipe} --title TITLE")
    settings = load_settings()
    with tempfile.TemporaryDirectory(prefix="hitl-recipe-") as work, make_client(settings) as client:
        made = load_tasks(chosen, Path(work), data=data, shown=text, label=label, limit=limit)
        for note in made.notes:
            echo(f"Note: {note}.")
        created = create_project(client, made, title=title, name=chosen.name)
    imported = f"{format_count(created.tasks)} tasks imported" if created.tasks else "it has its tasks"
    echo(f"Project {created.id} {title!r} from the recipe {chosen.name}: {imported}.")
    connecting.connect(created.id, policy=chosen.folder / POLICY_FILE)
    if len(chosen.policy.tiers) > 1:
        _make_review_projects(created.id)
    echo(f"Next: read {chosen.folder / 'README.md'}, invite people, and see `hitl status {created.id}`.")


def _make_review_projects(project: str) -> None:
    from feedback.app.project_names import require_project
    from feedback.project.snapshot import load_snapshot
    from feedback.review.assignment import ensure_review_project

    settings = load_settings()
    with opened_store(settings) as store:
        row, notes = require_project(store, project), list[str]()
        snapshot = load_snapshot(store, row, row.policy)
        platform = make_platform(settings, store)
        for tier in list(row.policy.tiers)[1:]:
            review_project = ensure_review_project(store, platform, snapshot, tier, notes=notes)
            echo(f"Reviewers of {tier} work in project {review_project}.")
    for note in notes:
        echo(f"But {note}")
