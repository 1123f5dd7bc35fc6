"""One figure per person: how often they are right, and what their vote weighs for it."""

from __future__ import annotations

import numpy as np

from feedback.consensus.majority_vote import majority, vote_shares
from feedback.consensus.result import Consensus, checked, settle
from feedback.consensus.sparse_votes import Cells, fixed, log_prior, normalised, row_sums, row_tops, too_many_rates
from feedback.votes import Floats, Ints, Votes

_CLEAR = 0.5  # lead of the first label over the second, in shares of the votes
_MOST_OVERRULED = 0.02  # share of tasks on which a sound weighing overrules a clear majority of three or more
_SETTLED = 1e-6  # log likelihood per vote that one more round must gain
_STILL = 1e-4  # a mean change of the shares that is none
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
    cells = Cells.of(checked(votes))
    k = max(votes.n_labels, 2)
    given = np.bincount(votes.people, minlength=votes.n_people)
    proba = fixed(vote_shares(votes), known)
    before = -np.inf
    for _ in range(max_rounds):
        skill = np.clip((cells.credit(proba) + 1.0) / (given + 2.0), 1.0 / k, 1.0 - 1e-6)
        wrong = np.log((1.0 - skill) / (k - 1))
        log = cells.tally(np.log(skill) - wrong)
        shares = np.einsum("ij->j", proba) + 1.0
        shares /= shares.sum()
        log += log_prior(shares if prior is None else prior)
        proba, likelihood = normalised(log)
        proba = fixed(proba, known)
        likelihood += float(wrong @ given)  # every vote's chance of being wrong, left out of the rows above
        if likelihood - before < _SETTLED * len(votes):
            break
        before = likelihood
    errors = None if too_many_rates(votes) else _coin_matrix(skill, votes.n_labels)
    return _guarded(settle("one_coin", votes, proba, errors=errors, prior=shares), votes)


def weighted(votes: Votes, *, known: Ints | None = None, max_rounds: int = 100) -> Consensus:
    """A weighted vote: people weigh by how near they are to the weighted vote of all.

    Li, Rubinstein and Cohn (2019), "Truth inference at scale": a normal model of one-hot labels, whose weights stay
    moderate; sound where people's errors are too odd for an error matrix. The same guard as `one_coin`.
    """
    cells = Cells.of(checked(votes))
    given = np.bincount(votes.people, minlength=votes.n_people)
    proba = fixed(vote_shares(votes), known)
    spread = _PRIOR_VOTES * _PRIOR_RIGHT * (1.0 - _PRIOR_RIGHT)
    for _ in range(max_rounds):
        # the squared distance of a one-hot vote from the task's row is 1 - 2 row[label] + |row|²
        away = 1.0 + row_sums(proba**2)[:, None] - 2.0 * proba
        common = np.einsum("ij->j", proba) / len(proba)
        said = cells.tally((_PRIOR_VOTES + given) / (spread + cells.credit(away))) + common
        moved = fixed(said / row_sums(said)[:, None], known)
        step = float(np.abs(moved - proba).mean())
        proba = moved
        if step < _STILL:
            break
    return _guarded(settle("weighted", votes, proba), votes)


def _guarded(fit: Consensus, votes: Votes) -> Consensus:
    plain = majority(votes)
    top = row_tops(plain.proba)
    rest = plain.proba.copy()
    rest[np.arange(len(rest)), rest.argmax(axis=1)] = 0.0
    lead = top - row_tops(rest)
    clear = (lead >= _CLEAR) & (plain.support >= 3)
    overruled = (fit.labels != plain.labels) & clear
    if overruled.sum() <= _MOST_OVERRULED * (plain.support > 0).sum():
        return fit
    return settle(f"{fit.method} (majority)", votes, plain.proba)


def _coin_matrix(skill: Floats, k: int) -> Floats:
    wrong = (1.0 - skill) / max(k - 1, 1)
    return wrong[:, None, None] + np.eye(k) * (skill - wrong)[:, None, None]
