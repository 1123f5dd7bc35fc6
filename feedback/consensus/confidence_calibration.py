"""Calibrate the confidence of consensus labels on gold answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from feedback.consensus.majority_vote import vote_shares
from feedback.consensus.result import Consensus
from feedback.votes import Floats, Votes

_SUREST = 1e-3  # before gold, nothing is taken as surer than one error in a thousand
_SLOPES = np.linspace(0.0, 1.5, 9)  # what a log-odds is worth: votes hang together, so mostly below 1
_OFFSETS = np.linspace(-2.5, 2.5, 21)  # how much harder the project is than its votes look
_SLOPE_PRIOR, _OFFSET_PRIOR = (0.5, 0.5), (0.0, 0.7)  # mean and spread; both slopes together are worth 1
_STEP = 0.02  # log-odds nearer than this are one: their confidence differs by less than half a point
_WIDE = 1 << 20  # more steps than log-odds can have: makes one number of two


@dataclass(frozen=True, slots=True, eq=False)
class Trust:
    """What a consensus is worth, learnt on gold: every scale and shift of its log-odds, and how likely each is."""

    scales: Floats  # (m, 3): of the method's log-odds, of the votes' log-odds, and the shift
    weights: Floats  # (m,) sum to 1

    def confidence(self, odds: Floats) -> Floats:
        """The probability of being right for rows of log-odds (n, 2), in (0, 1)."""
        steps = np.round(odds / _STEP).astype(np.int64)
        _, first, row = np.unique(steps[:, 0] * _WIDE + steps[:, 1], return_index=True, return_inverse=True)
        seen = steps[first].T * _STEP
        right: Floats = self.weights @ expit(self.scales[:, :2] @ seen + self.scales[:, 2:])
        return right[row]


def learn_trust(odds: Floats, right: NDArray[np.bool_]) -> Trust:
    """Temperature scaling that knows what it does not know: log-odds (n, 2) of gold tasks, and which were right.

    Two figures say how sure a consensus is: the probability its method gives, and the share of votes behind it. Few
    gold answers leave open what each is worth, so the answer is the mean over all that explain the gold.
    """
    grid = np.array(np.meshgrid(_SLOPES, _SLOPES, _OFFSETS)).reshape(3, -1).T
    centre = np.array([_SLOPE_PRIOR[0], _SLOPE_PRIOR[0], _OFFSET_PRIOR[0]])
    spread = np.array([_SLOPE_PRIOR[1], _SLOPE_PRIOR[1], _OFFSET_PRIOR[1]])
    log = -0.5 * (((grid - centre) / spread) ** 2).sum(axis=1)
    log += log_expit((grid[:, :2] @ odds.T + grid[:, 2:]) * np.where(right, 1.0, -1.0)).sum(axis=1)
    weights = np.exp(log - log.max())
    heavy = weights > 1e-4  # the rest cannot move a confidence by a visible amount
    return Trust(grid[heavy], weights[heavy] / weights[heavy].sum())


def log_odds(consensus: Consensus, votes: Votes) -> Floats:
    """How sure each consensus label looks, (n_tasks, 2): to the method, and by the votes behind it."""
    label = np.maximum(consensus.labels, 0)
    rows = np.arange(len(label))
    behind = vote_shares(votes)[rows, label] * consensus.support + 1.0 / votes.n_labels
    sure = np.stack([consensus.proba[rows, label], behind / (consensus.support + 1.0)], axis=1)
    sure = np.clip(sure, _SUREST, 1.0 - _SUREST)
    odds: Floats = np.log(sure / (1.0 - sure))
    return odds
