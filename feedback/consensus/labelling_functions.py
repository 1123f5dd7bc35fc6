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
    size = (len(tasks), len(entries), len(code))
    functions = Votes([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], *size)
    nobody = Votes([], [], [], n_tasks=size[0], n_people=0, n_labels=size[2])
    consensus = combine_voters(nobody, functions=functions)
    return {
        tasks[place]: (
            Answer("choices", (control.labels[int(consensus.labels[place])],)),
            round(float(consensus.proba[place].max()), 4),
        )
        for place in sorted({row[0] for row in rows})
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


def combine_voters(people: Votes, *, functions: Votes | None = None, model: Floats | None = None) -> Consensus:
    """Combine people, labelling functions and the model: for pre-annotations and training weights only.

    Where the answer must be that of people (audit, gold, agreement), use the other methods of this package. `support`
    counts the votes of people only. VotesError where there are no voters at all, or tasks and labels do not match.

    Parameters
    ----------
    people
        May be empty.
    functions
        Votes of labelling functions on the same tasks and labels. Their error rates are learnt like those of people.
    model
        Calibrated, cross-validated probabilities (n_tasks, k); they replace the label shares. A row of NaN is a task
        that the model cannot read.

    Examples
    --------
    >>> nobody = Votes([], [], [], n_tasks=2, n_people=0, n_labels=2)
    >>> rules = Votes([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 1, 1], n_tasks=2, n_labels=2)
    >>> consensus = combine_voters(nobody, functions=rules)
    >>> consensus.labels.tolist(), consensus.support.tolist()
    ([0, 1], [0, 0])
    """
    voters = people if functions is None else join_votes(people, functions)
    prior = None if model is None else _prior(model, people)
    support = np.bincount(people.tasks, minlength=people.n_tasks)
    if len(voters):
        # the model is also the start: from single votes, every person would start as always right
        fit = hierarchical_dawid_skene(voters, prior=prior, start=prior)
    elif prior is not None:
        fit = Consensus("suggestion", prior, prior.argmax(axis=1), support)
    else:
        raise VotesError("there are no voters; wanted votes of people, labelling functions or a model.")
    proba, labels = fit.proba, fit.labels
    if prior is not None:
        without_votes = fit.support == 0
        proba = np.where(without_votes[:, None], prior, proba)
        labels = np.where(without_votes, prior.argmax(axis=1), labels)
    return replace(fit, method="suggestion", proba=proba, labels=labels, support=support)


def join_votes(people: Votes, functions: Votes) -> Votes:
    """Return all votes together; the codes of functions come after those of people."""
    if (people.n_tasks, people.n_labels) != (functions.n_tasks, functions.n_labels):
        raise VotesError("people and functions must have the same numbers of tasks and labels.")
    return Votes(
        np.concatenate([people.tasks, functions.tasks]),
        np.concatenate([people.people, functions.people + people.n_people]),
        np.concatenate([people.labels, functions.labels]),
        people.n_tasks,
        people.n_people + functions.n_people,
        people.n_labels,
    )


def _prior(model: Floats, people: Votes) -> Floats:
    wanted = (people.n_tasks, people.n_labels)
    if model.shape != wanted:
        raise VotesError(f"model has shape {model.shape}, wanted {wanted}: one row per task, one column per label.")
    even = 1.0 / people.n_labels
    readable = np.isfinite(model).all(axis=1, keepdims=True)
    rows = np.where(readable, model, even)
    prior: Floats = (1.0 - _MODEL_DOUBT) * rows + _MODEL_DOUBT * even
    return prior
