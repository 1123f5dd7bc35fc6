"""What becomes of answers that were imported with their tasks, in sentences for connect, status and pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from feedback.policy import Policy
from feedback.policy.schema import Imports
from feedback.project.incremental_caches import Changes
from feedback.project.snapshot import load_snapshot
from feedback.reports.formatting import close_direction
from feedback.store import Store
from feedback.training.dataset import DatasetCache
from feedback.training.imported_answers import GOLD_ASKED, count_imports
from ml_backend.labelstudio.changed_tasks import count_imported_answers
from ml_backend.labelstudio.client import Client
from ml_backend.number_format import format_count, format_counted

_COUNTED = 1_000  # answered tasks that a dry run looks at
# what becomes of the tasks, in the order in which it is told; `other` are those whose answers no model can learn
_FATES = {
    "train": "training rows",
    "audit": "audit tasks, from which no model learns",
    "gold": "gold tasks, which measure people",
    "answered": "answered by people as well, whose answers count instead",
    "other": "without one label of the control that leads",
}
_ASKED = {
    "none": "Nobody is asked these tasks",
    "audit": "People are asked the audit tasks among them",
    "all": "People are asked all of them, too",
}


def imported_json(imports: Imports, tasks: int, copied: int, fates: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how many tasks came with answers and what became of them (`count_imports`), as JSON; None where none did.

    `copied` are tasks with an annotation that somebody made of a prediction.
    """
    if not tasks and not copied:
        return None
    return {"use": imports.use, "ask": imports.ask, "copied": copied, **fates, "tasks": tasks}


def describe_imports(imported: Mapping[str, Any]) -> str:
    """Return in sentences what becomes of tasks that came with answers; `imported` is what `imported_json` returns.

    >>> describe_imports({"tasks": 60, "use": "ignore", "ask": "none"})
    '60 tasks came with answers, which are never votes. The policy ignores them. Nobody is asked these tasks.'
    >>> describe_imports({"tasks": 60, "use": "train", "ask": "none", "train": 42, "audit": 18}).split(". ")[1]
    'Training rows: 42; audit tasks, from which no model learns: 18'
    """
    n_tasks, lines = imported["tasks"], []
    if n_tasks:
        lines.append(f"{format_counted(n_tasks, 'task', 'tasks')} came with answers, which are never votes")
        known = {name: imported.get(name, 0) for name in _FATES}
        known["other"] += n_tasks - sum(known.values())  # of other controls, or unreadable
        fates = "; ".join(f"{fate}: {format_count(known[name])}" for name, fate in _FATES.items() if known[name])
        if why := imported.get("why"):
            fates += f" (most often: {close_direction(why)})"
        lines.append("The policy ignores them" if imported["use"] == "ignore" else fates[:1].upper() + fates[1:])
        asked = _ASKED[imported["ask"]]
        if imported["ask"] == "none" and (still := imported.get("open")):
            asked = f"{format_count(still)} of these tasks are still open in Label Studio, and asked as usual"
        if imported["use"] == "gold" and imported["ask"] != "all":
            asked = f"Everybody is asked up to {GOLD_ASKED} of the gold tasks"
        lines.append(asked)
    if copied := imported.get("copied"):
        lines.append(
            f"Tasks with predictions that somebody made annotations, which no model learns: {format_count(copied)}"
        )
    return "".join(f"{line}. " for line in lines).rstrip()


def describe_imports_at_connect(
    store: Store, client: Client, project: str, policy: Policy, *, dry_run: bool
) -> list[str]:
    """Return how many answers came with the tasks of a project, what becomes of them, and how to choose, in sentences.

    With `dry_run`, Label Studio is asked about the first 1,000 answered tasks, because the store may know none yet.
    """
    row = store.projects.get_project(project)
    counts = store.projects.count_project(project)
    if dry_run and not counts.tasks:
        n_tasks = count_imported_answers(client, project, most=_COUNTED)
        tasks = "tasks or more" if n_tasks >= _COUNTED else "tasks"
        found = (
            [f"{format_counted(n_tasks, 'task', tasks)} came with answers, which are never votes"] if n_tasks else []
        )
    elif row is not None and counts.imported + counts.copied:
        snapshot = load_snapshot(store, row, policy)
        fates = count_imports(snapshot, DatasetCache().build(snapshot, (), Changes()))
        imported = imported_json(policy.imports, counts.imported, counts.copied, fates) or {}
        found = [describe_imports(imported).rstrip(".")]
    else:
        return []
    use = f'their use is "{policy.imports.use}"; [imports] in hitl.toml can say "train", "gold" or "ignore"'
    judged = "models are judged by people alone: the first one waits for their answers to audit tasks"
    return [*found, use, *([judged] if policy.imports.use == "train" else [])] if found else []
