"""Calibrate the confidence of consensus labels on gold labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from feedback.consensus.consensus import Consensus
from feedback.consensus.majority_vote import vote_shares
from feedback.votes import Floats, Votes

_MIN_ERROR = 1e-3  # before calibration, no confidence is above 0.999
_SLOPES = np.linspace(0.0, 1.5, 9)  # mostly below 1, because votes on a task are dependent
_OFFSETS = np.linspace(-2.5, 2.5, 21)  # below 0 where tasks are harder than the votes suggest
_PRIOR_MEAN, _PRIOR_SD = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.5, 0.7])  # slope, slope, offset
_STEP = 0.02  # log-odds are rounded to it, which changes a confidence by less than 0.005
_MAX_STEPS = 1 << 20  # more steps than log-odds have: two numbers become one


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceModel:
    """The posterior of a logistic calibration with two slopes and an offset, on a grid of m points."""

    parameters: Floats  # (m, 3): slope of the method's log-odds, slope of the votes' log-odds, offset
    weights: Floats  # (m,) posterior; sums to 1

    def confidence(self, odds: Floats) -> Floats:
        """Return the probability that each label is right, (n,) in (0, 1), from `consensus_log_odds` (n, 2)."""
        steps = np.round(odds / _STEP).astype(np.int64)
        _, first, row = np.unique(steps[:, 0] * _MAX_STEPS + steps[:, 1], return_index=True, return_inverse=True)
        distinct = steps[first].T * _STEP
        right: Floats = self.weights @ expit(self.parameters[:, :2] @ distinct + self.parameters[:, 2:])
        return right[row]


def fit_confidence_model(odds: Floats, right: NDArray[np.bool_]) -> ConfidenceModel:
    """Fit the calibration of a consensus on tasks with gold labels.

    The log-odds that a label is right are modelled as `a * x + b * y + c`, with x and y from `consensus_log_odds`. The
    priors are normal, with mean 0.5 and standard deviation 0.5 for each slope, 0 and 0.7 for the offset. Few gold
    labels leave the parameters uncertain, so the confidence is the posterior mean over a grid instead of one best fit
    (for which see `ml_backend.calibration.temperature_scaling`).

    Parameters
    ----------
    odds
        `consensus_log_odds` of the gold tasks, shape (n, 2).
    right
        Whether the consensus label is the gold label, shape (n,).

    References
    ----------
    Platt (1999), Probabilistic outputs for support vector machines. With one slope it is temperature scaling: Guo et
    al. (2017), arXiv:1706.04599.

    Examples
    --------
    >>> from feedback.consensus.majority_vote import majority_vote
    >>> votes = Votes(np.repeat(np.arange(200), 3), np.tile([0, 1, 2], 200), np.zeros(600, dtype=int), n_labels=2)
    >>> odds = consensus_log_odds(majority_vote(votes), votes)
    >>> right = np.arange(200) % 10 >= 3  # all three people agree, and are wrong on three tasks of ten
    >>> fit_confidence_model(odds, right).confidence(odds)[:2].round(1)
    array([0.7, 0.7])
    """
    grid = np.array(np.meshgrid(_SLOPES, _SLOPES, _OFFSETS)).reshape(3, -1).T
    log = -0.5 * (((grid - _PRIOR_MEAN) / _PRIOR_SD) ** 2).sum(axis=1)
    log += log_expit((grid[:, :2] @ odds.T + grid[:, 2:]) * np.where(right, 1.0, -1.0)).sum(axis=1)
    weights = np.exp(log - log.max())
    likely = weights > 1e-4  # the other points do not change a confidence visibly
    return ConfidenceModel(grid[likely], weights[likely] / weights[likely].sum())


def consensus_log_odds(consensus: Consensus, votes: Votes) -> Floats:
    """Return two log-odds of each consensus label, (n_tasks, 2): of its probability, and of its share of the votes."""
    label = np.maximum(consensus.labels, 0)
    rows = np.arange(len(label))
    for_label = vote_shares(votes)[rows, label] * consensus.support + 1.0 / votes.n_labels
    share = np.stack([consensus.proba[rows, label], for_label / (consensus.support + 1.0)], axis=1)
    share = np.clip(share, _MIN_ERROR, 1.0 - _MIN_ERROR)
    odds: Floats = np.log(share / (1.0 - share))
    return odds
