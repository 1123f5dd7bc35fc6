"""Confidence that means what it says: learnt on gold answers; and how far it is off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from feedback.consensus.majority_vote import vote_shares
from feedback.consensus.result import Consensus
from feedback.consensus.sparse_votes import normalised
from feedback.errors import VotesError
from feedback.votes import Floats, Ints, Votes

_FLOOR = 1e-12  # a posterior of exactly 0 would make every temperature equally wrong
_RANGE = (np.log(0.2), np.log(50.0))  # Dawid-Skene on 20 votes an item needs temperatures up to about 10
_CAUTION = 0.5  # a weak pull towards changing nothing, worth about one gold answer
_SUREST = 1e-3  # before gold, nothing is taken as surer than one error in a thousand
_SLOPES = np.linspace(0.0, 1.5, 9)  # what a log-odds is worth: votes hang together, so mostly below 1
_OFFSETS = np.linspace(-2.5, 2.5, 21)  # how much harder the project is than its votes look
_SLOPE_PRIOR, _OFFSET_PRIOR = (0.5, 0.5), (0.0, 0.7)  # mean and spread; both slopes together are worth 1
_STEP = 0.02  # log-odds nearer than this are one: their confidence differs by less than half a point
_WIDE = 1 << 20  # more steps than log-odds can have: makes one number of two
_MOST_BINS = 10


def temperature(proba: Floats, truth: Ints) -> float:
    """The temperature above 0 under which gold answers are likeliest; above 1 where confidence was too high.

    `proba` (n, k) and the gold labels `truth` (n,) of the same tasks. Guo et al. (2017).

    >>> proba = np.array([[0.99, 0.01]] * 10)
    >>> 2 < temperature(proba, np.array([0] * 8 + [1] * 2)) < 5
    True
    """
    if len(proba) != len(truth):
        raise VotesError(f"{len(truth)} gold answers for {len(proba)} rows; wanted one each.")
    if not len(truth):
        return 1.0
    log = np.log(np.maximum(proba, _FLOOR))
    rows = np.arange(len(truth))

    def loss(log_t: float) -> float:
        scaled = log / np.exp(log_t)
        top = scaled.max(axis=1)
        likely = scaled[rows, truth] - top - np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float(-likely.sum() + _CAUTION * log_t**2)

    return float(np.exp(minimize_scalar(loss, bounds=_RANGE, method="bounded").x))


def temper(proba: Floats, at: float) -> Floats:
    """Raise probabilities to the power 1 / `at` and normalise; the order of labels stays."""
    if at == 1.0:
        return proba
    return normalised(np.log(np.maximum(proba, _FLOOR)) / at)[0]


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


def calibrated(consensus: Consensus, votes: Votes, known: Ints) -> Consensus:
    """The same labels, with probabilities learnt on gold; `known` (n_tasks,) holds gold labels, -1 elsewhere.

    >>> from feedback.consensus.majority_vote import majority
    >>> votes = Votes(np.repeat(np.arange(200), 3), np.tile([0, 1, 2], 200), np.zeros(600, dtype=int), n_labels=2)
    >>> known = np.where(np.arange(200) % 10 < 3, 1, 0)  # all three agree, and are wrong three times in ten
    >>> calibrated(majority(votes), votes, known).confidence[:2].round(1)
    array([0.7, 0.7])
    """
    odds = log_odds(consensus, votes)
    rows = np.flatnonzero((known >= 0) & (consensus.support > 0))
    trust = learn_trust(odds[rows], consensus.labels[rows] == known[rows])
    return replace(consensus, proba=_with_confidence(consensus.proba, trust.confidence(odds)))


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Expected calibration error in [0, 1]: the mean gap between confidence and share right, over equal bins.

    As many bins as the cube root of the rows, ten at most: with few rows in a bin chance alone opens a gap.

    >>> calibration_error(np.array([0.9, 0.9, 0.6, 0.6]), np.array([True, True, True, False]))
    0.0
    """
    if not len(confidence):
        return float("nan")
    bins = int(np.clip(round(len(confidence) ** (1 / 3)), 1, _MOST_BINS))
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = np.bincount(place, weights=confidence - right, minlength=bins)
    return float(round(np.abs(gap).sum() / len(confidence), 12))


def _with_confidence(rows: Floats, wanted: Floats) -> Floats:
    """Mix each row with certainty or with ignorance until its largest probability is the wanted one."""
    k = rows.shape[1]
    if k < 2:
        return rows
    top = rows.max(axis=1)
    wanted = np.maximum(wanted, 1.0 / k + 0.01 * (top - 1.0 / k))  # the first label stays first
    ignorance = np.clip((top - wanted) / np.maximum(top - 1.0 / k, 1e-12), 0.0, 1.0)[:, None]
    mixed: Floats = (1.0 - ignorance) * rows + ignorance / k
    certainty = np.clip((wanted - top) / np.maximum(1.0 - top, 1e-12), 0.0, 1.0)[:, None]
    mixed *= 1.0 - certainty
    mixed[np.arange(len(rows)), rows.argmax(axis=1)] += certainty[:, 0]
    return mixed
