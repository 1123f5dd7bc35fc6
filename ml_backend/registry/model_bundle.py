"""A model with its calibrator, the control that it learned, and its origin; packed to bytes and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ml_backend.calibration import Calibrator
from ml_backend.errors import ArtefactError, BackendError, UnknownName
from ml_backend.features.cache import FeatureCache
from ml_backend.features.task_columns import FIELDS
from ml_backend.label_config import Control
from ml_backend.models import Floats, Model, Recipe, Tasks, Vectors, get_recipe
from ml_backend.models.explanations import Contribution, ExplainableModel
from ml_backend.models.failing_rows import predict_rows, vector_rows
from ml_backend.records import Answer
from ml_backend.registry.archive import read_archive, write_archive
from ml_backend.registry.protocol import Artefact, digest_of

Prediction = tuple[Answer | None, float | None]  # answer, calibrated confidence

_FORMAT = 1
_STORED = ("config_hash", "recipe", "version", "trained_on", "created_s", "card")  # fields of a bundle, as JSON
_WITH = " with "  # in the name of a recipe, before the indicators that it reads
_MIN_PROBABILITY = 1e-9  # the least probability on the remaining labels; with less there is no prediction


@dataclass(frozen=True, slots=True)
class Bundle:
    """One version of a model, ready to predict.

    `control` is the project's control now. After a change of the label config, `dataclasses.replace(bundle,
    control=...)` leaves out removed labels; the other labels share their probability. Labels are never renamed. Where
    each task brings its own options (`control.options`), they share the probability in the same way.
    """

    model: Model
    calibrator: Calibrator
    control: Control
    config_hash: str
    recipe: str
    version: str
    trained_on: int  # rows
    created_s: float
    card: Mapping[str, Any]
    classes: tuple[str, ...] = field(init=False)  # of the model, without labels that the control no longer has
    _columns: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        labels = set(self.model.classes if self.control.options or not self.control.labels else self.control.labels)
        columns = tuple(place for place, name in enumerate(self.model.classes) if name in labels)
        object.__setattr__(self, "_columns", columns)
        object.__setattr__(self, "classes", tuple(self.model.classes[place] for place in columns))

    @property
    def indicators(self) -> tuple[str, ...]:
        """Return the indicators that the model reads in addition to the task data."""
        names = self.recipe.partition(_WITH)[2]
        return tuple(names.split(", ")) if names else ()

    def proba(self, data: Tasks, *, names: Sequence[object] | None = None) -> Floats:
        """Return calibrated probabilities of `classes`, shape (n, k); a row of NaN where there is no prediction.

        A task that makes the model fail has none, and is noted as left out, by its name in `names`, (n,).
        """
        proba = self.calibrator.apply(predict_rows(self.model, data, names=names))
        if self.control.options:
            kept = proba * self._own_options(data)
        elif len(self._columns) == len(self.model.classes):
            return proba
        else:
            kept = proba[:, list(self._columns)]
        total = kept.sum(axis=1, keepdims=True)
        shared: Floats = np.divide(kept, total, out=np.full_like(kept, np.nan), where=total > _MIN_PROBABILITY)
        return shared

    def _own_options(self, data: Tasks) -> Floats:
        """Return 1 for each class that a task offers, else 0, shape (n, k).

        A row of 0 where the model knows only one of several options: it would be certain of it, without a reason.
        """
        place = {name: at for at, name in enumerate(self.classes)}
        offered = np.zeros((len(data), len(place)))
        for row, item in zip(offered, data, strict=True):
            options = self.control.options_of(item)
            known = [place[name] for name in options if name in place]
            if len(known) > 1 or len(options) == 1:
                row[known] = 1.0
        return offered

    def predict(self, data: Tasks, *, names: Sequence[object] | None = None) -> list[Prediction]:
        """Return the answer and confidence of each task, in order; None for both where there is no prediction.

        `names` as in `proba`.
        """
        return [self.predict_label(row) for row in self.proba(data, names=names)]

    def predict_label(self, row: Floats) -> Prediction:
        """Turn one row (k,) of `proba` into an answer and its confidence."""
        if not len(row) or np.isnan(row[0]):
            return None, None
        best = int(row.argmax())
        return Answer(self.control.kind, (self.classes[best],)), float(row[best])

    def explain(self, item: Mapping[str, Any], row: Floats) -> list[Contribution] | None:
        """Return what each part of a task contributed to its best class against the second best.

        `item` is the task's data, `row` (k,) its row of `proba`. None where the model cannot explain; [] where there is
        no prediction, or only one class.
        """
        if not isinstance(self.model, ExplainableModel):
            return None
        if len(row) < 2 or np.isnan(row[0]):
            return []
        best, second = np.argsort(-row, kind="stable")[:2].tolist()
        return self.model.explain(item, self.classes[best], self.classes[second])

    def vectors(self, data: Tasks, *, names: Sequence[object] | None = None) -> Vectors:
        """Return vectors of the tasks, shape (n, d), for distances between them; `names` as in `proba`."""
        return vector_rows(self.model, data, names=names)


def recipe_with_indicators(name: str, indicators: Sequence[str]) -> str:
    """Return the name of a recipe that also reads these indicators; with others, or none, it is another recipe.

    >>> recipe_with_indicators("text-choices/2", ["risk", "fraud_type"]), recipe_with_indicators("text-choices/2", [])
    ('text-choices/2 with fraud_type, risk', 'text-choices/2')
    """
    return f"{name}{_WITH}{', '.join(sorted(indicators))}" if indicators else name


def pack(bundle: Bundle) -> Artefact:
    """Turn a bundle into bytes, equal for equal fits; ArtefactError where a value is neither JSON nor a number."""
    state = bundle.model.state()
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    document = {
        "format": _FORMAT,
        "state": {name: value for name, value in state.items() if name not in arrays},
        "scaler": dict(bundle.calibrator.state()),
        "control": asdict(bundle.control),
        **{name: getattr(bundle, name) for name in _STORED},
        "card": dict(bundle.card),
    }
    try:
        data = write_archive(document, arrays)
    except (TypeError, ValueError) as error:
        raise ArtefactError(f"the model or its card contains a value that is no JSON or number: {error}") from error
    return Artefact(data, digest_of(data))


def unpack(
    data: bytes, digest: str, *, cache: FeatureCache[Any] | None = None, recipes: Sequence[Recipe] = ()
) -> Bundle:
    """Build the bundle of packed bytes; nothing in the bytes is imported or run.

    `recipes` have no plug-in name, such as hosted models: the caller decides what may run, never the file.

    ArtefactError where the bytes do not match the digest (SHA-256 in hex), are truncated, contain a type outside the
    allow-list, or were made by a recipe that is not installed.
    """
    if digest_of(data) != digest:
        raise ArtefactError(
            f"the model's bytes have digest {digest_of(data)[:12]}…, not {digest[:12]}…: truncated or altered.",
            hint="Restore the artefact from a backup, or train again.",
        )
    document, arrays = read_archive(data)
    if document.get("format") != _FORMAT:
        raise ArtefactError(f"the model has format {document.get('format')}; this release reads {_FORMAT}.")
    try:
        name = document["recipe"].partition(_WITH)[0].partition(FIELDS)[0]
        passed = {recipe.name: recipe for recipe in recipes}.get(name)
        return Bundle(
            model=(passed or get_recipe(name, cache=cache)).load({**document["state"], **arrays}),
            calibrator=Calibrator.load(document["scaler"]),
            control=Control.load(document["control"]),
            **{name: document[name] for name in _STORED},
        )
    except UnknownName as error:
        raise ArtefactError(
            f"the model was made by a recipe that is not installed: {error}",
            hint="A hosted model needs its unchanged file, named in the project's hitl.toml. Otherwise train again.",
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError, BackendError) as error:
        raise ArtefactError(f"the model cannot be built: {type(error).__name__}: {str(error)[:200]}") from error
