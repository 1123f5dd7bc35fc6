"""One figure per person: how often they are right, and what their vote weighs for it."""

from __future__ import annotations

import numpy as np

from feedback.consensus.incidence import fixed, log_prior, normalised
from feedback.consensus.majority import majority, vote_shares
from feedback.consensus.record import Consensus, checked, settle
from feedback.votes import Floats, Ints, Votes

_CLEAR = 0.5  # lead of the first label over the second, in shares of the votes
_MOST_OVERRULED = 0.02  # share of tasks on which a sound weighing overrules a clear majority of three or more
_PRIOR_VOTES = 15.0  # Li, Rubinstein and Cohn (2019): how firmly everybody starts as
_PRIOR_RIGHT = 0.8  # ... right four times in five


def one_coin(
    votes: Votes, *, prior: Floats | None = None, known: Ints | None = None, max_rounds: int = 100
) -> Consensus:
    """Each person is right with one probability, and wrong evenly; learnt by EM, with a guard.

    Where errors are not even, this model may collapse onto one label. The guard: nobody weighs less than nothing (no
    worse than guessing), and a fit that overrules clear majorities on more than 2 % of the tasks is replaced by the
    majority; its method then reads "one_coin (majority)".
    """
    checked(votes)
    k = max(votes.n_labels, 2)
    given = np.bincount(votes.people, minlength=votes.n_people)
    cell = votes.tasks * votes.n_labels + votes.labels
    proba = fixed(vote_shares(votes), known)
    before = -np.inf
    for _ in range(max_rounds):
        right = np.bincount(votes.people, weights=proba[votes.tasks, votes.labels], minlength=votes.n_people)
        skill = np.clip((right + 1.0) / (given + 2.0), 1.0 / k, 1.0 - 1e-6)
        wrong = np.log((1.0 - skill) / (k - 1))
        lead = np.bincount(cell, weights=(np.log(skill) - wrong)[votes.people], minlength=proba.size)
        log = lead.reshape(proba.shape) + np.bincount(
            votes.tasks, weights=wrong[votes.people], minlength=votes.n_tasks
        ).reshape(-1, 1)
        shares = (proba.sum(axis=0) + 1.0) / (proba.sum() + votes.n_labels)
        proba, likelihood = normalised(log + log_prior(shares if prior is None else prior))
        proba = fixed(proba, known)
        if likelihood - before < 1e-6 * len(votes):
            break
        before = likelihood
    fit = settle("one_coin", votes, proba, errors=_coin_matrix(skill, votes.n_labels), prior=shares)
    return _guarded(fit, votes)


def weighted(votes: Votes, *, known: Ints | None = None, max_rounds: int = 100) -> Consensus:
    """A weighted vote: people weigh by how near they are to the weighted vote of all.

    Li, Rubinstein and Cohn (2019), "Truth inference at scale": a normal model of one-hot labels, whose weights stay
    moderate; sound where people's errors are too odd for an error matrix. The same guard as `one_coin`.
    """
    checked(votes)
    given = np.bincount(votes.people, minlength=votes.n_people)
    cell = votes.tasks * votes.n_labels + votes.labels
    proba = fixed(vote_shares(votes), known)
    spread = _PRIOR_VOTES * _PRIOR_RIGHT * (1.0 - _PRIOR_RIGHT)
    for _ in range(max_rounds):
        away = 1.0 - 2.0 * proba[votes.tasks, votes.labels] + (proba**2).sum(axis=1)[votes.tasks]
        far = np.bincount(votes.people, weights=away, minlength=votes.n_people)
        weight = ((_PRIOR_VOTES + given) / (spread + far))[votes.people]
        said = np.bincount(cell, weights=weight, minlength=proba.size).reshape(proba.shape) + proba.mean(axis=0)
        moved = fixed(said / said.sum(axis=1, keepdims=True), known)
        step = float(np.abs(moved - proba).max())
        proba = moved
        if step < 1e-5:
            break
    return _guarded(settle("weighted", votes, proba), votes)


def _guarded(fit: Consensus, votes: Votes) -> Consensus:
    plain = majority(votes)
    ranked = np.sort(plain.proba, axis=1)
    lead = ranked[:, -1] - (ranked[:, -2] if votes.n_labels > 1 else 0.0)
    clear = (lead >= _CLEAR) & (plain.support >= 3)
    overruled = (fit.labels != plain.labels) & clear
    if overruled.sum() <= _MOST_OVERRULED * (plain.support > 0).sum():
        return fit
    return settle(f"{fit.method} (majority)", votes, plain.proba)


def _coin_matrix(skill: Floats, k: int) -> Floats:
    wrong = (1.0 - skill) / max(k - 1, 1)
    return wrong[:, None, None] + np.eye(k) * (skill - wrong)[:, None, None]
