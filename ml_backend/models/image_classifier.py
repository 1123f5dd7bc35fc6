"""The image classifier: standardised pixels, colours, gradients and vision vectors under logistic regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import BackendError, NotTrained
from ml_backend.features import vision_vectors
from ml_backend.features.cache import FeatureCache
from ml_backend.features.image import BLOCKS, SIZE, ImageRow, feature_quarters, image_rows
from ml_backend.features.media import Media, media_address
from ml_backend.features.task_columns import FieldRule, TaskColumns, fit_columns
from ml_backend.models import DEFAULT_FEATURES, Floats, Tasks, Vectors, name_with_features
from ml_backend.models.explanations import Contribution, sum_by_name
from ml_backend.models.logistic_regression import fit_logistic, softmax

_QUARTERS = ("the upper left", "the upper right", "the lower left", "the lower right")
_WHOLE = "the image as a whole"  # as explanations call what vision vectors contribute
_LEAST_SPREAD = 0.01  # by which a feature is divided at least
_C = 0.1  # of standardised features
_COLUMN_WEIGHT = 7.0  # of fields and indicators, so that they are regularised as beside a text
_MAX_DEVIATIONS = 8.0  # standardised features are cut here: a rare one must not decide alone


@dataclass(frozen=True, slots=True)
class ImageReader:
    """How the images of tasks become features."""

    field: str
    vision: bool  # whether the vision vector stands beside the other features
    media: Media
    cache: FeatureCache[ImageRow] | None

    @property
    def blocks(self) -> tuple[int, ...]:
        """Return the number of features of each kind, in their order."""
        return (*BLOCKS, vision_vectors.SIZE) if self.vision else BLOCKS

    @property
    def size(self) -> int:
        """Return the number of features of an image."""
        return sum(self.blocks)

    def matrix(self, data: Tasks) -> tuple[Vectors, NDArray[np.bool_]]:
        """Return the features of the readable rows, shape (n_readable, size), and a mask of these rows, shape (n,)."""
        addresses = [media_address(item, self.field) for item in data]
        known = [address for address in addresses if address]
        found = iter(image_rows(known, self.media, self.cache, vision=self.vision))
        rows = [next(found) if address else None for address in addresses]
        readable = np.array([row is not None for row in rows], bool)
        X = np.zeros((int(readable.sum()), self.size), np.float32)
        for place, row in enumerate(row for row in rows if row is not None):
            X[place] = row[0]
        return X, readable

    def vectors(self, data: Tasks) -> Vectors:
        """Return vectors of length 1 that compare images, (n, size); zeros where no image can be opened."""
        X, readable = self.matrix(data)
        compared = X[:, SIZE:] if self.vision else X
        vectors = np.zeros((len(data), compared.shape[1]), np.float32)
        vectors[readable] = compared / np.maximum(np.linalg.norm(compared, axis=1, keepdims=True), 1e-6)
        return vectors


class ImageModel:
    """A fitted image classifier: about 2 ms for one small image; with vision vectors about 50 ms."""

    def __init__(self, state: Mapping[str, Any], reader: ImageReader) -> None:
        self._state = state
        self.card: Mapping[str, Any] = state.get("card", {})
        self._reader = reader
        self.classes: tuple[str, ...] = tuple(state["classes"])
        self._mean: Vectors = state["mean"]  # (d,)
        self._scale: Vectors = state["scale"]  # (d,)
        self._coef: Vectors = state["coef"]  # (d, k)
        self._intercept: Vectors = state["intercept"]  # (k,)
        self._columns = TaskColumns.load(state.get("columns", ((), ())))
        self._coef_indicators: Vectors = state.get("coef_indicators", np.zeros((0, len(self.classes)), np.float32))
        d, k, b = reader.size, len(self.classes), len(self._columns.names)
        arrays = (self._mean, self._scale, self._coef, self._intercept, self._coef_indicators)
        shapes = tuple(array.shape for array in arrays)
        if shapes != ((d,), (d,), (d, k), (k,), (b, k)):
            raise ValueError(f"shapes {shapes} do not fit {d} features and {k} classes")

    def state(self) -> Mapping[str, Any]:
        return self._state

    def predict_proba(self, data: Tasks) -> Floats:
        proba = np.full((len(data), len(self.classes)), np.nan)
        X, readable = self._reader.matrix(data)
        if len(X):
            scores = _standardise(X, self._mean, self._scale) @ self._coef + self._intercept
            if self._columns.names:
                scores = scores + self._columns.matrix(data)[readable] @ self._coef_indicators
            proba[readable] = softmax(scores)
        return proba

    def explain(self, item: Mapping[str, Any], answer: str, other: str) -> list[Contribution]:
        """Return what each quarter of the image and each field or indicator contributed to `answer` against `other`."""
        X, readable = self._reader.matrix([item])
        if not readable.any():
            return []
        first, second = self.classes.index(answer), self.classes.index(other)
        direction = self._coef[:, first] - self._coef[:, second]
        contributions = _standardise(X, self._mean, self._scale)[0] * direction
        by_quarter = np.bincount(feature_quarters(), contributions[:SIZE], minlength=4)
        parts = [*zip(_QUARTERS, by_quarter.tolist(), strict=True)]
        if self._reader.vision:
            parts.append((_WHOLE, float(contributions[SIZE:].sum())))
        difference = self._coef_indicators[:, first] - self._coef_indicators[:, second]
        return sum_by_name([*parts, *self._columns.contributions(item, difference)])

    def vectors(self, data: Tasks) -> Vectors:
        return self._reader.vectors(data)


class ImageChoices:
    """The recipe for one label per image; `media` opens the images."""

    name = "image-choices/2"
    features = ("vision",)

    def __init__(
        self,
        *,
        media: Media | None = None,
        features: str = DEFAULT_FEATURES,
        cache: FeatureCache[ImageRow] | None = None,
        rule: FieldRule | None = None,
    ) -> None:
        is_extra = features != DEFAULT_FEATURES
        if is_extra:
            vision_vectors.require_vision_model()
        self._rule = rule or FieldRule()
        self.name = name_with_features(self.name, features) + self._rule.suffix
        self._vision, self._media, self._cache = is_extra, media or Media(), cache

    def fit(
        self, data: Tasks, labels: Sequence[str], *, field: str, weights: Floats | None = None, seed: int = 0
    ) -> ImageModel:
        reader = self._reader(field)
        X, readable = reader.matrix(data)
        keep = np.flatnonzero(readable)
        if not len(keep):
            why, hint = self._first_failure(data, field)
            what = f"none of {len(data)} rows has an image in the field {field!r} that can be opened"
            raise NotTrained(f"{what}{why}.", hint=hint)
        mean, spread = X.mean(axis=0), X.std(axis=0)
        # a feature that hardly varies in training must not dominate later
        scale = 1.0 / np.maximum(spread, _LEAST_SPREAD).astype(np.float32)
        weight = _block_weights(reader.blocks)
        answers = [labels[place] for place in keep]
        columns = fit_columns([data[place] for place in keep], self._rule, main=[field], labels=answers)
        known = columns.matrix(data)[keep]
        classes, coef, intercept = fit_logistic(
            np.hstack([_standardise(X, mean, scale) * weight, known * _COLUMN_WEIGHT]),
            answers,
            weights=None if weights is None else weights[keep],
            seed=seed,
            C=_C,
        )
        state = {
            "classes": classes,
            "field": field,
            "mean": mean.astype(np.float32),
            "scale": scale,
            "coef": coef[: reader.size] * weight[:, None],
            "intercept": intercept,
            "columns": columns.state(),
            "coef_indicators": coef[reader.size :] * np.float32(_COLUMN_WEIGHT),
            "card": columns.card(),
        }
        return ImageModel(state, reader)

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
        return self._reader(field).vectors(data)

    def load(self, state: Mapping[str, Any]) -> ImageModel:
        return ImageModel(state, self._reader(state["field"]))

    def _reader(self, field: str) -> ImageReader:
        return ImageReader(field, self._vision, self._media, self._cache)


def _standardise(X: Vectors, mean: Vectors, scale: Vectors) -> Vectors:
    """Return features around 0 with a spread of about 1, cut at 8 spreads, shape (n, d)."""
    return np.clip((X - mean) * scale, -_MAX_DEVIATIONS, _MAX_DEVIATIONS)


def _block_weights(blocks: Sequence[int]) -> Vectors:
    """Return the weight of each feature, shape (d,): halfway between equal features and equal kinds of features.

    With equal weights 48 colours would be lost among 4,356 gradients where only the colour tells the classes apart.
    """
    return np.repeat([(max(blocks) / size) ** 0.25 for size in blocks], blocks).astype(np.float32)
