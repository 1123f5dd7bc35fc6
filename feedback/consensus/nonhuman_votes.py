"""Voters who are not people: labelling functions and the model; they suggest, and are never counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from feedback.consensus.dawid_skene import hierarchical
from feedback.consensus.result import Consensus
from feedback.errors import VotesError
from feedback.votes import Floats, Votes

_SURE = 0.02  # a model is never taken as surer than this of any label: people must be able to overrule it


def suggest(people: Votes, *, functions: Votes | None = None, model: Floats | None = None) -> Consensus:
    """What people, labelling functions and the model say together: for pre-annotation and training weights only.

    `functions` vote on the same tasks and labels; their error matrices are learnt like a person's, so a bad one weighs
    little. `model` (n_tasks, k) are its calibrated, cross-validated probabilities and stand for the class shares; a
    row of NaN is a task that it cannot read. `support` counts people alone: with none, it is 0. Where the answer must
    be people's (audit, gold, agreement), use the other methods of this package.

    >>> nobody = Votes([], [], [], n_tasks=2, n_people=0, n_labels=2)
    >>> rules = Votes([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 1, 1], n_tasks=2, n_labels=2)
    >>> said = suggest(nobody, functions=rules)
    >>> said.labels.tolist(), said.support.tolist()
    ([0, 1], [0, 0])
    """
    voters = people if functions is None else joined(people, functions)
    prior = None if model is None else _prior(model, people)
    support = np.bincount(people.tasks, minlength=people.n_tasks)
    if len(voters):
        # from the model's view, where there is one: from single votes, everybody would start out always right
        fit = hierarchical(voters, prior=prior, start=prior)
    elif prior is not None:
        fit = Consensus("suggestion", prior, prior.argmax(axis=1), support)
    else:
        raise VotesError("nobody says anything; wanted votes, labelling functions or a model.")
    proba, labels = fit.proba, fit.labels
    if prior is not None:
        silent = fit.support == 0
        proba = np.where(silent[:, None], prior, proba)
        labels = np.where(silent, prior.argmax(axis=1), labels)
    return replace(fit, method="suggestion", proba=proba, labels=labels, support=support)


def joined(people: Votes, functions: Votes) -> Votes:
    """All votes as one; functions get the codes after the people's."""
    if (people.n_tasks, people.n_labels) != (functions.n_tasks, functions.n_labels):
        raise VotesError("people and functions must vote on the same tasks and labels: give both the same numbers.")
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
    prior: Floats = (1.0 - _SURE) * rows + _SURE * even
    return prior
