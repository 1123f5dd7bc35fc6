"""One training: rows in, a calibrated bundle out; the same rows give the same bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from feedback.training.dataset import Dataset, Row
from ml_backend.calibration import Calibrator, fit_calibrator
from ml_backend.label_config import Control
from ml_backend.models import Model, Recipe
from ml_backend.models.failing_rows import fit_rows, predict_rows
from ml_backend.registry import Bundle, recipe_with_indicators


def version_name(dataset: Dataset, recipe: str, seed: int) -> str:
    """Name a model by what it learned: a repeated training, after a kill, gives the same name.

    The number is the count of training rows; the letters are a hash of the training data.
    """
    digest = hashlib.sha256(f"{dataset.fingerprint}/{recipe}/{seed}".encode()).hexdigest()
    return f"m{len(dataset.of('train'))}-{digest[:8]}"


def train(
    dataset: Dataset,
    control: Control,
    recipe: Recipe,
    *,
    config_hash: str,
    seed: int,
    now_s: float,
    indicators: Sequence[str] = (),
) -> Bundle:
    """Fit on the training rows and calibrate on the tune rows, which the model never saw.

    `indicators` names those that the rows hold; a recipe with other indicators is another recipe.
    Raises NotTrained when the rows hold fewer than two classes.
    """
    rows, name = dataset.of("train"), recipe_with_indicators(recipe.name, indicators)
    labels = [row.label for row in rows]
    weights = np.array([row.weight for row in rows])
    model = fit_rows(
        recipe,
        [row.data for row in rows],
        labels,
        field=control.field,
        weights=weights if weights.size and weights.min() < 1.0 else None,
        seed=seed,
        names=[f"task {row.task}" for row in rows],
    )
    return Bundle(
        model=model,
        calibrator=calibrate(model, dataset.of("tune")),
        control=control,
        config_hash=config_hash,
        recipe=name,
        version=version_name(dataset, name, seed),
        trained_on=len(rows),
        created_s=now_s,
        card={"fingerprint": dataset.fingerprint, "seed": seed, "tune_rows": len(dataset.of("tune"))}
        | dict(getattr(model, "card", {})),
    )


def calibrate(model: Model, rows: Sequence[Row]) -> Calibrator:
    """Fit the scaler on rows that the model never saw; too few, or no gain on unseen ones, leave it as it is."""
    if not rows:
        return Calibrator()
    place = {label: index for index, label in enumerate(model.classes)}
    proba = predict_rows(model, [row.data for row in rows], names=[f"task {row.task}" for row in rows])
    readable = ~np.isnan(proba).any(axis=1)
    labels = np.array([place.get(row.label, -1) for row in rows])  # -1: a label that the model never saw
    return fit_calibrator(proba[readable], labels[readable]) if readable.any() else Calibrator()
