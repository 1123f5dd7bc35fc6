"""Answers on audit tasks: they measure a model only where the person saw no prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from feedback.project.audit_splits import AUDIT_ROLES
from feedback.project.snapshot import ProjectSnapshot
from feedback.store import Store, Vote

_SAW = "saw a prediction, and an audit task counts blind answers only"
SAW_ANOTHER = "saw a prediction that is not ours, and an audit task counts blind answers only"
_RETRY_S = 86_400.0  # for a vote on a prediction that is not recorded yet


def find_seen_votes(
    store: Store, snapshot: ProjectSnapshot, votes: Mapping[int, tuple[Vote, ...]]
) -> dict[int, tuple[Vote, str]]:
    """Return those of these votes on audit tasks that a prediction was shown with, by annotation, with the reason."""
    roles, project = snapshot.roles, snapshot.project.id
    given = [vote for task, on_task in votes.items() if roles[task] in AUDIT_ROLES for vote in on_task]
    shown = {vote.shown: vote for vote in given if vote.shown is not None}
    rows = store.windows.list_shown_predictions(project, list(shown)) if shown else {}
    found: dict[int, tuple[Vote, str]] = {}
    for vote in given:
        row = rows.get(vote.shown) if vote.shown is not None else None
        if vote.shown is None or (row is not None and (row.blind or (row.answer is None and not row.imported))):
            continue  # nothing, or our own empty prediction
        found[vote.annotation] = (vote, _SAW if vote.shown in rows else SAW_ANOTHER)
    return found


def list_tasks_to_check_again(votes: Sequence[Vote]) -> frozenset[int]:
    """Return the tasks of the recent ones of these votes, whose predictions are not recorded.

    Ours may be recorded later: a kill can come between the write to Label Studio and the record.
    """
    newest_s = max((vote.at_s for vote in votes), default=0.0)
    return frozenset(vote.task for vote in votes if vote.at_s > newest_s - _RETRY_S)
