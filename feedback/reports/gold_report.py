"""The list of gold tasks: how often each was answered, how often right, and which need a replacement."""

from __future__ import annotations

from typing import Any

from feedback.annotators.gold import load_gold_tasks, matches_gold
from feedback.policy import Policy
from feedback.reports.formatting import answer_text
from feedback.store import ProjectRow, Store


def gold_figures(store: Store, project: ProjectRow, policy: Policy) -> list[dict[str, Any]]:
    """Return each gold task as JSON, sorted by id; `state` is asked, retired, known by heart, or deleted.

    A calibration task has no gold answer, so `right` is None. If hardly anybody is right on a
    task, its gold answer may be wrong.
    """
    gold = load_gold_tasks(store, project.id)
    right: dict[int, list[bool]] = {task: [] for task in gold}
    for vote in store.votes.list_votes(project.id) if gold else ():
        if (entry := gold.get(vote.task)) and (entry.answer is None or vote.answer.kind == entry.answer.kind):
            right[vote.task].append(matches_gold(vote.answer, entry, tolerance=policy.gold.tolerance))
    existing = store.tasks.list_task_ids(project.id) if gold else set()
    return [
        {
            "task": task,
            "answer": None if entry.answer is None else answer_text(entry.answer.key),
            "answers": len(right[task]),
            "right": None if entry.answer is None else sum(right[task]),
            "state": _state(
                asked=entry.asked,
                exists=task in existing,
                worn_out=len(right[task]) >= policy.gold.retire_after,
            ),
        }
        for task, entry in sorted(gold.items())
    ]


def _state(*, asked: bool, exists: bool, worn_out: bool) -> str:
    if not exists:
        return "deleted"
    if not asked:
        return "retired"
    return "known by heart" if worn_out else "asked"
