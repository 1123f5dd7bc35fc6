"""Dawid-Skene by maximum likelihood, many fits at once: every share of a label that the votes allow, with its fit.

With two votes a task the votes never tell the share of a label: a rarer label and people who miss it less explain them
equally well. One fit is then one of many, and what people are shown must hold for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedback.consensus.majority_vote import vote_shares
from feedback.consensus.sparse_votes import VoteMatrix, normalize_log_weights
from feedback.stats.intervals import Bools
from feedback.votes import Floats, Ints, Votes

_SMOOTHING = 0.02  # votes added to each cell: an error rate of exactly 0 could never grow again
_MIN_GAIN = 1e-3  # of log-likelihood; a fit whose rounds gain less has converged: intervals ask for differences of 2
_MAX_ROUNDS = 3_000
_FASTER, _FASTEST = 1.2, 8.0  # factor by which steps grow while they help, and their largest multiple
_STEPS = np.array([-4.0, -2.0, -1.0, -0.45, -0.15, 0.0, 0.15, 0.45, 1.0, 2.0, 4.0])  # of the log odds of a share
_REFINEMENTS = (3, 3)  # more steps between the last share that the votes allow and the next one
_MIN_SHARE = 1e-6  # of a label, so that its log odds are finite
_OTHER_MODE = 0.2  # difference of somebody's accuracy; with less, the scans of two fits meet
_MOSTLY_RIGHT = 0.7  # of the best fit's mean accuracy; fits below it have the labels' names exchanged
_MAX_START_CELLS = 2_000_000  # tasks times labels times people, up to which each person's votes are one more start


@dataclass(frozen=True, slots=True, eq=False)
class ProfileFits:
    """Fits of the same votes, one per column."""

    proba: Floats  # (n_tasks, n_fits, k)
    errors: Floats  # (n_fits, n_people, k true, k given)
    prior: Floats  # (n_fits, k)
    log_likelihood: Floats  # (n_fits,)
    converged: Bools  # (n_fits,)

    def take(self, columns: Ints | Bools) -> ProfileFits:
        """Return these fits, in this order."""
        return ProfileFits(
            self.proba[:, columns],
            self.errors[columns],
            self.prior[columns],
            self.log_likelihood[columns],
            self.converged[columns],
        )

    def join(self, other: ProfileFits) -> ProfileFits:
        """Return the fits of both."""
        return ProfileFits(
            np.concatenate([self.proba, other.proba], axis=1),
            np.concatenate([self.errors, other.errors]),
            np.concatenate([self.prior, other.prior]),
            np.concatenate([self.log_likelihood, other.log_likelihood]),
            np.concatenate([self.converged, other.converged]),
        )

    @property
    def accuracies(self) -> Floats:
        """Return how often each person gives each true label, (n_fits, n_people, k)."""
        return np.diagonal(self.errors, axis1=2, axis2=3)


def fit_modes(votes: Votes, *, slack: float) -> ProfileFits:
    """Return the best fit, then the other local optima whose likelihood ratio to it is at most `slack`.

    EM starts from the shares of votes and, where that is affordable, from each person's votes as if they were right:
    two people who never agree have two such fits. Fits in which people are mostly wrong exchange the names of the
    labels and are left out.

    >>> votes = Votes(np.repeat(np.arange(60), 3), np.tile([0, 1, 2], 60), np.repeat(np.arange(60) % 2, 3))
    >>> fit_modes(votes, slack=3.84).accuracies.round(2).min()
    np.float64(1.0)
    """
    shares = vote_shares(votes)
    starts = [shares]
    if votes.n_tasks * votes.n_labels * votes.n_people <= _MAX_START_CELLS:
        for person in range(votes.n_people):
            own, trusted = votes.people == person, shares.copy()
            trusted[votes.tasks[own]] = np.eye(votes.n_labels)[votes.labels[own]]
            starts.append(trusted)
    fits = _maximise(votes, np.stack(starts, axis=1))
    per_person = np.bincount(votes.people, votes.weights, minlength=votes.n_people)
    overall = (fits.accuracies * fits.prior[:, None, :]).sum(axis=2)  # (n_fits, n_people)
    right = (overall @ per_person) / per_person.sum()
    plausible = np.flatnonzero(right >= _MOSTLY_RIGHT * right[0])
    best = fits.log_likelihood[plausible].max()
    kept: list[int] = []
    for column in plausible[np.argsort(-fits.log_likelihood[plausible], kind="stable")].tolist():
        near = 2.0 * (best - fits.log_likelihood[column]) <= slack
        new = all(np.abs(overall[column] - overall[old]).max() > _OTHER_MODE for old in kept)
        if not kept or (near and new):
            kept.append(column)
    return fits.take(np.array(kept))


def fits_by_share(votes: Votes, mode: ProfileFits, label: int, *, slack: float, best: float) -> ProfileFits:
    """Return fits with the share of a label fixed, over all shares whose likelihood ratio to `best` is at most `slack`.

    `mode` is one fit to start from, `best` the log-likelihood of the best fit. The first steps beyond these shares are
    among the fits.
    """
    share = min(max(float(mode.prior[0, label]), _MIN_SHARE), 1.0 - _MIN_SHARE)
    centre = float(np.log(share) - np.log1p(-share))
    steps, fits = _STEPS, _fit_shares(votes, mode, label, _STEPS, centre)
    for count in (*_REFINEMENTS, 0):
        order = np.argsort(steps)
        steps, fits = steps[order], fits.take(order)
        allowed = 2.0 * (max(best, fits.log_likelihood.max()) - fits.log_likelihood) <= slack
        first = last = int(np.argmax(fits.log_likelihood))
        while first > 0 and allowed[first - 1]:
            first -= 1
        while last < len(steps) - 1 and allowed[last + 1]:
            last += 1
        gaps = [(first - 1, first)] * (first > 0) + [(last, last + 1)] * (last < len(steps) - 1)
        if count and gaps:
            between = np.concatenate([np.linspace(steps[low], steps[high], count + 2)[1:-1] for low, high in gaps])
            steps, fits = np.append(steps, between), fits.join(_fit_shares(votes, mode, label, between, centre))
    return fits.take(np.arange(max(first - 1, 0), min(last + 2, len(steps))))


def _fit_shares(votes: Votes, mode: ProfileFits, label: int, steps: Floats, centre: float) -> ProfileFits:
    log = np.log(np.maximum(mode.proba, 1e-12)) + np.zeros((len(steps), 1))
    log[:, :, label] += steps
    start, _ = normalize_log_weights(log.reshape(-1, votes.n_labels))
    share = 1.0 / (1.0 + np.exp(-(centre + steps)))
    return _maximise(votes, start.reshape(votes.n_tasks, len(steps), -1), label=label, share=share)


def _maximise(votes: Votes, start: Floats, *, label: int | None = None, share: Floats | None = None) -> ProfileFits:
    """Run EM from each column of `start` (n_tasks, n_fits, k) to convergence.

    Steps grow while they help (Salakhutdinov and Roweis, 2003, Adaptive overrelaxed bound optimization methods).
    `share` (n_fits,) fixes the share of a label.
    """
    matrix, times = VoteMatrix.build(votes), votes.times
    n_tasks, n_fits, k = start.shape
    found = ProfileFits(
        np.empty_like(start),
        np.empty((n_fits, matrix.n_people, k, k)),
        np.empty((n_fits, k)),
        np.full(n_fits, -np.inf),
        np.zeros(n_fits, dtype=bool),
    )
    live: Ints = np.arange(n_fits)
    pace: Floats = np.ones(n_fits)
    proba, last = start, found.log_likelihood.copy()
    rates: Floats = np.zeros((matrix.n_people, k, n_fits, k))  # person, given, fit, true
    prior: Floats = np.zeros((n_fits, k))
    for number in range(_MAX_ROUNDS):
        counts = matrix.by_person_label @ proba.reshape(n_tasks, -1)
        new_rates = _log_shares(np.log(counts.reshape(matrix.n_people, k, len(live), k) + _SMOOTHING), axis=1)
        new_prior = _log_shares(np.log(np.einsum("t,tsk->sk", times, proba) + _SMOOTHING), axis=1)
        if label is not None and share is not None:
            new_prior[:, label] = -np.inf
            new_prior = _log_shares(new_prior, axis=1) + np.log1p(-share[live])[:, None]
            new_prior[:, label] = np.log(share[live])
        faster, faster_prior = new_rates, new_prior
        if number:
            faster = _log_shares(rates + (new_rates - rates) * pace[:, None], axis=1)
            if label is None:
                faster_prior = _log_shares(prior + (new_prior - prior) * pace[:, None], axis=1)
        proba, likelihood = _expect(matrix, times, faster, faster_prior)
        worse = ~(likelihood >= last - 1e-9)
        if worse.any():  # only a plain step never loses
            faster = np.where(worse[:, None], new_rates, faster)
            faster_prior = np.where(worse[:, None], new_prior, faster_prior)
            proba, likelihood = _expect(matrix, times, faster, faster_prior)
        rates, prior = faster, faster_prior
        settled = ~worse & (likelihood - last < _MIN_GAIN)
        done = settled | (number == _MAX_ROUNDS - 1)
        pace = np.where(worse, 1.0, np.minimum(pace * _FASTER, _FASTEST))
        last = likelihood
        if done.any():
            columns = live[done]
            found.proba[:, columns] = proba[:, done]
            found.errors[columns] = np.exp(rates[:, :, done]).transpose(2, 0, 3, 1)
            found.prior[columns], found.log_likelihood[columns] = np.exp(prior[done]), likelihood[done]
            found.converged[columns] = settled[done]
            live, pace, last, prior = live[~done], pace[~done], last[~done], prior[~done]
            proba, rates = proba[:, ~done], rates[:, :, ~done]
        if not len(live):
            break
    return found


def _expect(matrix: VoteMatrix, times: Floats, rates: Floats, prior: Floats) -> tuple[Floats, Floats]:
    """Return probabilities (n_tasks, n_fits, k) and log-likelihoods (n_fits,) of log rates and log shares."""
    n_fits, k = prior.shape
    log = (matrix.by_task @ rates.reshape(-1, n_fits * k)).reshape(-1, n_fits, k) + prior
    proba, totals = normalize_log_weights(log.reshape(-1, k))
    return proba.reshape(log.shape), times @ totals.reshape(-1, n_fits)


def _log_shares(log: Floats, *, axis: int) -> Floats:
    """Return logs whose exponentials sum to 1 along an axis."""
    top = log.max(axis=axis, keepdims=True)
    shares: Floats = log - top - np.log(np.exp(log - top).sum(axis=axis, keepdims=True))
    return shares
