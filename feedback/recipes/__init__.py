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
    """A project to be made. `truth` is known to the demo's annotators only; nothing of it reaches Label Studio."""

    name: str
    title: str
    label_config: str
    tasks: Sequence[Mapping[str, Any]] = field(repr=False)  # (n,) task data
    truth: Sequence[str] = field(repr=False)  # (n,) labels
    control: str
    policy: Policy
    notes: tuple[str, ...] = ()  # what was odd about the data

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that people choose from, sorted."""
        return tuple(sorted(set(self.truth)))

    def answers(self) -> dict[str, str]:
        """The true label by content of the task; identical tasks share the first one's."""
        known: dict[str, str] = {}
        for data, label in zip(self.tasks, self.truth, strict=True):
            known.setdefault(content_hash(data), label)
        return known


class Make(Protocol):
    """Makes a recipe; `data` is a CSV file for recipes that take one."""

    def __call__(self, *, data: Path | None, text: str, label: str, limit: int | None) -> ProjectRecipe:
        """Raise RecipeError when the file or a column is missing."""
        ...


def make_recipe(
    name: str, *, data: Path | None = None, text: str = "text", label: str = "label", limit: int | None = None
) -> ProjectRecipe:
    """Make a recipe by name; UnknownName gives the nearest one."""
    make: Make = plugins.load("hitl.recipes", name, BUILTINS)
    return make(data=data, text=text, label=label, limit=limit)
