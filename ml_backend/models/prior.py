"""Before there is a model: nothing is answered and no confidence is made up, but tasks have places already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import UnknownName
from ml_backend.features.cache import FeatureCache
from ml_backend.label_config import Control

from . import Floats, Recipe, recipe_for

Tasks = Sequence[Mapping[str, Any]]


class Prior:
    """A model that knows nothing and says so: every row is NaN, so that a bundle of it answers (None, None).

    Its vectors are those of the recipe that will learn here: a first batch can be chosen to be diverse.
    """

    def __init__(self, control: Control, *, cache: FeatureCache[Any] | None = None) -> None:
        self.classes = tuple(sorted(control.labels))
        self._field = control.field
        self._recipe = _recipe_or_none(control, cache)

    def predict_proba(self, data: Tasks) -> Floats:
        """(n, k) of NaN: an even row would look like an opinion."""
        return np.full((len(data), len(self.classes)), np.nan)

    def vectors(self, data: Tasks) -> NDArray[np.float32]:
        """(n, d); one column of zeros where nothing can learn the control."""
        if self._recipe is None:
            return np.zeros((len(data), 1), np.float32)
        return self._recipe.vectors(data, field=self._field)

    def state(self) -> Mapping[str, Any]:
        """Nothing is learned, so nothing is kept."""
        return {}


def _recipe_or_none(control: Control, cache: FeatureCache[Any] | None) -> Recipe | None:
    try:
        return recipe_for(control, cache=cache)
    except UnknownName:
        return None
