"""Voters that are not people: labelling functions and the model. Their votes never count as votes of people."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from feedback.consensus.consensus import Consensus
from feedback.consensus.dawid_skene import hierarchical_dawid_skene
from feedback.errors import VotesError
from feedback.policy.schema import LabellingFunction
from feedback.votes import Floats, Votes
from ml_backend.errors import UnknownName
from ml_backend.label_config import Control
from ml_backend.records import Answer

_LOG = logging.getLogger(__name__)
_MODEL_DOUBT = 0.02  # spread over all labels, so that people can always overrule a model
Function = Callable[[Mapping[str, Any]], str | None]


def load_function(entry: LabellingFunction) -> Function:
    """Import the function of a policy entry; UnknownName where it is not installed or its import fails."""
    module, _, name = entry.function.partition(":")
    described = f"labelling function {entry.name!r}: {entry.function}"
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UnknownName(f"{described} is not installed: {error}.") from None
    except Exception as error:  # noqa: BLE001 - somebody else's module may fail in any way
        raise UnknownName(f"{described} fails at import: {type(error).__name__}: {error}.") from None
    if not callable(function):
        raise UnknownName(f"{described} cannot be called.")
    checked: Function = function
    return checked


def suggest_labels(
    entries: Sequence[LabellingFunction], control: Control, data: Mapping[int, Mapping[str, Any]]
) -> dict[int, tuple[Answer, float]]:
    """Return the label that labelling functions suggest together for each task id of `data`, with its probability.

    A function takes a task's data and returns a label, or None to abstain. The error rates of the functions are learnt
    from each other, so a bad function has little weight. A function that is missing or fails on a task abstains. Tasks
    on which all functions abstain are left out. Single choices only.
    """
    tasks = [*data]
    if not entries or not tasks or control.kind != "choices":
        return {}
    code = {label: place for place, label in enumerate(control.labels)}
    rows: list[tuple[int, int, int]] = []
    for voter, entry in enumerate(entries):
        try:
            function = load_function(entry)
        except UnknownName as error:
            _LOG.warning("%s", error)
            continue
        labels = _call(function, entry.name, [*data.values()])
        rows += [
            (place, voter, code[label])
            for place, label in enumerate(labels)
            if isinstance(label, str) and label in code
        ]
    if not rows:
        return {}
    place, voter, given = np.transpose(rows)
    consensus = hierarchical_dawid_skene(Votes(place, voter, given, len(tasks), len(entries), len(code)))
    return {
        tasks[at]: (
            Answer("choices", (control.labels[int(consensus.labels[at])],)),
            round(float(consensus.proba[at].max()), 4),
        )
        for at in np.flatnonzero(consensus.support).tolist()
    }


def _call(function: Function, name: str, data: Sequence[Mapping[str, Any]]) -> list[str | None]:
    labels: list[str | None] = []
    failed = 0
    for task_data in data:
        try:
            labels.append(function(task_data))
        except Exception as error:  # noqa: BLE001 - somebody else's code must not stop the queue
            labels.append(None)
            failed += 1
            reason = f"{type(error).__name__}: {error}"
    if failed:
        _LOG.warning("labelling function %r failed on %d of %d tasks: %s", name, failed, len(data), reason)
    return labels


def combine_with_model(people: Votes, model: Floats) -> Consensus:
    """Combine the votes of people with a model: for training weights only.

    Where the answer must be that of people (audit, gold, agreement), use the other methods of this package. `support`
    counts the votes of people only. VotesError where the shape of `model` is another one.

    Parameters
    ----------
    people
        At least one vote.
    model
        Calibrated, cross-validated probabilities (n_tasks, k); they replace the label shares. A row of NaN is a task
        that the model cannot read.
    """
    wanted, even = (people.n_tasks, people.n_labels), 1.0 / people.n_labels
    if model.shape != wanted:
        raise VotesError(f"model has shape {model.shape}, wanted {wanted}: one row per task, one column per label.")
    readable = np.isfinite(model).all(axis=1, keepdims=True)
    prior = (1.0 - _MODEL_DOUBT) * np.where(readable, model, even) + _MODEL_DOUBT * even
    # the model is also the start: from single votes, every person would start as always right
    fit = hierarchical_dawid_skene(people, prior=prior, start=prior)
    proba = np.where(fit.support[:, None] > 0, fit.proba, prior)
    return replace(fit, method="suggestion", proba=proba, labels=proba.argmax(axis=1))
