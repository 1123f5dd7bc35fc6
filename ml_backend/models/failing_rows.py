"""Calls of recipes and models that leave out the rows that make them fail: a recipe is a plug-in over others' data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import BackendError, NotTrained
from ml_backend.left_out import compute_rows, describe_error
from ml_backend.models import Floats, Model, Recipe, Tasks, Vectors

_log = logging.getLogger(__name__)


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
    return _compute_array("predict", data, model.predict_proba, names, missing=np.nan, size=len(model.classes))


def vector_rows(model: Model, data: Tasks, *, names: Sequence[object] | None = None) -> Vectors:
    """Return `model.vectors`, (n, d); zeros for each task that makes it fail, as for an unreadable one."""
    return _compute_array("read", data, model.vectors, names, missing=0.0).astype(np.float32, copy=False)


def _compute_array(
    step: str,
    data: Tasks,
    compute: Callable[[Tasks], NDArray[Any]],
    names: Sequence[object] | None,
    *,
    missing: float,
    size: int = 1,
) -> NDArray[Any]:
    """Return the array that `compute` returns for all tasks, with a row of `missing` for each that makes it fail.

    `size` is its number of columns where each fails.
    """
    whole: NDArray[Any] | None = None

    def compute_part(rows: Sequence[int]) -> Sequence[NDArray[Any]]:
        nonlocal whole
        part = compute(data if len(rows) == len(data) else [data[row] for row in rows])
        if part.ndim != 2 or len(part) != len(rows):
            raise BackendError(f"the model returned an array of shape {part.shape} for {len(rows)} tasks.")
        if len(rows) == len(data):
            whole = part
        return list(part)

    if not len(data):
        return compute(data)
    found = compute_rows(step, range(len(data)), compute_part, name=_namer(names))
    if whole is not None:
        return whole
    size = next((len(row) for row in found if row is not None), size)
    return np.stack([np.full(size, missing) if row is None else row for row in found])


def _namer(names: Sequence[object] | None) -> Callable[[int], object]:
    return "task {}".format if names is None else lambda row: names[row]
