"""Models and the recipes that fit them, by the kind of object and control; plug-ins of the group `hitl.models`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml_backend import plugins
from ml_backend.errors import UnknownName
from ml_backend.features.cache import FeatureCache
from ml_backend.features.task_columns import FieldRule
from ml_backend.label_config import Control

Tasks: TypeAlias = Sequence[Mapping[str, Any]]  # the data of tasks
Floats: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.float32]
State: TypeAlias = Mapping[str, Any]  # numpy arrays and JSON values, one level deep: what an artefact stores

# "<object tag>-<control tag>"; a plug-in adds one under the entry-point group hitl.models
BUILTINS: Mapping[str, str] = {
    "text-choices": "ml_backend.models.text_classifier:TextChoices",
    "hypertext-choices": "ml_backend.models.text_classifier:HypertextChoices",
    "image-choices": "ml_backend.models.image_classifier:ImageChoices",
    "table-choices": "ml_backend.models.table_classifier:TableChoices",
}
DEFAULT_FEATURES = "default"
# why a hosted model of label-studio-ml cannot learn options that each task brings along
HOSTED_OPTIONS = "a hosted model predicts labels of the config; {0.name!r} takes them from the field {0.options!r}."
HOSTED_OPTIONS_HINT = "Leave out `hosted` in [model]: the built-in recipes learn such options."


class Model(Protocol):
    """A fitted model. Safe in threads; the same data give the same numbers."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the labels of the training rows, sorted, in the order of the columns of `predict_proba`."""

    def predict_proba(self, data: Tasks) -> Floats:
        """Return probabilities, shape (n, k), not calibrated; a row of NaN for a task that cannot be read."""

    def vectors(self, data: Tasks) -> Vectors:
        """Return vectors, shape (n, d), near for similar tasks; zeros for a task that cannot be read."""

    def state(self) -> State:
        """Return all that `Recipe.load` needs to build this model again."""


class Recipe(Protocol):
    """A way to fit models: an estimator, its features and their settings."""

    @property
    def name(self) -> str:
        """Return "<plug-in name>[+<features>]/<number>"; the number changes whenever the recipe changes."""

    def fit(
        self, data: Tasks, labels: Sequence[str], *, field: str, weights: Floats | None = None, seed: int = 0
    ) -> Model:
        """Fit a model on task data, their labels and row weights, (n,); deterministic.

        NotTrained where fewer than two classes have readable rows.
        """

    def vectors(self, data: Tasks, *, field: str) -> Vectors:
        """Return what `Model.vectors` returns, without a model."""

    def load(self, state: State) -> Model:
        """Build the model of a `state()`; KeyError, TypeError or ValueError where it is not one."""


def recipe_for(
    control: Control,
    *,
    features: str = DEFAULT_FEATURES,
    cache: FeatureCache[Any] | None = None,
    rule: FieldRule | None = None,
) -> Recipe:
    """Return the recipe of a control; UnknownName says why none fits.

    With other `features` it is another recipe, "<object kind>-<control kind>+<features>": UnknownName where it has no
    such features, or the package with their weights is not installed. `rule` says which other fields it reads.
    """
    return get_recipe(name_with_features(find_recipe(control), features), cache=cache, rule=rule)


def find_recipe(control: Control) -> str:
    """Return the name of the recipe of a control, "<object kind>-<control kind>"; UnknownName says why none fits."""
    if control.problem:
        raise UnknownName(f"no model learns control {control.name!r}: {control.problem}.", hint=control.remedy)
    if not control.field:
        raise UnknownName(
            f"control {control.name!r} shows no data field as it is, so there is nothing to learn from.",
            hint='Give its object the value of one field, such as value="$text".',
        )
    if control.multiple:
        raise UnknownName(
            f"control {control.name!r} accepts several labels at once; the built-in recipes learn one label per task.",
            hint='Use choice="single" where one label is enough.',
        )
    name = f"{control.object_kind}-{control.kind}"
    if name not in (known := plugins.names("hitl.models", BUILTINS)):
        raise UnknownName(
            f"no installed recipe learns {control.kind} on {control.object_kind} (control {control.name!r}).",
            hint=f"Known: {', '.join(known)}. A plug-in of the group hitl.models, or `hosted` in [model], adds one.",
        )
    return name


def get_recipe(name: str, *, cache: FeatureCache[Any] | None = None, rule: FieldRule | None = None) -> Recipe:
    """Return the recipe of a plug-in name, or of the full name in an artefact ("text-choices/2"); else UnknownName.

    A "+" stands before features other than the default ones: "text-choices+embedding".
    """
    plugin, _, features = name.partition("/")[0].partition("+")
    make = plugins.load("hitl.models", plugin, BUILTINS)
    if features and features not in (known := getattr(make, "features", ())):
        raise UnknownName(
            f"the recipe {plugin!r} has no features {features!r}.",
            hint=f"It has: {', '.join((DEFAULT_FEATURES, *known))}.",
        )
    options = {"features": features} if features else {}
    made: Recipe = make(cache=cache, rule=rule, **options)
    if "/" in name and made.name != name:
        raise UnknownName(
            f"the model was made by recipe {name!r}; this release has {made.name!r}.", hint="Train again."
        )
    return made


def name_with_features(name: str, features: str) -> str:
    """Return the name of a recipe, with its features where they are not the default ones.

    >>> name_with_features("text-choices/2", "embedding"), name_with_features("text-choices", "default")
    ('text-choices+embedding/2', 'text-choices')
    """
    plugin, slash, number = name.partition("/")
    return name if features == DEFAULT_FEATURES else f"{plugin}+{features}{slash}{number}"
