"""The cases of a project, kept between turns; only those that changed are read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from feedback.project.changes import Changes
from feedback.project.recent_projects import RecentProjects
from feedback.store import CaseRow, Store


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases of a project at one moment."""

    by_task: Mapping[int, CaseRow] = field(default_factory=dict, repr=False)
    changes: Changes = field(default=Changes(), compare=False)  # tasks whose case changed
    newest: int = 0  # change number of the newest change


class CaseCache:
    """Keeps the cases of the projects used last. They always equal a fresh read of the store."""

    def __init__(self) -> None:
        self._kept = RecentProjects[Cases]()

    def read(self, store: Store, project: str) -> Cases:
        """Return the cases as they are now."""
        cases = _read_changed(store, project, self._kept.get(project) or Cases())
        self._kept.put(project, cases, size=len(cases.by_task))
        return cases


def _read_changed(store: Store, project: str, last: Cases) -> Cases:
    rows, newest, n_cases = store.cases.list_changed_cases(project, last.newest)
    if not rows and len(last.by_task) == n_cases and last.changes.revision:
        return last
    changed = {case.id for case in rows}  # a case may have got another task number
    others = {task: case for task, case in last.by_task.items() if case.id not in changed}
    by_task = {**others, **{case.task: case for case in rows}}
    if len(by_task) != n_cases:  # cases were erased
        return _read_changed(store, project, Cases())
    return Cases(
        by_task, last.changes.then((last.by_task.keys() - others.keys()) | {case.task for case in rows}), newest
    )
