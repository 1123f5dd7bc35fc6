"""What a recipe promises: figures of the end of its demo, each compared with the range on the recipe's page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from feedback.errors import RecipeError
from feedback.recipes.recipe import Promise, Recipe
from feedback.reports.project_status import model_accuracies, project_status
from feedback.reports.training_export import list_training_examples
from feedback.store import ProjectRow, Store
from ml_backend.number_format import UNKNOWN


@dataclass(frozen=True, slots=True)
class KeptPromise:
    """One promise and the figure that came out; `figure` is None where it is not known."""

    name: str
    promise: Promise
    figure: float | None

    @property
    def is_kept(self) -> bool:
        """Return whether the figure is known and in its range."""
        return self.figure is not None and self.promise.least <= self.figure <= self.promise.most

    def __str__(self) -> str:
        least, most = self.promise.least, self.promise.most
        limits = [f"at least {least:g}"] * math.isfinite(least) + [f"at most {most:g}"] * math.isfinite(most)
        shown = UNKNOWN if self.figure is None else f"{self.figure:.3g}"
        return f"{self.promise.text}: {shown} (promised: {', '.join(limits)})"


def check_known(recipe: Recipe) -> None:
    """Raise RecipeError where a recipe promises a figure that nobody measures."""
    if unknown := recipe.description.promises.keys() - FIGURES.keys():
        what = f"recipe {recipe.name} promises {min(unknown)!r}, which is no figure."
        raise RecipeError(what, hint=f"Figures: {', '.join(FIGURES)}.")


def check_promises(store: Store, project: ProjectRow, promises: Mapping[str, Promise]) -> list[KeptPromise]:
    """Return each promise with its figure."""
    return [KeptPromise(name, promise, FIGURES[name](store, project)) for name, promise in promises.items()]


def _count_promotions(store: Store, project: ProjectRow) -> float:
    return sum(bool(row.body["promote"]) for row in store.records.list_records(project.id, "verdict"))


def _measure_accuracy(store: Store, project: ProjectRow) -> float | None:
    champion = store.registry.champion(project.id)
    verdicts = [row.body for row in store.records.list_records(project.id, "verdict")]
    found = model_accuracies(verdicts).get(champion.version) if champion else None
    return found["value"] if found else None


def _measure_agreement(store: Store, project: ProjectRow) -> float | None:
    found = project_status(store, project)["agreement"]
    return found["percent"] if found else None


def _measure_review_share(store: Store, project: ProjectRow) -> float | None:
    """Return the share of the tasks without an answer and a decision that the rules send beyond the first tier."""
    done = {vote.task for vote in store.votes.list_votes(project.id)}
    done |= {case.task for case in store.cases.list_cases(project.id) if case.state == "resolved"}
    decisions = store.decisions.list_current_decisions(project.id)
    to = [decision.outcome for task, (decision, _) in decisions.items() if task not in done]
    return sum(outcome != project.policy.first_tier for outcome in to) / len(to) if to else None


def _count_reviewed(store: Store, project: ProjectRow) -> float:
    return sum(case.state == "resolved" for case in store.cases.list_cases(project.id))


def _measure_predictions_kept(store: Store, project: ProjectRow) -> float | None:
    """Return the share of the cases by rule and decided whose task has the model's prediction beside the label."""
    shown = {row.task for row in store.overrides.list_overrides(project.id) if row.shown is not None and row.model}
    decided = [case for case in store.cases.list_cases(project.id) if case.state == "resolved" and case.prediction]
    return sum(case.task in shown for case in decided) / len(decided) if decided else None


def _count_training_rows(store: Store, project: ProjectRow) -> float:
    return len(list_training_examples(store, project)[0])


FIGURES: Mapping[str, Callable[[Store, ProjectRow], float | None]] = {  # docs/recipes.md says what each is
    "promotions": _count_promotions,
    "accuracy": _measure_accuracy,
    "agreement": _measure_agreement,
    "review_share": _measure_review_share,
    "reviewed": _count_reviewed,
    "predictions_kept": _measure_predictions_kept,
    "training_rows": _count_training_rows,
}
