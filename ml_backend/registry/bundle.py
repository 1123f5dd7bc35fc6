"""A model with all that its answers need: its scaler, the control that it learned, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.calibration import Scaler
from ml_backend.errors import ArtefactError, BackendError, UnknownName
from ml_backend.features.cache import FeatureCache
from ml_backend.label_config import Control
from ml_backend.models import Model, Recipe, recipe
from ml_backend.models.explanations import Explains, Reason
from ml_backend.records import Answer
from ml_backend.registry.archive import read_archive, write_archive
from ml_backend.registry.protocol import Artefact, digest_of

Floats = NDArray[np.float64]
Said = tuple[Answer | None, float | None]

_FORMAT = 1
_BESIDE = " beside "  # in a recipe's name, before the indicators that a model reads beside the task's own data
_LEAST = 1e-9  # what must be left on labels that can still be chosen; less than that is no opinion


@dataclass(frozen=True, slots=True)
class Bundle:
    """One version of a model, ready to answer.

    `control` is what people are asked now: `dataclasses.replace(bundle, control=...)` after the label config changed
    leaves out the labels that are gone. The others share the probability; nothing is ever renamed.
    """

    model: Model
    scaler: Scaler
    control: Control
    config_hash: str
    recipe: str
    version: str
    trained_on: int  # rows
    created_s: float
    card: Mapping[str, Any]
    classes: tuple[str, ...] = field(init=False)  # of the model, as far as the control still has them
    _columns: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        labels = set(self.control.labels or self.model.classes)
        columns = tuple(place for place, name in enumerate(self.model.classes) if name in labels)
        object.__setattr__(self, "_columns", columns)
        object.__setattr__(self, "classes", tuple(self.model.classes[place] for place in columns))

    @property
    def beside(self) -> tuple[str, ...]:
        """The indicators that the model reads beside a task's own data (`ml_backend.features.indicator_features`)."""
        names = self.recipe.partition(_BESIDE)[2]
        return tuple(names.split(", ")) if names else ()

    def proba(self, data: Sequence[Mapping[str, Any]]) -> Floats:
        """(n, k) calibrated probabilities of `classes`; NaN where there is no opinion."""
        proba = self.scaler.apply(self.model.predict_proba(data))
        if len(self._columns) == len(self.model.classes):
            return proba
        kept = proba[:, list(self._columns)]
        left = kept.sum(axis=1, keepdims=True)
        shared: Floats = np.divide(kept, left, out=np.full_like(kept, np.nan), where=left > _LEAST)
        return shared

    def predict(self, data: Sequence[Mapping[str, Any]]) -> list[Said]:
        """(answer, confidence) for each task, in order; (None, None) where the model has no opinion."""
        return [self.says(row) for row in self.proba(data)]

    def says(self, row: Floats) -> Said:
        """Turn one row (k,) of `proba` into an answer and its confidence."""
        if not len(row) or np.isnan(row[0]):
            return None, None
        best = int(row.argmax())
        return Answer(self.control.kind, (self.classes[best],)), float(row[best])

    def reasons(self, item: Mapping[str, Any], row: Floats) -> list[Reason] | None:
        """What spoke for the answer to a task against the next best, given its row (k,) of `proba`; all of it.

        None where the model gives no reasons; [] where there is no answer, or no other one.
        """
        if not isinstance(self.model, Explains):
            return None
        if len(row) < 2 or np.isnan(row[0]):
            return []
        best, second = np.argsort(-row, kind="stable")[:2].tolist()
        return self.model.reasons(item, self.classes[best], self.classes[second])

    def vectors(self, data: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
        """(n, d) places of the tasks for diversity."""
        return self.model.vectors(data)


def recipe_beside(name: str, indicators: Sequence[str]) -> str:
    """The name of a recipe that reads these indicators, too: another recipe than the one without, or with others.

    >>> recipe_beside("text-choices/1", ["risk", "fraud_type"]), recipe_beside("text-choices/1", [])
    ('text-choices/1 beside fraud_type, risk', 'text-choices/1')
    """
    return f"{name}{_BESIDE}{', '.join(sorted(indicators))}" if indicators else name


def pack(bundle: Bundle) -> Artefact:
    """Turn a bundle into bytes; two packs of the same fit are equal byte for byte."""
    state = bundle.model.state()
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    document = {
        "format": _FORMAT,
        "state": {name: value for name, value in state.items() if name not in arrays},
        "scaler": dict(bundle.scaler.state()),
        "control": asdict(bundle.control),
        "config_hash": bundle.config_hash,
        "recipe": bundle.recipe,
        "version": bundle.version,
        "trained_on": bundle.trained_on,
        "created_s": bundle.created_s,
        "card": dict(bundle.card),
    }
    try:
        data = write_archive(document, arrays)
    except (TypeError, ValueError) as error:
        raise ArtefactError(f"the model or its card holds what is not JSON or numbers: {error}") from error
    return Artefact(data, digest_of(data))


def unpack(
    data: bytes, digest: str, *, cache: FeatureCache[Any] | None = None, recipes: Sequence[Recipe] = ()
) -> Bundle:
    """Build the bundle again; its model remembers features in `cache`.

    `recipes` are those that no name leads to, such as hosted models: what may run is the caller's word, never a file's.

    ArtefactError when the bytes are not those of `digest`, are cut, hold a type outside our allow-list, or come from
    a recipe that is not here. Nothing in the bytes is imported or run.
    """
    if digest_of(data) != digest:
        raise ArtefactError(
            f"the model's bytes have digest {digest_of(data)[:12]}…, not {digest[:12]}…: cut or altered.",
            hint="Restore the artefact from a backup, or train again.",
        )
    document, arrays = read_archive(data)
    if document.get("format") != _FORMAT:
        raise ArtefactError(f"the model has format {document.get('format')}; this release reads {_FORMAT}.")
    try:
        control = document["control"]
        name = document["recipe"].partition(_BESIDE)[0]
        given = {one.name: one for one in recipes}.get(name)
        return Bundle(
            model=(given or recipe(name, cache=cache)).load({**document["state"], **arrays}),
            scaler=Scaler.load(document["scaler"]),
            control=Control(**{**control, "labels": tuple(control["labels"])}),
            config_hash=document["config_hash"],
            recipe=document["recipe"],
            version=document["version"],
            trained_on=int(document["trained_on"]),
            created_s=float(document["created_s"]),
            card=document["card"],
        )
    except UnknownName as error:
        raise ArtefactError(
            f"the model was made by a recipe that is not here: {error}",
            hint="A hosted model needs its file, unedited, named in the project's policy. Otherwise train again.",
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError, BackendError) as error:
        raise ArtefactError(f"the model cannot be built: {type(error).__name__}: {str(error)[:200]}") from error
