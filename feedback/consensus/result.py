"""What all votes on a task say together, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from feedback.errors import VotesError
from feedback.votes import Floats, Ints, Votes


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """One row a task. A task without votes has label -1 and the shares of the labels as its row."""

    method: str
    proba: Floats  # (n_tasks, k), rows sum to 1
    labels: Ints  # (n_tasks,) the likeliest label; -1 without votes
    support: Ints  # (n_tasks,) votes behind it
    errors: Floats | None = field(default=None)  # (n_people, k true, k said), where the method learns them
    prior: Floats | None = field(default=None)  # (k,) how common each label is, where the method learns it
    log_likelihood: float = float("nan")  # of the votes, where the method has a model of them

    @property
    def confidence(self) -> Floats:
        """The probability of the consensus label, (n_tasks,)."""
        return self.proba.max(axis=1) if self.proba.shape[1] else np.zeros(len(self.proba))


def settle(
    method: str,
    votes: Votes,
    proba: Floats,
    *,
    favour: Floats | None = None,
    errors: Floats | None = None,
    prior: Floats | None = None,
    log_likelihood: float = float("nan"),
) -> Consensus:
    """Pick each task's likeliest label, the first of equals; `favour` replaces the probabilities in the picking."""
    support = np.bincount(votes.tasks, minlength=votes.n_tasks)
    common = np.bincount(votes.labels, minlength=votes.n_labels) / max(len(votes), 1)
    rows = np.where(support[:, None] > 0, proba, common)
    labels = np.argmax(rows if favour is None else favour, axis=1)
    labels = np.where(support > 0, labels, -1)
    return Consensus(method, rows, labels, support, errors, prior, log_likelihood)


def checked(votes: Votes) -> Votes:
    """Refuse what no method can work with: raises VotesError on no votes at all."""
    if not len(votes):
        raise VotesError("there are no votes; wanted at least one row of task, person and label.")
    return votes
