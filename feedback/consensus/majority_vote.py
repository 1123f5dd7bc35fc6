"""Majority: every vote weighs the same; who agrees more with others only settles a tie."""

from __future__ import annotations

import numpy as np

from feedback.consensus.result import Consensus, checked, settle
from feedback.votes import Floats, Votes

_TIE = 1e-9  # times the votes of one task: far below what one vote moves a share


def majority(votes: Votes) -> Consensus:
    """The label with most votes; its probability is its share of the votes.

    A tie goes to the people who agree more with others elsewhere, then to the first label: right more often than a
    coin, and the same every time. (The more common label would be a bad tie-break: it attracts the careless votes.)

    >>> said = majority(Votes([0, 0, 0, 1, 1], [0, 1, 2, 1, 2], [1, 1, 0, 1, 0]))
    >>> said.labels, said.proba.round(2)[0]
    (array([1, 1]), array([0.33, 0.67]))
    """
    shares = vote_shares(checked(votes))
    lean = peer_agreement(votes, shares)[votes.people]
    leaning = np.bincount(votes.tasks * votes.n_labels + votes.labels, weights=lean, minlength=shares.size)
    return settle("majority", votes, shares, favour=shares + _TIE * leaning.reshape(shares.shape))


def peer_agreement(votes: Votes, shares: Floats) -> Floats:
    """How often the others on a task said the same as each person, (n_people,); 0.5 for who was always alone."""
    given = np.bincount(votes.tasks, minlength=votes.n_tasks)[votes.tasks]
    others = np.maximum(given - 1.0, 1.0)
    same = (shares[votes.tasks, votes.labels] * given - 1.0) / others
    compared = np.bincount(votes.people, weights=given > 1, minlength=votes.n_people)
    agreed = np.bincount(votes.people, weights=same * (given > 1), minlength=votes.n_people)
    rates: Floats = np.where(compared > 0, agreed / np.maximum(compared, 1.0), 0.5)
    return rates


def vote_shares(votes: Votes) -> Floats:
    """Each task's votes by label, summing to 1; rows of tasks without votes are 0. (n_tasks, k)."""
    cells = np.bincount(votes.tasks * votes.n_labels + votes.labels, minlength=votes.n_tasks * votes.n_labels)
    table = cells.reshape(votes.n_tasks, votes.n_labels).astype(np.float64)
    shares: Floats = table / np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    return shares
