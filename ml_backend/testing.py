"""Contracts: what a model recipe and a registry must do, run over ours and over a plug-in author's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ml_backend.calibration import Calibrator
from ml_backend.errors import ArtefactError, BackendError, NotTrained, UnknownName
from ml_backend.label_config import Control
from ml_backend.models import Recipe
from ml_backend.registry import Artefact, Bundle, ModelRef, Registry, digest_of, pack, unpack

Tasks = Sequence[Mapping[str, Any]]


class ContractBroken(BackendError):
    """An implementation does not do what its protocol promises; the message says what."""


def check_registry(make: Callable[[], Registry]) -> None:
    """Run the registry contract; `make()` gives another view of the same, at first empty, storage each time.

    >>> import tempfile
    >>> from ml_backend.registry import FolderRegistry
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check_registry(lambda: FolderRegistry(folder))
    """
    here, there = make(), make()
    one, two = (Artefact(data, digest_of(data)) for data in (b"one", b"two"))
    _demand(here.champion("7") is None, "a project never heard of has no champion")
    _demand(here.previous_champion("7") is None, "and no former one")
    _demand(here.versions("7") == [], "a project never heard of has no versions")
    here.add("7", "m1", one, {"rows": 1})
    _demand(here.champion("7") is None, "adding a version does not promote it")
    _demand(there.artefact("7", "m1") == one, "another process reads the bytes that were added")
    here.add("7", "m1", one, {"rows": 1})
    _demand(there.versions("7") == ["m1"], "the same bytes again change nothing")
    _refuses(ArtefactError, lambda: here.add("7", "m1", two, {}), "a version never changes its bytes")
    _refuses(
        ArtefactError, lambda: here.add("7", "m0", replace(one, digest=two.digest), {}), "a wrong digest is refused"
    )
    here.promote("7", "m1")
    _demand(there.champion("7") == ModelRef("m1", one.digest), "a promotion is seen by another process")
    here.promote("7", "m1")
    _demand(there.previous_champion("7") is None, "the first champion, promoted twice, has none before it")
    here.add("7", "m2", two, {})
    _demand(there.versions("7") == ["m1", "m2"], "versions come in the order in which they were added")
    _demand(there.champion("7") == ModelRef("m1", one.digest), "a new version does not serve before it is promoted")
    there.promote("7", "m2")
    _demand(here.champion("7") == ModelRef("m2", two.digest), "the first process sees what the second promoted")
    _demand(here.previous_champion("7") == ModelRef("m1", one.digest), "and which one served before")
    here.promote("7", "m1")
    _demand(there.champion("7") == ModelRef("m1", one.digest), "an old version can serve again (a rollback)")
    _refuses(UnknownName, lambda: here.promote("7", "m9"), "a version that was never added is not promoted")
    _demand(there.champion("7") == ModelRef("m1", one.digest), "a refused promotion leaves the champion")
    _refuses(UnknownName, lambda: here.artefact("7", "m9"), "a version that was never added has no bytes")
    _refuses(UnknownName, lambda: here.artefact("8", "m1"), "projects do not share versions")
    for hostile in ("", ".", "..", "../7", "7/../8", "=", "é" * 300, "champion", "former"):
        _demand(here.champion(hostile) is None, f"{hostile!r} is a project like another, without a champion")
    _demand(make().versions("7") == ["m1", "m2"], "all of it is still there for a process that starts now")


def check_recipe(recipe: Recipe, data: Tasks, labels: Sequence[str], *, control: Control) -> None:
    """Run the contract of recipes and their models; give some dozens of rows of at least three classes.

    `data` are task data that the recipe can read under `control.field`.
    """
    names = sorted(set(labels))
    _demand(len(names) >= 3 and len(data) >= 12, "the check itself needs three classes and a dozen rows")
    field = control.field

    model = recipe.fit(data, labels, field=field, seed=3)
    _demand("/" in recipe.name, 'a recipe is called "<name>/<number>"')
    _demand(list(model.classes) == names, "classes are the labels seen, sorted")
    proba = model.predict_proba(data)
    _demand(proba.shape == (len(data), len(names)), "one row a task, one column a class")
    _demand(proba.dtype == np.float64, "probabilities are float64")
    _demand(bool(np.allclose(proba.sum(axis=1), 1.0)) and bool((proba >= 0).all()), "rows sum to 1")
    _demand(model.predict_proba([]).shape == (0, len(names)), "no task, no row")

    again = recipe.fit(data, labels, field=field, seed=3)
    _demand(np.array_equal(again.predict_proba(data), proba), "the same rows and seed give the same model")
    alone = np.vstack([model.predict_proba([item]) for item in data[:5]])
    _demand(bool(np.allclose(alone, proba[:5], atol=1e-5)), "a task is answered alone as in a batch")

    broken: list[Any] = [data[0], {}, {field: None}, {field: {}}, {field: ""}, data[1]]
    mixed = model.predict_proba(broken)
    _demand(bool(np.isnan(mixed[1:5]).all()), "a task that cannot be read is a row of NaN")
    _demand(bool(np.allclose(mixed[[0, 5]], proba[:2], atol=1e-5)), "a broken task costs no neighbour")
    places = model.vectors(broken)
    _demand(places.shape[0] == 6 and bool(np.isfinite(places).all()), "every task has a finite place")
    _demand(not places[1:5].any(), "a task that cannot be read lies at zero")
    _demand(bool(np.allclose(recipe.vectors(broken, field=field), places)), "places are the same before any model")

    part = [place for place, label in enumerate(labels) if label != names[1]]
    fewer = recipe.fit([data[place] for place in part], [labels[place] for place in part], field=field)
    _demand(names[1] not in fewer.classes, "a label without an example is no class")
    _demand(list(fewer.classes) == [name for name in names if name != names[1]], "and shifts no other name")
    _refuses(NotTrained, lambda: recipe.fit(data, [names[0]] * len(data), field=field), "one class teaches nothing")
    _refuses(NotTrained, lambda: recipe.fit([{}] * len(data), labels, field=field), "unreadable rows teach nothing")

    bundle = Bundle(model, Calibrator.identity(), control, "hash", recipe.name, "m1", len(data), 0.0, {})
    twin = pack(replace(bundle, model=again))
    _demand(pack(bundle) == twin, "two fits of the same rows pack into the same bytes")
    _demand(np.array_equal(recipe.load(model.state()).predict_proba(data), proba), "a state gives the same model")


def check_archived(recipe: Recipe, data: Tasks, labels: Sequence[str], *, control: Control) -> None:
    """For a recipe that is installed by name: what was packed answers the same when unpacked."""
    model = recipe.fit(data, labels, field=control.field)
    bundle = Bundle(model, Calibrator.temperature(1.5), control, "hash", recipe.name, "m1", len(data), 0.0, {"rows": 1})
    artefact = pack(bundle)
    loaded = unpack(artefact.data, artefact.digest)
    _demand(np.array_equal(loaded.proba(data), bundle.proba(data)), "an unpacked bundle answers the same")
    _demand(loaded.predict(data) == bundle.predict(data), "in the same words")
    _demand(pack(loaded) == artefact, "and packs into the same bytes")


def _demand(kept: bool, promise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not kept:
        raise ContractBroken(f"broken promise: {promise}.")


def _refuses(wanted: type[BackendError], act: Callable[[], object], promise: str) -> None:
    try:
        act()
    except wanted:
        return
    raise ContractBroken(f"broken promise: {promise} (wanted {wanted.__name__}).")
