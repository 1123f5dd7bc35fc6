"""Answers that were imported with their tasks: which of them are gold, which tasks are asked, and what became of all.

They are never votes, and measure neither agreement nor a model. The policy (`[imports]`) makes them training rows
(`feedback.training.dataset`), gold answers, or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from itertools import islice
from typing import Any

from feedback.annotators.gold import replace_imported_gold
from feedback.project.audit_splits import AUDIT_ROLES
from feedback.project.snapshot import ProjectSnapshot
from feedback.store import Store
from feedback.training.dataset import Dataset, majority, why_impossible, why_not_learned
from ml_backend.records import Answer

GOLD_ASKED = 100  # tasks that everybody gets: each is opened by a request, and more hardly measure a person better
_LOOKED_AT = 1_000  # tasks, for the reason why they give no row


def update_imported_gold(store: Store, snapshot: ProjectSnapshot) -> bool:
    """Bring the gold book up to date with the imported answers, as the policy wants it; return whether it changed."""
    wanted = _gold_answers(snapshot)
    known = {task: snapshot.book.get(task) for task in snapshot.imported_gold}
    if wanted == known:
        return False
    return replace_imported_gold(store, snapshot.project.id, wanted, snapshot.dedup_keys)


def list_asked_imports(snapshot: ProjectSnapshot) -> Set[int]:
    """Return the tasks with an imported answer that people shall answer: by the policy, and some of the gold tasks."""
    ask, roles = snapshot.policy.imports.ask, snapshot.roles
    if ask == "all":
        return snapshot.imports.keys()
    gold = [task for task in snapshot.gold if task in snapshot.imported_gold][:GOLD_ASKED]
    return {*gold, *(task for task in snapshot.imports if ask == "audit" and roles[task] in AUDIT_ROLES)}


def count_imports(snapshot: ProjectSnapshot, dataset: Dataset) -> dict[str, Any]:
    """Return how many tasks with an imported answer to our control became what: train, audit, gold, answered, other.

    `open` are those that Label Studio still asks, whatever became of them; `why` is a reason for `other`, "" for none.
    """
    if not snapshot.imports:
        return {}
    unanswered = snapshot.imports.keys() - snapshot.votes_by_task.keys()
    roles = Counter(snapshot.roles[task] for task in unanswered)
    counts = {"train": dataset.n_imported, "audit": sum(roles[role] for role in AUDIT_ROLES), "gold": roles["gold"]}
    if snapshot.policy.imports.use == "gold":  # before the next turn, the gold book may lack them
        counts |= {"audit": 0, "gold": len(unanswered & (_gold_answers(snapshot).keys() | snapshot.gold))}
    counts["answered"] = len(snapshot.imports) - len(unanswered)
    counts["other"] = len(snapshot.imports) - sum(counts.values())
    counts["open"] = sum(not snapshot.tasks[task].is_labeled for task in unanswered)
    return counts | {"why": _most_frequent_reason(snapshot, unanswered) if counts["other"] else ""}


def _gold_answers(snapshot: ProjectSnapshot) -> dict[int, Answer]:
    """Return the imported answers that the policy makes gold, by task: those that people could give as well.

    A task that `hitl gold` knows keeps the answer that somebody gave it there.
    """
    if snapshot.policy.imports.use != "gold":
        return {}
    control, theirs = snapshot.control, snapshot.book.keys() - snapshot.imported_gold
    found = ((task, majority(given)) for task, given in snapshot.imports.items() if task not in theirs)
    return {
        task: answer
        for task, answer in found
        if answer is not None and not why_impossible(answer, control, control.options_of(snapshot.tasks[task].data))
    }


def _most_frequent_reason(snapshot: ProjectSnapshot, tasks: Set[int]) -> str:
    """Return why most of the first tasks that give no row give none, in a few words."""
    control, found = snapshot.control, Counter[str]()
    for task in islice((task for task in tasks if snapshot.roles[task] == "train"), _LOOKED_AT):
        answer = majority(snapshot.imports[task])
        labels = control.options_of(snapshot.tasks[task].data)
        found["the answers of a task differ" if answer is None else why_not_learned(answer, labels)] += 1
    return next((reason for reason, _count in found.most_common() if reason), "")
