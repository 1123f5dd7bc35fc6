"""What another opinion is worth: how much more would be known of a task, against a vote on a new one."""

from __future__ import annotations

import numpy as np

from feedback.votes import Floats


def told(proba: Floats) -> Floats:
    """How much rows of probabilities (n, k) tell, (n,) in [0, 1]: 0 is a guess, 1 is certain.

    The square of the likeliest label's lead over chance: a label that is right so often teaches a model as much as
    this share of certain ones (for two labels, the Fisher information under symmetric noise).

    >>> told(np.array([[0.5, 0.5], [1.0, 0.0], [0.9, 0.1]])).round(2)
    array([0.  , 1.  , 0.64])
    """
    k = max(proba.shape[1], 2)
    lead: Floats = np.maximum(k * proba.max(axis=1) - 1.0, 0.0) / (k - 1)
    return lead**2


def after_another(proba: Floats, errors: Floats) -> Floats:
    """What tasks are expected to tell after one more vote, (n,): a mean over what that vote may be.

    `errors` (k true, k said) are the error rates of whoever will be asked.

    >>> usual = np.array([[0.8, 0.2], [0.2, 0.8]])
    >>> after_another(np.array([[0.5, 0.5], [1.0, 0.0]]), usual).round(2)
    array([0.36, 1.  ])
    """
    expected = np.zeros(len(proba))
    for said in range(errors.shape[1]):
        joint = proba * errors[:, said]
        likely = joint.sum(axis=1)
        row = joint / np.maximum(likely, 1e-12)[:, None]
        expected += likely * told(row)
    return expected


def gains(proba: Floats, errors: Floats, prior: Floats | None) -> Floats:
    """How much more another opinion on each task tells than a first one on a new task, (n,); above 0 it pays.

    `prior` (k,) is what is known of a new task; None where there is no new task left, and the gain itself is given.

    >>> usual, even = np.array([[0.8, 0.2], [0.2, 0.8]]), np.array([0.5, 0.5])
    >>> gains(np.array([[0.5, 0.5], [0.8, 0.2]]), usual, even).round(2)
    array([ 0.  , -0.19])
    """
    more = after_another(proba, errors) - told(proba)
    if prior is None:
        return more
    fresh: Floats = more - after_another(prior[None, :], errors)[0]
    return fresh
