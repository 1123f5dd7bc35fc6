"""Reopen tasks in Label Studio that need more votes, so that another person may answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.changes import Changes
from feedback.project.recent_projects import RecentProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.store import Store
from feedback.store.log import events
from feedback.store.repositories.event_queries import ProjectHeads
from feedback.training.consensus_labels import ConsensusLabels
from ml_backend.errors import LabelStudioError

_MAX_TASKS_PER_TURN = 200  # each is a request of about 0.1 s, and the next turn waits for them


@dataclass(frozen=True, slots=True)
class ReopenResult:
    """How many tasks were opened again, whether some are left for another turn, and what went wrong."""

    done: int
    left: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Checked:
    """Tasks that were found open, and at which state of the project."""

    snapshot: Changes
    heads: ProjectHeads
    open: dict[int, int]  # task -> the votes that it had then


class ReopenCache:
    """Keeps which tasks are open for another vote, so that a turn asks the store about changed tasks only."""

    def __init__(self) -> None:
        self._checked = RecentProjects[_Checked]()

    def reopen(
        self,
        store: Store,
        platform: LabellingPlatform,
        snapshot: ProjectSnapshot,
        labels: ConsensusLabels,
        *,
        may_write: Callable[[], bool],
        clock: Callable[[], float],
    ) -> ReopenResult:
        """Open the tasks that need more votes for one more person each, a number of them a turn; safe to repeat."""
        project, held = snapshot.project.id, snapshot.routes.held
        is_open = self._known_open(store, snapshot)
        due = [
            (task, votes)
            for task, votes in labels.needs_more_votes.items()
            if task not in held and is_open.get(task) != votes
        ]
        # Label Studio counts all answers: also ours, and those that no longer count
        annotators = store.annotations.count_annotators(project, [task for task, _votes in due])
        done, result, opened = 0, None, list[events.Event]()
        for task, votes in due:
            row, given = snapshot.tasks[task], max(votes, annotators.get(task, 0))
            if not row.is_labeled and row.overlap > given:
                is_open[task] = votes
                continue
            if done >= _MAX_TASKS_PER_TURN:
                result = ReopenResult(done, left=True)
                break
            if not may_write():
                break
            try:
                now = platform.reopen_task(project, task, given + 1)
            except LabelStudioError as error:
                result = ReopenResult(done, left=False, note=f"task {task} was not re-opened: {error}")
                break
            opened.append(events.event_from_task(now, "own", seen_s=clock()))
            done += 1
        if opened:  # together: after a kill before this, the next poll brings what it left out
            store.append(opened, want=None)
        return result or ReopenResult(done, left=False)

    def _known_open(self, store: Store, snapshot: ProjectSnapshot) -> dict[int, int]:
        """Return the tasks that were open at the last check and that no event has been about since."""
        project, heads = snapshot.project.id, store.events.get_heads(snapshot.project.id)
        kept = self._checked.get(project)
        moved = None if kept is None else snapshot.changes.since(kept.snapshot.revision)
        is_open: dict[int, int] = {}
        if kept is not None and moved is not None and kept.heads.own_marks == heads.own_marks:
            is_open = kept.open
            changes = store.events.list_changes(project, kept.heads.seq) if kept.heads.seq != heads.seq else None
            for task in moved if changes is None else moved | changes.tasks | changes.annotated:
                is_open.pop(task, None)
            if changes is not None and (changes.erased or changes.described):
                is_open = {}
        self._checked.put(project, _Checked(snapshot.changes, heads, is_open), size=len(is_open))
        return is_open
