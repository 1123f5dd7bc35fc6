"""Gold tasks as a list: how often each was answered, how often rightly, and which need a successor."""

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
    said: dict[int, list[bool]] = {task: [] for task in book}
    for vote in store.votes.list_votes(project.id) if book else ():
        if (known := book.get(vote.task)) and (known.answer is None or vote.answer.kind == known.answer.kind):
            said[vote.task].append(matches_gold(vote.answer, known, tolerance=policy.gold.tolerance))
    there = store.tasks.list_task_ids(project.id) if book else set()
    return [
        {
            "task": task,
            "answer": None if one.answer is None else answer_text(one.answer.key),
            "answers": len(said[task]),
            "right": None if one.answer is None else sum(said[task]),
            "state": _state(asked=one.asked, there=task in there, spent=len(said[task]) >= policy.gold.retire_after),
        }
        for task, one in sorted(book.items())
    ]


def _state(*, asked: bool, there: bool, spent: bool) -> str:
    if not there:
        return "deleted"
    if not asked:
        return "retired"
    return "known by heart" if spent else "asked"
