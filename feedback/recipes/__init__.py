"""Ready-made projects: label config, tasks and policy, each in a folder; what the demo runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from feedback.policy import Policy
from ml_backend import plugins
from ml_backend.records import content_hash

BUILTINS: Mapping[str, str] = {
    "digits": "feedback.recipes.digits:make",
    "spam": "feedback.recipes.spam:make",
}


@dataclass(frozen=True, slots=True)
class ProjectRecipe:
    """A project to create. Only the simulated annotators know `truth`; Label Studio never gets it."""

    title: str
    label_config: str
    tasks: Sequence[Mapping[str, Any]] = field(repr=False)  # (n,) task data
    truth: Sequence[str] = field(repr=False)  # (n,) labels
    control: str
    policy: Policy
    notes: tuple[str, ...] = ()  # warnings about the data

    def answers(self) -> dict[str, str]:
        """Return the true label by content hash of the task; identical tasks share the label of the first."""
        labels: dict[str, str] = {}
        for data, label in zip(self.tasks, self.truth, strict=True):
            labels.setdefault(content_hash(data), label)
        return labels


class Make(Protocol):
    """A function that makes a recipe; `data` is a CSV file for the recipes that take one."""

    def __call__(self, *, data: Path | None, text: str, label: str, limit: int | None) -> ProjectRecipe:
        """Return the recipe, or raise RecipeError when the file or a column is missing."""
        ...


def make_recipe(
    name: str, *, data: Path | None = None, text: str = "text", label: str = "label", limit: int | None = None
) -> ProjectRecipe:
    """Make a recipe by name; UnknownName suggests the nearest name."""
    make: Make = plugins.load("hitl.recipes", name, BUILTINS)
    return make(data=data, text=text, label=label, limit=limit)
