"""Answers that were imported with their tasks: which of them are gold, which tasks are asked, and what became of all.

They are never votes, and measure neither agreement nor a model. The policy (`[imports]`) makes them training rows
(`feedback.training.dataset`), gold answers, or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set

from feedback.annotators.gold import replace_imported_gold
from feedback.project.audit_splits import AUDIT_ROLES
from feedback.project.snapshot import ProjectSnapshot
from feedback.store import Store
from feedback.training.dataset import Dataset, majority

GOLD_ASKED = 100  # tasks that everybody gets: each is opened by a request, and more hardly measure a person better


def update_imported_gold(store: Store, snapshot: ProjectSnapshot) -> bool:
    """Bring the gold book up to date with the imported answers, as the policy wants it; return whether it changed."""
    wanted = {}
    if snapshot.policy.imports.use == "gold":
        theirs = snapshot.book.keys() - snapshot.imported_gold  # known by `hitl gold`
        found = ((task, majority(given)) for task, given in snapshot.imports.items() if task not in theirs)
        wanted = {task: answer for task, answer in found if answer is not None}
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


def count_imports(snapshot: ProjectSnapshot, dataset: Dataset) -> dict[str, int]:
    """Return how many tasks with an imported answer to our control became what: train, audit, gold, answered, other.

    `open` are those that Label Studio still asks, whatever became of them.
    """
    if not snapshot.imports:
        return {}
    unanswered = snapshot.imports.keys() - snapshot.votes_by_task.keys()
    all_gold = snapshot.policy.imports.use == "gold"  # before the next turn, the gold book may lack them
    roles = Counter("gold" if all_gold else snapshot.roles[task] for task in unanswered)
    counts = {"train": dataset.n_imported, "audit": sum(roles[role] for role in AUDIT_ROLES), "gold": roles["gold"]}
    counts["answered"] = len(snapshot.imports) - len(unanswered)
    counts["other"] = len(snapshot.imports) - sum(counts.values())
    return counts | {"open": sum(not snapshot.tasks[task].is_labeled for task in unanswered)}
