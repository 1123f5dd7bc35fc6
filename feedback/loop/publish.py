"""Placing: what Label Studio is told at the end of a turn, so that the right people meet the right tasks next."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.loop.context import TurnContext
from feedback.loop.hide_tasks import hold_back
from feedback.loop.write_consensus import write_back
from feedback.project.snapshot import ProjectSnapshot
from feedback.queue.planner import load_served_window, plan_window
from feedback.routing.router import route
from feedback.store import Store
from feedback.store.log import events
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.dataset import Dataset
from feedback.training.model_cache import Committee, PredictionCache
from ml_backend.errors import LabelStudioError
from ml_backend.registry import Bundle

_REOPENED_AT_ONCE = 200  # tasks a turn: each is a request of about 0.1 s, and the queue waits for them


@dataclass(frozen=True, slots=True)
class Publisher:
    """Writes to one Label Studio; without one it decides all the same and writes nothing."""

    store: Store
    platform: LabellingPlatform | None
    prediction_cache: PredictionCache
    committee: Committee
    clock: Callable[[], float]

    def route(
        self,
        snapshot: ProjectSnapshot,
        consensus_labels: ConsensusLabels,
        champion: Bundle | None,
        away: Collection[int],
        under: TurnContext,
    ) -> ProjectSnapshot:
        """Decide who looks at what, and keep from the first tier what is not for it."""
        settled, now_s = frozenset(one.task for one in consensus_labels.settled), self.clock()
        routes = route(self.store, snapshot, settled, champion, self.prediction_cache, self.committee, now_s=now_s)
        snapshot = replace(snapshot, routes=replace(routes, held=routes.held | frozenset(away)))
        if self.platform is None or not snapshot.project.connected:
            return snapshot
        try:
            kept = hold_back(self.store, self.platform, snapshot, settled, may_write=under.may_write, now_s=now_s)
        except LabelStudioError as error:
            under.notes.append(f"not every task is where the routing wants it: {error}")
            return snapshot
        if kept.left:
            under.notes.append(f"{kept.left} tasks are not yet where the routing wants them")
        if (kept.left or kept.shown) and under.may_write():
            under.again()
        return snapshot

    def reopen(self, snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels, under: TurnContext) -> int:
        """Let another person answer what is not settled; k votes are reached one by one."""
        if self.platform is None or not snapshot.project.connected:
            return 0
        done = 0
        # Label Studio counts everybody's answers: also ours, and those that count no more
        there = self.store.annotations.count_annotators(snapshot.project.id, [*consensus_labels.needs_more_votes])
        for task_id, votes in consensus_labels.needs_more_votes.items():
            task = snapshot.tasks[task_id]
            if task_id in snapshot.routes.held:
                continue  # it is not for the first tier
            given = max(votes, there.get(task_id, 0))
            if not task.is_labeled and task.overlap > given:
                continue  # it is open already
            if done >= _REOPENED_AT_ONCE:
                under.again()
                break
            if not under.may_write():
                break
            try:
                now = self.platform.reopen_task(snapshot.project.id, task_id, given + 1)
                self.store.append([events.of_one_task(now, "own", seen_s=self.clock())], want=None)
            except LabelStudioError as error:
                under.notes.append(f"task {task_id} was not re-opened: {error}")
                break
            done += 1
        return done

    def write_back(
        self, snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels, finals: Collection[int], under: TurnContext
    ) -> None:
        """Bring what several people settled back to Label Studio, where the policy asks for it."""
        if self.platform is None or not snapshot.project.connected:
            return
        try:
            written = write_back(
                self.store, self.platform, snapshot, consensus_labels, but=finals, may_write=under.may_write
            )
        except LabelStudioError as error:
            under.notes.append(f"the consensus is written back later: {error}")
            return
        if written.left and written.done:
            under.again()

    def ask(
        self,
        snapshot: ProjectSnapshot,
        consensus_labels: ConsensusLabels,
        dataset: Dataset,
        champion: Bundle | None,
        under: TurnContext,
    ) -> tuple[str, str]:
        """Write the next window when the served one no longer does; finish one that a kill cut short.

        Gives why it was written ("" when the old one still serves), and the version that serves.
        """
        project, platform = snapshot.project.id, self.platform
        if platform is None or not snapshot.project.connected:
            return "", ""
        served = load_served_window(self.store, project)
        before = "", served.version if served else ""
        plan = plan_window(
            snapshot,
            consensus_labels,
            served,
            champion,
            self.prediction_cache,
            audit_rows=len(dataset.audit),
            now_s=self.clock(),
        )
        if plan is None:
            return before
        if not under.may_write():
            under.notes.append("the queue is not written: the project is paused, or another worker has it")
            return before
        self.store.windows.save_window(project, plan.rows)  # first here: a kill in the middle finds what it was writing
        head, rows = snapshot.policy.queue.head, len(plan.rows)
        try:
            given = platform.write_queue(
                project, plan.rows, snapshot.control, head=head, stop=lambda: not under.may_write()
            )
        except LabelStudioError as error:
            under.notes.append(f"the queue is not written: {error}")
            return before
        if given.rows < rows:
            under.notes.append(f"Label Studio holds {given.rows} of {rows} rows of {plan.version}")
        if given.complete:
            body = {"version": plan.version, "rows": rows, "held": given.rows, "why": plan.why, "at_s": self.clock()}
            self.store.records.create_record(project, "asked", body)
        return plan.why, plan.version
