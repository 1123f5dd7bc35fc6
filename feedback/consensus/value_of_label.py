"""The expected gain of one more vote on a task, in information about its label."""

from __future__ import annotations

import numpy as np

from feedback.votes import Floats


def information(proba: Floats) -> Floats:
    """Return how informative rows of probabilities (n, k) are, (n,) in [0, 1]: 0 is a guess, 1 is certain.

    It is the square of the lead of the likeliest label over chance. For training, a label with information 0.5 is
    worth half a certain label (for two labels it is the Fisher information under symmetric noise).

    >>> information(np.array([[0.5, 0.5], [1.0, 0.0], [0.9, 0.1]])).round(2)
    array([0.  , 1.  , 0.64])
    """
    k = max(proba.shape[1], 2)
    lead: Floats = np.maximum(k * proba.max(axis=1) - 1.0, 0.0) / (k - 1)
    return lead**2


def expected_information(proba: Floats, errors: Floats) -> Floats:
    """Return the expected information after one more vote, (n,): the mean over the labels that the vote may give.

    `errors` (k true, k given) are the error rates of the next person.

    >>> errors = np.array([[0.8, 0.2], [0.2, 0.8]])
    >>> expected_information(np.array([[0.5, 0.5], [1.0, 0.0]]), errors).round(2)
    array([0.36, 1.  ])
    """
    expected = np.zeros(len(proba))
    for label in range(errors.shape[1]):
        joint = proba * errors[:, label]
        chance = joint.sum(axis=1)
        posterior = joint / np.maximum(chance, 1e-12)[:, None]
        expected += chance * information(posterior)
    return expected


def expected_gain(proba: Floats, errors: Floats, prior: Floats | None) -> Floats:
    """Return the expected gain of one more vote on each task over a first vote on a new task, (n,).

    Above 0, another vote on the task is worth more. `prior` (k,) are the label shares of a new task; None returns the
    gain itself, for a project without new tasks.

    >>> errors, prior = np.array([[0.8, 0.2], [0.2, 0.8]]), np.array([0.5, 0.5])
    >>> expected_gain(np.array([[0.5, 0.5], [0.8, 0.2]]), errors, prior).round(2)
    array([ 0.  , -0.19])
    """
    gain = expected_information(proba, errors) - information(proba)
    if prior is None:
        return gain
    over_new_task: Floats = gain - expected_information(prior[None, :], errors)[0]
    return over_new_task
