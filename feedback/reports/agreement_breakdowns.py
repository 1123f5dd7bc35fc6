"""Where people differ: two by two, label by label, month by month, and by a field of the tasks."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from feedback.agreement import cohen
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.label_breakdown import per_group, per_label
from feedback.agreement.pairwise_kappa import pairwise
from feedback.store import Vote
from feedback.votes import Named, name_columns

_MOST_VOTES = 200_000  # beyond it the figures of everything together say it all, and this would double the time
_MOST_LABELS = 50
_MOST_SEGMENTS = 20  # those with most tasks


def pairs_of(named: Named) -> tuple[dict[str, Any], ...]:
    """Cohen's kappa of every two people who share five tasks or more, lowest upper bound first."""
    if not len(named.votes) or len(named.votes) > _MOST_VOTES:
        return ()
    matrix = pairwise(named.votes)
    names = [named.people[code] for code in matrix.people.tolist()]
    found = [
        {
            "workers": [one, names[j]],
            "kappa": round(float(matrix.kappa[i, j]), 6),
            "low": round(float(matrix.low[i, j]), 6),
            "high": round(float(matrix.high[i, j]), 6),
            "items": int(matrix.shared[i, j]),
        }
        for i, one in enumerate(names)
        for j in range(i + 1, len(names))
        if not math.isnan(matrix.kappa[i, j])
    ]
    return tuple(sorted(found, key=lambda pair: pair["high"]))


def labels_of(named: Named) -> dict[str, Coefficient]:
    """How well people tell each label from all others: Fleiss' kappa by label."""
    votes = named.votes
    if not 2 <= votes.n_labels <= _MOST_LABELS or len(votes) > _MOST_VOTES:
        return {}
    return {str(label): figure for label, figure in zip(named.labels, per_label(votes), strict=True)}


def groups_of(votes: Sequence[Vote], group: Mapping[int, Hashable]) -> dict[str, Coefficient]:
    """Cohen's kappa within each group of tasks, those with most tasks; tasks without a group are left out."""
    sizes: dict[Hashable, int] = {}
    for task in {vote.task for vote in votes}:
        if task in group:
            sizes[group[task]] = sizes.get(group[task], 0) + 1
    largest = sorted(sizes, key=lambda one: (-sizes[one], str(one)))[:_MOST_SEGMENTS]
    code = {one: place for place, one in enumerate(sorted(largest, key=str))}
    named = name_columns([v.task for v in votes], [v.person for v in votes], [v.answer.key for v in votes])
    places = [code.get(group.get(task), -1) for task in named.tasks]  # type: ignore[call-overload]
    figures = per_group(named.votes, np.array(places, dtype=np.int64), measure=cohen) if len(named.votes) else {}
    return {str(name): figures[place] for name, place in code.items() if place in figures}


def months_of(votes: Sequence[Vote]) -> dict[int, str]:
    """The month in which each task was last answered, by task: "2026-01"."""
    last: dict[int, float] = {}
    for vote in votes:
        last[vote.task] = max(vote.at_s, last.get(vote.task, vote.at_s))
    return {task: f"{datetime.fromtimestamp(at_s, UTC):%Y-%m}" for task, at_s in last.items()}
