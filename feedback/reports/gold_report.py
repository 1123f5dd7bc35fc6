"""The list of gold tasks: how often each was answered, how often right, and which need a replacement."""

from __future__ import annotations

from typing import Any

from feedback.annotators.gold import load_gold_tasks, matches_gold
from feedback.policy import Policy
from feedback.reports.formatting import answer_text
from feedback.store import ProjectRow, Store


def gold_figures(store: Store, project: ProjectRow, policy: Policy) -> list[dict[str, Any]]:
    """Each gold task as plain JSON, by id; `state` is asked, known by heart, retired or deleted.

    A calibration task has no answer, and nobody is right or wrong: `right` is None. A task that hardly anybody answers
    rightly may have a wrong answer in the book.
    """
    book = load_gold_tasks(store, project.id)
    right: dict[int, list[bool]] = {task: [] for task in book}
    for vote in store.votes.list_votes(project.id) if book else ():
        if (known := book.get(vote.task)) and (known.answer is None or vote.answer.kind == known.answer.kind):
            right[vote.task].append(matches_gold(vote.answer, known, tolerance=policy.gold.tolerance))
    existing = store.tasks.list_task_ids(project.id) if book else set()
    return [
        {
            "task": task,
            "answer": None if entry.answer is None else answer_text(entry.answer.key),
            "answers": len(right[task]),
            "right": None if entry.answer is None else sum(right[task]),
            "state": _state(
                asked=entry.asked, existing=task in existing, spent=len(right[task]) >= policy.gold.retire_after
            ),
        }
        for task, entry in sorted(book.items())
    ]


def _state(*, asked: bool, existing: bool, spent: bool) -> str:
    if not existing:
        return "deleted"
    if not asked:
        return "retired"
    return "known by heart" if spent else "asked"
