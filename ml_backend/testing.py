"""The contracts of codecs, recipes and registries, as checks that plug-in authors can run on theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from ml_backend.calibration import Calibrator
from ml_backend.codecs import Codec
from ml_backend.errors import ArtefactError, BackendError, CodecError, NotTrained, UnknownName
from ml_backend.label_config import Control
from ml_backend.models import Recipe, Tasks
from ml_backend.records import Answer
from ml_backend.registry import Artefact, Bundle, ModelRef, Registry, digest_of, pack, unpack

_TOLERANCE = 1e-9
_BAD: tuple[Any, ...] = (None, {}, [], [[]], [None], True, float("nan"), 10**400, {"a": [1]})
_FIELDS = ("choices", "datetime", "number", "ranker", "rating", "selected", "taxonomy", "text")
_REGIONS: tuple[Mapping[str, Any], ...] = (  # wrong as soon as any field is
    {"start": 0, "end": 5, "labels": ["A"], "hypertextlabels": ["A"], "timeserieslabels": ["A"]},
    {"start": "0", "startOffset": 1, "end": "0", "endOffset": 5, "paragraphlabels": ["A"]},
    {"ranges": [{"start": 1, "end": 5}], "timelinelabels": ["A"]},
    {"x": 0, "y": 0, "width": 5, "height": 5, "rectanglelabels": ["A"]},
    {"x": 0, "y": 0, "radiusX": 5, "radiusY": 5, "ellipselabels": ["A"]},
    {"x": 0, "y": 0, "keypointlabels": ["A"]},
    {"points": [[0, 0], [5, 0], [5, 5]], "polygonlabels": ["A"]},
    {"rle": [0, 0, 0, 4], "brushlabels": ["A"]},
)
_VALUES: tuple[Any, ...] = (
    *({name: bad} for name in _FIELDS for bad in _BAD),
    *({**region, name: bad} for region in _REGIONS for name in region if not name.endswith("labels") for bad in _BAD),
    *(
        {name: bad if name.endswith("labels") else part for name, part in region.items()}
        for region in _REGIONS
        for bad in _BAD
    ),
    {"start": 5, "end": 1, "labels": ["A"], "timeserieslabels": ["A"]},
    {"x": 0, "y": 0, "width": -5, "height": 5, "rectanglelabels": ["A"]},
    {"foo": 1},
    *_BAD,
)
_GARBAGE: tuple[Sequence[Mapping[str, Any]], ...] = ([], [{}], *([{"value": value}] for value in _VALUES))


class ContractBroken(BackendError):
    """An implementation breaks a promise of its protocol; the message names it."""


def check_codec(codec: Codec, answers: Sequence[Answer], control: Control) -> None:
    """Check a codec with example answers, at least two different ones; ContractBroken names the broken promise.

    >>> from ml_backend.codecs.rating import Rating
    >>> control = Control("stars", "text", "rating", (), False, "text", "text")
    >>> check_codec(Rating(), [Answer("rating", 1), Answer("rating", 5)], control)
    """
    _require(len(set(answers)) >= 2, "the check needs two different answers")
    for answer in answers:
        _check_round_trip(codec, answer, control)
    for a, b in combinations(answers, 2):
        forth, back = codec.distance(a, b), codec.distance(b, a)
        _require(abs(forth - back) < _TOLERANCE, f"the distance is symmetric: {forth} and {back}")
        _require(0.0 <= forth <= 1.0, f"the distance lies in [0, 1]: {forth}")
        _require((forth > 0) == (a != b), f"only equal answers have distance 0: {a.key} {b.key}")
    for regions in _GARBAGE:
        try:
            read = codec.decode(regions)
        except CodecError:
            continue
        except Exception as error:
            raise ContractBroken(f"broken promise: garbage raises CodecError, not {error!r}: {regions}") from error
        raise ContractBroken(f"broken promise: garbage raises CodecError, and is not decoded to {read.key}: {regions}")


def _check_round_trip(codec: Codec, answer: Answer, control: Control) -> None:
    plain, scored = codec.encode(answer, control, None), codec.encode(answer, control, 0.75)
    _require(codec.decode(plain) == answer, f"decode reads what encode writes: {answer.key}")
    _require(codec.decode(scored) == answer, f"a score does not change the answer: {answer.key}")
    _require(all(region.get("score") == 0.75 for region in scored), "every region has the score")
    _require(all("score" not in region for region in plain), "no region has a score where there is none")
    _require(all(region.get("from_name") == control.name for region in plain), "each region names its control")
    _require(all(region.get("to_name") for region in plain), "each region names its object")
    _require(all(region.get("type") == answer.kind for region in plain), "a region's type is the answer's kind")
    _require(Answer.from_key(answer.key) == answer, f"the key contains the whole answer: {answer.key}")
    _require(codec.distance(answer, answer) == 0.0, "an answer has distance 0 to itself")


def check_registry(make: Callable[[], Registry]) -> None:
    """Check a registry; each call of `make()` returns a new view of the same storage, which is empty at first.

    >>> import tempfile
    >>> from ml_backend.registry import FolderRegistry
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check_registry(lambda: FolderRegistry(folder))
    """
    ours, theirs = make(), make()
    first, second = (Artefact(data, digest_of(data)) for data in (b"first", b"second"))
    _require(ours.champion("7") is None, "an unknown project has no champion")
    _require(ours.previous_champion("7") is None, "and no previous champion")
    _require(ours.versions("7") == [], "an unknown project has no versions")
    ours.add("7", "m1", first, {"rows": 1})
    _require(ours.champion("7") is None, "adding a version does not promote it")
    _require(theirs.artefact("7", "m1") == first, "another process reads the added bytes")
    ours.add("7", "m1", first, {"rows": 1})
    _require(theirs.versions("7") == ["m1"], "adding the same bytes again changes nothing")
    _require_error(ArtefactError, lambda: ours.add("7", "m1", second, {}), "the bytes of a version never change")
    _require_error(
        ArtefactError,
        lambda: ours.add("7", "m0", replace(first, digest=second.digest), {}),
        "a wrong digest is refused",
    )
    ours.promote("7", "m1")
    _require(theirs.champion("7") == ModelRef("m1", first.digest), "another process sees a promotion")
    ours.promote("7", "m1")
    _require(theirs.previous_champion("7") is None, "the first champion, promoted twice, has no previous one")
    ours.add("7", "m2", second, {})
    _require(theirs.versions("7") == ["m1", "m2"], "versions are in the order of their adding")
    _require(theirs.champion("7") == ModelRef("m1", first.digest), "a new version does not serve before its promotion")
    theirs.promote("7", "m2")
    _require(ours.champion("7") == ModelRef("m2", second.digest), "the first process sees the promotion of the second")
    _require(ours.previous_champion("7") == ModelRef("m1", first.digest), "and the previous champion")
    ours.promote("7", "m1")
    _require(theirs.champion("7") == ModelRef("m1", first.digest), "an old version can serve again (a rollback)")
    _require_error(UnknownName, lambda: ours.promote("7", "m9"), "a version that was never added is not promoted")
    _require(theirs.champion("7") == ModelRef("m1", first.digest), "a refused promotion leaves the champion")
    _require_error(UnknownName, lambda: ours.artefact("7", "m9"), "a version that was never added has no bytes")
    _require_error(UnknownName, lambda: ours.artefact("8", "m1"), "projects do not share versions")
    for hostile in ("", ".", "..", "../7", "7/../8", "=", "é" * 300, "champion", "former"):
        _require(ours.champion(hostile) is None, f"{hostile!r} is a project without a champion")
    _require(make().versions("7") == ["m1", "m2"], "a process that starts now sees all of it")


def check_recipe(recipe: Recipe, data: Tasks, labels: Sequence[str], *, control: Control) -> None:
    """Check a recipe and its models with some dozens of rows of at least three classes.

    `data` are task data that the recipe can read in the field `control.field`.
    """
    names = sorted(set(labels))
    _require(len(names) >= 3 and len(data) >= 12, "the check needs three classes and twelve rows")
    field = control.field

    model = recipe.fit(data, labels, field=field, seed=3)
    _require("/" in recipe.name, 'the name of a recipe is "<name>/<number>"')
    _require(list(model.classes) == names, "classes are the labels of the rows, sorted")
    proba = model.predict_proba(data)
    _require(proba.shape == (len(data), len(names)), "one row per task, one column per class")
    _require(proba.dtype == np.float64, "probabilities are float64")
    _require(bool(np.allclose(proba.sum(axis=1), 1.0)) and bool((proba >= 0).all()), "rows sum to 1")
    _require(model.predict_proba([]).shape == (0, len(names)), "no tasks give no rows")

    second = recipe.fit(data, labels, field=field, seed=3)
    _require(np.array_equal(second.predict_proba(data), proba), "the same rows and seed give the same model")
    alone = np.vstack([model.predict_proba([item]) for item in data[:5]])
    _require(bool(np.allclose(alone, proba[:5], atol=1e-5)), "a task gets the same answer alone and in a batch")

    broken: list[Any] = [data[0], {}, {field: None}, {field: {}}, {field: ""}, data[1]]
    mixed = model.predict_proba(broken)
    _require(bool(np.isnan(mixed[1:5]).all()), "a task that cannot be read is a row of NaN")
    _require(bool(np.allclose(mixed[[0, 5]], proba[:2], atol=1e-5)), "a broken task does not change other tasks")
    vectors = model.vectors(broken)
    _require(vectors.shape[0] == 6 and bool(np.isfinite(vectors).all()), "every task has a finite vector")
    _require(not vectors[1:5].any(), "a task that cannot be read has a vector of zeros")
    _require(bool(np.allclose(recipe.vectors(broken, field=field), vectors)), "vectors are the same without a model")

    part = [place for place, label in enumerate(labels) if label != names[1]]
    fewer = recipe.fit([data[place] for place in part], [labels[place] for place in part], field=field)
    _require(names[1] not in fewer.classes, "a label without a row is no class")
    _require(list(fewer.classes) == [name for name in names if name != names[1]], "and does not change the others")
    _require_error(NotTrained, lambda: recipe.fit(data, [names[0]] * len(data), field=field), "one class is too few")
    _require_error(
        NotTrained, lambda: recipe.fit([{}] * len(data), labels, field=field), "unreadable rows are not enough"
    )

    bundle = Bundle(model, Calibrator(), control, "hash", recipe.name, "m1", len(data), 0.0, {})
    packed = pack(replace(bundle, model=second))
    _require(pack(bundle) == packed, "two fits of the same rows give the same bytes")
    _require(np.array_equal(recipe.load(model.state()).predict_proba(data), proba), "a state gives the same model")


def check_archived(recipe: Recipe, data: Tasks, labels: Sequence[str], *, control: Control) -> None:
    """Check that an unpacked bundle predicts the same, for a recipe that is installed by name."""
    model = recipe.fit(data, labels, field=control.field)
    bundle = Bundle(
        model, Calibrator("temperature", 1.5), control, "hash", recipe.name, "m1", len(data), 0.0, {"rows": 1}
    )
    artefact = pack(bundle)
    loaded = unpack(artefact.data, artefact.digest)
    _require(np.array_equal(loaded.proba(data), bundle.proba(data)), "an unpacked bundle gives the same probabilities")
    _require(loaded.predict(data) == bundle.predict(data), "and the same answers")
    _require(pack(loaded) == artefact, "and packs into the same bytes")


def _require(is_kept: bool, promise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not is_kept:
        raise ContractBroken(f"broken promise: {promise}.")


def _require_error(wanted: type[BackendError], call: Callable[[], object], promise: str) -> None:
    try:
        call()
    except wanted:
        return
    raise ContractBroken(f"broken promise: {promise} (wanted {wanted.__name__}).")
