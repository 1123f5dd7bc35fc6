"""The state of each task's case, kept between turns; only the cases that changed are read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from feedback.project.recent_projects import RecentProjects
from feedback.store import Store


@dataclass(frozen=True, slots=True)
class CaseStates:
    """The states of a project's cases at one moment."""

    by_task: Mapping[int, str] = field(repr=False)
    changed: frozenset[int] | None = None  # cases that changed since the read before; None: any may have


@dataclass(frozen=True, slots=True)
class _Kept:
    newest: int
    task_of: Mapping[int, int] = field(repr=False)  # case -> task
    states: Mapping[int, str] = field(repr=False)


class CaseStateCache:
    """Keeps the case states of the projects used last. They are always what the store would give."""

    def __init__(self) -> None:
        self._kept = RecentProjects[_Kept]()

    def read(self, store: Store, project: str) -> CaseStates:
        """Return the states as they are now, and which cases changed since the last call."""
        last = self._kept.get(project)
        rows, newest, n_cases = store.cases.list_changed_cases(project, 0 if last is None else last.newest)
        changed = None if last is None else frozenset(case.id for case in rows)
        if last is None or rows or len(last.task_of) != n_cases:
            task_of, states = (dict(last.task_of), dict(last.states)) if last is not None else ({}, {})
            for case in rows:  # a case may have got another task number
                states.pop(task_of.get(case.id, case.task), None)
                task_of[case.id] = case.task
            states.update((case.task, case.state) for case in rows)
            if len(task_of) != n_cases:  # cases were erased
                rows, newest, _count = store.cases.list_changed_cases(project, 0)
                task_of = {case.id: case.task for case in rows}
                states, changed = {case.task: case.state for case in rows}, None
            last = _Kept(newest, task_of, states)
        self._kept.put(project, last, size=len(last.states))
        return CaseStates(last.states, changed)
