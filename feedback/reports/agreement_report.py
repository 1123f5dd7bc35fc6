"""Agreement of people on the tasks drawn for it: overall, by pair, label, month and field, and around a guideline."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from feedback.agreement import Coefficient, cohen_kappa, load_measure, percent_agreement
from feedback.agreement.cohen_kappa import pairwise_kappa
from feedback.agreement.interpretation import interpret_agreement, per_group_agreement, per_label_agreement
from feedback.project.guidelines import guideline_at, list_guidelines
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.formatting import answer_text
from feedback.stats.intervals import json_number
from feedback.store import Store, Vote
from feedback.votes import EncodedVotes, Votes, encode_votes
from ml_backend.errors import UnknownName

_LOG = logging.getLogger(__name__)
_MAX_VOTES = 200_000  # beyond it the overall figures are precise enough, and breakdowns would double the time
_MAX_LABELS = 50
_MAX_GROUPS = 20  # those with most tasks


def agreement_figures(store: Store, snapshot: ProjectSnapshot) -> dict[str, Any] | None:
    """Return percent agreement and Cohen's kappa with intervals; None where no drawn task has two votes.

    Only tasks drawn for several people count: tasks chosen because they are hard would make people look worse than
    they are. Two answers agree where they are equal; `hitl agree` measures regions and numbers by distance.

    Returns
    -------
    dict
        `reading` explains the policy's own measure (`overlap.measure`) in sentences, `clear` is its verdict,
        `confused_labels` are the two labels that people confuse most, `open_first` the tasks to look at, and
        `guideline` compares agreement before and after the last change of guideline.
    """
    named = drawn_votes(snapshot.votes, snapshot)
    votes = named.votes
    agreed = percent_agreement(votes) if len(votes) else None
    if agreed is None or not agreed.items:
        return None
    kappa = cohen_kappa(votes)
    name = snapshot.policy.overlap.measure
    figure = kappa if name == "cohen" else _measure_by_name(votes, name)
    reading = interpret_agreement(votes, [answer_text(str(label)) for label in named.labels], coefficient=figure)
    confused = reading.confused
    body = {
        "percent": agreed.to_json(),
        "kappa": kappa.to_json(),
        "reading": reading.text,
        "clear": reading.clear,
        "confused_labels": confused and {"answers": list(confused[:2]), "share": round(confused[2], 4)},
        "open_first": [named.tasks[code] for code in reading.open_first],
    }
    change = agreement_around_guideline_change(store, snapshot)
    return body | {"guideline": change} if change else body


def agreement_around_guideline_change(store: Store, snapshot: ProjectSnapshot) -> dict[str, Any] | None:
    """Return agreement before and after the last change of guideline (label config or instruction), or None.

    Each side uses only the votes given under its own guideline: a pair across the change would mix two guidelines.
    """
    history = list_guidelines(store, snapshot.project.id)
    if len(history) < 2:
        return None
    hashes = [guideline_at(history, vote.at_s) for vote in snapshot.votes]
    figures = {}
    for name, guideline in (("before", history[-2]), ("after", history[-1])):
        own = [vote for vote, used in zip(snapshot.votes, hashes, strict=True) if used == guideline.hash]
        votes = drawn_votes(own, snapshot).votes
        figures[name] = cohen_kappa(votes).to_json() if len(votes) else None
    return {"hash": history[-1].hash, "changed_s": history[-1].at_s, **figures}


def drawn_votes(votes: Sequence[Vote], snapshot: ProjectSnapshot) -> EncodedVotes:
    """Return the votes on tasks that were drawn at random for several people."""
    drawn = [vote for vote in votes if vote.task in snapshot.overlap_sample]
    return encode_votes(
        [vote.task for vote in drawn], [vote.person for vote in drawn], [vote.answer.key for vote in drawn]
    )


def agreement_by_pair(named: EncodedVotes) -> tuple[dict[str, Any], ...]:
    """Return Cohen's kappa of every two people who share five tasks or more, lowest upper bound first."""
    if not len(named.votes) or len(named.votes) > _MAX_VOTES:
        return ()
    pairs = [
        {
            "workers": [named.people[person], named.people[other]],
            "kappa": json_number(figure.value),
            "low": json_number(figure.low),
            "high": json_number(figure.high),
            "items": figure.items,
        }
        for (person, other), figure in pairwise_kappa(named.votes).items()
    ]
    return tuple(sorted(pairs, key=lambda pair: pair["high"]))


def agreement_by_label(named: EncodedVotes) -> dict[str, Coefficient]:
    """Return how well people tell each label from all others: Fleiss' kappa by label."""
    votes = named.votes
    if not 2 <= votes.n_labels <= _MAX_LABELS or len(votes) > _MAX_VOTES:
        return {}
    return {str(label): figure for label, figure in zip(named.labels, per_label_agreement(votes), strict=True)}


def agreement_by_group(votes: Sequence[Vote], group_of: Mapping[int, Hashable]) -> dict[str, Coefficient]:
    """Return Cohen's kappa within each group of tasks, for the groups with most tasks.

    `group_of` gives the group of a task id; tasks without a group are left out.
    """
    sizes: dict[Hashable, int] = {}
    for task in {vote.task for vote in votes}:
        if task in group_of:
            sizes[group_of[task]] = sizes.get(group_of[task], 0) + 1
    largest = sorted(sizes, key=lambda group: (-sizes[group], str(group)))[:_MAX_GROUPS]
    code_of = {group: code for code, group in enumerate(sorted(largest, key=str))}
    named = encode_votes([v.task for v in votes], [v.person for v in votes], [v.answer.key for v in votes])
    codes = [code_of.get(group_of.get(task), -1) for task in named.tasks]  # type: ignore[call-overload]
    if not len(named.votes):
        return {}
    figures = per_group_agreement(named.votes, np.array(codes, dtype=np.int64), measure=cohen_kappa)
    return {str(group): figures[code] for group, code in code_of.items() if code in figures}


def months_of_tasks(votes: Sequence[Vote]) -> dict[int, str]:
    """Return the month, such as "2026-01", in which each task was last answered, by task id."""
    last: dict[int, float] = {}
    for vote in votes:
        last[vote.task] = max(vote.at_s, last.get(vote.task, vote.at_s))
    return {task: f"{datetime.fromtimestamp(at_s, UTC):%Y-%m}" for task, at_s in last.items()}


def _measure_by_name(votes: Votes, name: str) -> Coefficient | None:
    """Return the policy's measure; None, which selects the default, where its package is not installed."""
    try:
        return load_measure(name)(votes)
    except UnknownName as error:
        _LOG.warning("%s", error)
        return None
