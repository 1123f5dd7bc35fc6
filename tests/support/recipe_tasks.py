"""The tasks of a recipe with their images as data URIs, for tests without a Label Studio to upload them to."""

from __future__ import annotations

import base64
import tempfile
from dataclasses import replace
from pathlib import Path

from feedback.recipes.recipe import load_recipe
from feedback.recipes.recipe_tasks import RecipeTasks, load_tasks


def inline_tasks(name: str, *, limit: int) -> RecipeTasks:
    """The tasks of a recipe of images."""
    with tempfile.TemporaryDirectory() as work:
        made = load_tasks(load_recipe(name), Path(work), limit=limit)
        shown = [base64.b64encode(made.read_file(str(task["image"]))).decode() for task in made.tasks]
    return replace(made, tasks=[{"image": f"data:image/png;base64,{content}"} for content in shown])
