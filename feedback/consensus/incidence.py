"""Who said what about which task, as a sparse matrix: one EM round is two sparse products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from feedback.errors import VotesError
from feedback.votes import Floats, Ints, Votes

_MOST_CELLS = 60_000_000  # half a gigabyte of error matrices
_SMALLEST = 1e-10  # a probability that no vote contradicts; log of 0 would silence all other votes


@dataclass(frozen=True, slots=True, eq=False)
class Incidence:
    """Sparse counts of votes, (n_tasks, n_people × k) with the column person × k + label, and its transpose."""

    by_task: csr_array
    by_said: csr_array
    n_people: int
    k: int

    @staticmethod
    def of(votes: Votes) -> Incidence:
        """Index the votes; a vote that stands twice counts twice.

        Raises VotesError where an error matrix per person would not fit into memory.
        """
        k, cells = votes.n_labels, votes.n_people * votes.n_labels**2
        if cells > _MOST_CELLS:
            raise VotesError(
                f"{votes.n_people} people × {k} labels squared are too many error rates.",
                hint="Use one_coin or weighted: they learn one figure per person.",
            )
        said = votes.people * k + votes.labels
        shape = (votes.n_tasks, votes.n_people * k)
        by_task = coo_array((np.ones(len(votes)), (votes.tasks, said)), shape=shape).tocsr()
        return Incidence(by_task, by_task.T.tocsr(), votes.n_people, k)

    def counts(self, proba: Floats) -> Floats:
        """Expected votes (n_people, k said, k true) if the tasks' labels are distributed as `proba`."""
        counts: Floats = (self.by_said @ proba).reshape(self.n_people, self.k, self.k)
        return counts

    def log_odds(self, errors: Floats) -> Floats:
        """Per task and true label, the log probability of all its votes; errors (n_people, k said, k true)."""
        log = np.log(np.maximum(errors, _SMALLEST)).reshape(self.n_people * self.k, self.k)
        odds: Floats = self.by_task @ log
        return odds


def normalised(log: Floats) -> tuple[Floats, float]:
    """Turn log weights (n, k) into probabilities, and give the sum of their log totals."""
    # log space: a product of hundreds of error rates underflows
    top = log.max(axis=1, keepdims=True)
    weights = np.exp(log - top)
    total = weights.sum(axis=1, keepdims=True)
    weights /= total
    return weights, float(top.sum() + np.log(total).sum())


def log_prior(prior: Floats) -> Floats:
    """The log of class shares (k,) or of one prior per task (n_tasks, k)."""
    logs: Floats = np.log(np.maximum(prior, _SMALLEST))
    return logs


def fixed(proba: Floats, known: Ints | None) -> Floats:
    """Put certainty where the answer is known: `known` (n_tasks,) holds labels, -1 elsewhere."""
    if known is None:
        return proba
    rows = np.flatnonzero(known >= 0)
    proba[rows] = 0.0
    proba[rows, known[rows]] = 1.0
    return proba
