"""What can learn to answer a control: one recipe a kind of question, each giving models that name their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml_backend import plugins
from ml_backend.errors import UnknownName
from ml_backend.features.cache import FeatureCache
from ml_backend.label_config import Control

Floats: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.float32]
State: TypeAlias = Mapping[str, Any]  # numpy arrays and JSON values, one level deep: what an artefact holds

# "<object tag>-<control tag>"; a plug-in adds one under the entry-point group hitl.models
BUILTINS: Mapping[str, str] = {
    "text-choices": "ml_backend.models.text_classifier:TextChoices",
    "hypertext-choices": "ml_backend.models.text_classifier:HypertextChoices",
    "image-choices": "ml_backend.models.image_classifier:ImageChoices",
}


class Model(Protocol):
    """Something fitted. Safe to ask from several threads; the same content gives the same numbers."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels seen in training, sorted; column j of `predict_proba` is `classes[j]`, always."""
        ...

    def predict_proba(self, data: Sequence[Mapping[str, Any]]) -> Floats:
        """(n, k) rows that sum to 1; a row of NaN for a task that cannot be read. Not calibrated."""
        ...

    def vectors(self, data: Sequence[Mapping[str, Any]]) -> Vectors:
        """(n, d) places of the tasks for diversity; near means alike. Zeros for a task that cannot be read."""
        ...

    def state(self) -> State:
        """All that `Recipe.load` needs to build this model again."""
        ...


class Recipe(Protocol):
    """A way to learn: an estimator, its features and their settings."""

    @property
    def name(self) -> str:
        """ "<plug-in name>/<number>"; the number changes whenever the recipe does."""
        ...

    def fit(
        self,
        data: Sequence[Mapping[str, Any]],
        labels: Sequence[str],
        *,
        field: str,
        weights: Floats | None = None,
        seed: int = 0,
    ) -> Model:
        """Learn from answered tasks; deterministic. NotTrained when fewer than two classes can be read."""
        ...

    def vectors(self, data: Sequence[Mapping[str, Any]], *, field: str) -> Vectors:
        """What `Model.vectors` gives, before there is any model."""
        ...

    def load(self, state: State) -> Model:
        """The model whose `state()` this is; KeyError, TypeError or ValueError when it is not one."""
        ...


def recipe_for(control: Control, *, name: str = "", cache: FeatureCache[Any] | None = None) -> Recipe:
    """Pick the recipe for what a control asks about its object; `name` overrules the choice.

    Raises UnknownName with a sentence where nothing can learn this control.

    >>> from ml_backend.label_config import Control
    >>> recipe_for(Control("c", "t", "choices", ("a", "b"), False, "text", "text")).name
    'text-choices/1'
    """
    if not control.field:
        raise UnknownName(
            f"control {control.name!r} is about no data field, so there is nothing to learn from.",
            hint='Give its object a value such as value="$text".',
        )
    if control.multiple and not name:
        raise UnknownName(
            f"control {control.name!r} takes several labels at once; the built-in recipes learn one label a task.",
            hint='Use choice="single", or install a recipe of the group hitl.models and name it.',
        )
    usual = f"{control.object_kind}-{control.kind}"
    if not name and usual not in (known := plugins.names("hitl.models", BUILTINS)):
        raise UnknownName(
            f"no model here learns {control.kind} on {control.object_kind} (control {control.name!r}).",
            hint=f"Known: {', '.join(known)}. A plug-in of the group hitl.models, or `hosted` in [model], adds one.",
        )
    return recipe(name or usual, cache=cache)


def recipe(name: str, *, cache: FeatureCache[Any] | None = None) -> Recipe:
    """The recipe of this plug-in name, or of a full name as an artefact carries it ("text-choices/1")."""
    made: Recipe = plugins.load("hitl.models", name.partition("/")[0], BUILTINS)(cache=cache)
    if "/" in name and made.name != name:
        raise UnknownName(
            f"the model was made by recipe {name!r}; this release has {made.name!r}.", hint="Train again."
        )
    return made
