"""The image classifier: standardised pixels, colours and gradient histograms under logistic regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import BackendError, NotTrained
from ml_backend.features.cache import FeatureCache
from ml_backend.features.image import SIZE, ImageRow, feature_cells, image_rows
from ml_backend.features.indicator_features import IndicatorColumns, fit_indicator_columns
from ml_backend.features.media import Media, media_address
from ml_backend.models import Floats, Tasks, Vectors
from ml_backend.models.explanations import Contribution, sum_by_name
from ml_backend.models.logistic_regression import fit_logistic, softmax

_QUARTERS = ("the upper left", "the upper right", "the lower left", "the lower right")


class ImageModel:
    """A fitted image classifier: about 1 ms for one small image, most of it for opening the file."""

    def __init__(
        self, state: Mapping[str, Any], *, media: Media | None = None, cache: FeatureCache[ImageRow] | None = None
    ) -> None:
        self._state = state
        self.classes: tuple[str, ...] = tuple(state["classes"])
        self._field: str = state["field"]
        self._mean: Vectors = state["mean"]  # (d,)
        self._scale: Vectors = state["scale"]  # (d,)
        self._coef: Vectors = state["coef"]  # (d, k)
        self._intercept: Vectors = state["intercept"]  # (k,)
        self._columns = IndicatorColumns.load(state.get("columns", ((), ())))
        self._coef_indicators: Vectors = state.get("coef_indicators", np.zeros((0, len(self.classes)), np.float32))
        self._media = media or Media()
        self._cache = cache
        d, k, b = SIZE, len(self.classes), len(self._columns.names)
        arrays = (self._mean, self._scale, self._coef, self._intercept, self._coef_indicators)
        shapes = tuple(array.shape for array in arrays)
        if shapes != ((d,), (d,), (d, k), (k,), (b, k)):
            raise ValueError(f"shapes {shapes} do not fit {d} features and {k} classes")

    def state(self) -> Mapping[str, Any]:
        return self._state

    def predict_proba(self, data: Tasks) -> Floats:
        proba = np.full((len(data), len(self.classes)), np.nan)
        X, readable = _matrix(data, self._field, self._media, self._cache)
        if len(X):
            scores = ((X - self._mean) * self._scale) @ self._coef + self._intercept
            if self._columns.names:
                scores = scores + self._columns.matrix(data)[readable] @ self._coef_indicators
            proba[readable] = softmax(scores)
        return proba

    def explain(self, item: Mapping[str, Any], answer: str, other: str) -> list[Contribution]:
        """Return what each quarter of the image and each indicator contributed to `answer` against `other`."""
        X, readable = _matrix([item], self._field, self._media, self._cache)
        if not readable.any():
            return []
        first, second = self.classes.index(answer), self.classes.index(other)
        contributions = (X[0] - self._mean) * self._scale * (self._coef[:, first] - self._coef[:, second])
        by_quarter = np.bincount(feature_cells(), contributions, minlength=16).reshape(2, 2, 2, 2).sum(axis=(1, 3))
        quarters = zip(_QUARTERS, by_quarter.ravel().tolist(), strict=True)
        difference = self._coef_indicators[:, first] - self._coef_indicators[:, second]
        return sum_by_name([*quarters, *self._columns.contributions(item, difference)])

    def vectors(self, data: Tasks) -> Vectors:
        return _vectors(data, self._field, self._media, self._cache)


class ImageChoices:
    """The recipe for one label per image; `media` opens the images."""

    name = "image-choices/1"

    def __init__(self, *, media: Media | None = None, cache: FeatureCache[ImageRow] | None = None) -> None:
        self._media = media or Media()
        self._cache = cache

    def fit(
        self, data: Tasks, labels: Sequence[str], *, field: str, weights: Floats | None = None, seed: int = 0
    ) -> ImageModel:
        X, readable = _matrix(data, field, self._media, self._cache)
        keep = np.flatnonzero(readable)
        if not len(keep):
            why, hint = self._first_failure(data, field)
            what = f"none of {len(data)} rows has an image in the field {field!r} that can be opened"
            raise NotTrained(f"{what}{why}.", hint=hint)
        mean, spread = X.mean(axis=0), X.std(axis=0)
        # a feature that hardly varies in training must not dominate later; rows of length 1 suit C
        scale = (1.0 / (np.maximum(spread, 0.01) * np.sqrt(SIZE))).astype(np.float32)
        columns = fit_indicator_columns([data[place] for place in keep])
        known = columns.matrix(data)[keep]
        classes, coef, intercept = fit_logistic(
            np.hstack([(X - mean) * scale, known]),
            [labels[place] for place in keep],
            weights=None if weights is None else weights[keep],
            seed=seed,
        )
        state = {
            "classes": classes,
            "field": field,
            "mean": mean.astype(np.float32),
            "scale": scale,
            "coef": coef[: len(coef) - known.shape[1]].copy(),
            "intercept": intercept,
            "columns": columns.state(),
            "coef_indicators": coef[len(coef) - known.shape[1] :].copy(),
        }
        return ImageModel(state, media=self._media, cache=self._cache)

    def _first_failure(self, data: Tasks, field: str) -> tuple[str, str]:
        """Return why the first image cannot be opened, and the remedy; empty texts where no row has one."""
        try:
            for address in filter(None, (media_address(item, field) for item in data)):
                self._media.open_image(address, size=SIZE)
                break
        except BackendError as error:
            return f": {str(error).rstrip('.')}", error.hint
        return "", ""

    def vectors(self, data: Tasks, *, field: str) -> Vectors:
        return _vectors(data, field, self._media, self._cache)

    def load(self, state: Mapping[str, Any]) -> ImageModel:
        return ImageModel(state, media=self._media, cache=self._cache)


def _matrix(
    data: Tasks, field: str, media: Media, cache: FeatureCache[ImageRow] | None
) -> tuple[Vectors, NDArray[np.bool_]]:
    """Return the features of the readable rows, shape (n_readable, SIZE), and a mask of these rows, shape (n,)."""
    addresses = [media_address(item, field) for item in data]
    found = iter(image_rows([address for address in addresses if address], media, cache))
    rows = [next(found) if address else None for address in addresses]
    readable = np.array([row is not None for row in rows], bool)
    X = np.stack([row[0] for row in rows if row is not None]) if readable.any() else np.zeros((0, SIZE), np.float32)
    return X, readable


def _vectors(data: Tasks, field: str, media: Media, cache: FeatureCache[ImageRow] | None) -> Vectors:
    """Return features as vectors of length 1, (n, 628); zeros where no image can be opened."""
    X, readable = _matrix(data, field, media, cache)
    vectors = np.zeros((len(data), SIZE), np.float32)
    vectors[readable] = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-6)
    return vectors
