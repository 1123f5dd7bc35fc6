"""Majority: every vote weighs the same."""

from __future__ import annotations

import numpy as np

from feedback.consensus.record import Consensus, checked, settle
from feedback.votes import Floats, Votes


def majority(votes: Votes) -> Consensus:
    """The label with most votes; its probability is its share of the votes.

    A tie goes to the label that is more common overall: that is right more often than a coin, and never changes.

    >>> said = majority(Votes([0, 0, 0, 1, 1], [0, 1, 2, 0, 1], [1, 1, 0, 0, 1]))
    >>> said.labels, said.proba.round(2)[0]
    (array([1, 1]), array([0.33, 0.67]))
    """
    return settle("majority", votes, vote_shares(checked(votes)))


def vote_shares(votes: Votes) -> Floats:
    """Each task's votes by label, summing to 1; rows of tasks without votes are 0. (n_tasks, k)."""
    cells = np.bincount(votes.tasks * votes.n_labels + votes.labels, minlength=votes.n_tasks * votes.n_labels)
    table = cells.reshape(votes.n_tasks, votes.n_labels).astype(np.float64)
    shares: Floats = table / np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    return shares
