"""Calls of recipes and models that leave out the rows that make them fail: a recipe is a plug-in over others' data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import BackendError, NotTrained
from ml_backend.left_out import compute_rows, describe_error
from ml_backend.models import Floats, Model, Recipe, Tasks, Vectors

_log = logging.getLogger(__name__)
_Array = TypeVar("_Array", bound=NDArray[Any])


def fit_rows(
    recipe: Recipe,
    data: Tasks,
    labels: Sequence[str],
    *,
    field: str,
    weights: Floats | None = None,
    seed: int = 0,
    names: Sequence[object] | None = None,
) -> Model:
    """Return what `recipe.fit` returns; where it fails, that of the rows with which it does not.

    `names` are those of the rows, (n,), for the note of what was left out. NotTrained where no row is the cause.
    """

    def fit(rows: Sequence[int]) -> Model:
        chosen = None if weights is None else weights[list(rows)]
        return recipe.fit(
            [data[row] for row in rows], [labels[row] for row in rows], field=field, weights=chosen, seed=seed
        )

    def is_readable(rows: Sequence[int]) -> Sequence[bool]:
        recipe.vectors([data[row] for row in rows], field=field)
        return [True] * len(rows)

    def can_be_fitted(rows: Sequence[int]) -> Sequence[bool]:
        with suppress(NotTrained):  # fewer than two classes in this part: no row is the cause
            fit(rows)
        return [True] * len(rows)

    rows: Sequence[int] = range(len(data))
    for is_good in (is_readable, can_be_fitted):
        try:
            return fit(rows)
        except BackendError:
            raise
        except Exception:  # noqa: BLE001 - a recipe is a plug-in and may raise anything over one row
            _log.debug("a recipe failed; its rows are tried in parts", exc_info=True)
        good = compute_rows("train", rows, is_good, name=_namer(names))
        rows = [row for row, found in zip(rows, good, strict=True) if found]
    try:
        return fit(rows)
    except BackendError:
        raise
    except Exception as error:
        raise NotTrained(f"the recipe {recipe.name} failed: {describe_error(error)}.") from error


def predict_rows(model: Model, data: Tasks, *, names: Sequence[object] | None = None) -> Floats:
    """Return `model.predict_proba`, (n, k); a row of NaN for each task that makes it fail, as for an unreadable one."""

    def predict(rows: Sequence[int]) -> list[Floats]:
        return list(_checked(model.predict_proba([data[row] for row in rows]), len(rows)))

    if not len(data):
        return model.predict_proba(data)
    return _filled(compute_rows("predict", range(len(data)), predict, name=_namer(names)), len(model.classes), np.nan)


def vector_rows(model: Model, data: Tasks, *, names: Sequence[object] | None = None) -> Vectors:
    """Return `model.vectors`, (n, d); zeros for each task that makes it fail, as for an unreadable one."""

    def read(rows: Sequence[int]) -> list[Vectors]:
        return list(_checked(model.vectors([data[row] for row in rows]), len(rows)))

    if not len(data):
        return model.vectors(data)
    found = compute_rows("read", range(len(data)), read, name=_namer(names))
    size = next((len(row) for row in found if row is not None), 1)
    return _filled(found, size, 0.0).astype(np.float32, copy=False)


def _checked(found: _Array, n_rows: int) -> _Array:
    if found.ndim != 2 or len(found) != n_rows:
        raise BackendError(f"the model returned an array of shape {found.shape} for {n_rows} tasks.")
    return found


def _filled(rows: Sequence[Floats | Vectors | None], size: int, missing: float) -> Floats:
    return np.stack([np.full(size, missing) if row is None else row for row in rows])


def _namer(names: Sequence[object] | None) -> Callable[[int], object]:
    return "task {}".format if names is None else lambda row: names[row]
