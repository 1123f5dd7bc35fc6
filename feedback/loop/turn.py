"""One pass of the loop: the table of its stages, and the reports that are made after it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from feedback.automation.thresholds import refresh_threshold_table
from feedback.ingest.left_out_records import record_left_out
from feedback.ingest.webhook_handler import TRAINING_ASKED
from feedback.jobs.worker import Held
from feedback.labelling_platform.interface import LabellingPlatform
from feedback.loop import stages
from feedback.loop.context import Services, Turn, TurnContext
from feedback.loop.hide_tasks import hide_tasks
from feedback.loop.reopen_tasks import reopen_tasks
from feedback.loop.write_consensus import write_consensus
from feedback.project.incremental_caches import RecentProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.agreement_report import agreement_figures
from feedback.reports.annotator_report import annotator_figures
from feedback.review.notifications import Post
from feedback.review.review_stage import ReviewStage
from feedback.store import Store
from feedback.training.dataset import count_not_learned
from feedback.training.imported_answers import count_imports
from feedback.training.model_cache import ChampionCache, Committee
from feedback.training.model_factory import ModelFactory
from ml_backend.left_out import collect_left_out, contained
from ml_backend.registry import Registry

_LOG = logging.getLogger(__name__)
_REPORT_EVERY_S = 86_400.0
_MIN_NEW_SHARE = 0.01  # of votes: the annotators of a large project are not measured again after every vote
_SLOW_S = 1.0  # slower turns are logged at the normal level

Stage = Callable[[TurnContext], TurnContext]

# In this order. What a stage reads was written by one before it, or in an earlier turn where its docstring says so.
STAGES: tuple[tuple[str, Stage], ...] = (
    ("collect changes", stages.collect_changes),
    ("load snapshot", stages.load_snapshot),
    ("record overrides", stages.record_overrides),
    ("aggregate votes", stages.aggregate_votes),
    ("train and judge", stages.train_and_judge),
    ("route tasks", stages.route_tasks),
    ("write queue", stages.write_queue),
    ("hide tasks", hide_tasks),
    ("review", stages.review),
    ("store indicators", stages.store_indicators),
    ("reopen tasks", reopen_tasks),
    ("write consensus", write_consensus),
)


class Loop:
    """Runs turns over one store. What it keeps between turns only saves time."""

    def __init__(
        self,
        store: Store,
        *,
        platform: LabellingPlatform | None,
        model_factory: ModelFactory,
        folder: Registry,
        clock: Callable[[], float],
        post: Post | None = None,
    ) -> None:
        self._services = Services(
            store=store,
            platform=platform,
            review=ReviewStage(store, platform, clock=clock, post=post),
            model_factory=model_factory,
            model_folder=folder,
            champions=ChampionCache(store.registry, model_factory.load),
            committee=Committee(store.registry, model_factory.load),
            clock=clock,
            started_s=clock(),
        )
        self._reported = RecentProjects[tuple[int, float]]()  # revision that a report was requested for last, and when
        self._counts = RecentProjects[tuple[tuple[int, int], dict[str, Any]]]()  # by revisions; see `_count`

    def turn(self, project_id: str, *, held: Held | None = None, poll: bool = True) -> Turn:
        """Run the stages of `STAGES` once. Safe to run twice, or to kill at any point.

        `held` is the lease under which it runs: nothing is promoted or written once another worker has the project.
        Reports are asked for as work of their own (`report`).
        """
        context = TurnContext(self._services, project_id, held, poll)
        requests = self._services.store.records.get_record_head(project_id, TRAINING_ASKED)
        seconds: dict[str, float] = {}
        with collect_left_out() as rows:
            for name, stage in STAGES:
                began_s = time.perf_counter()
                if held is not None:
                    held.enter(name)
                context = stage(context)
                seconds[name] = round(time.perf_counter() - began_s, 4)
                if name == "load snapshot" and context.eligible is None:
                    break  # its label config cannot be read
        left_out = record_left_out(self._services.store, project_id, rows)
        turn = _as_turn(context, seconds, self._count(context))
        turn = replace(turn, requests=requests, left_out=left_out)
        self._services.store.records.create_record(project_id, "turn", asdict(turn))
        if context.eligible is not None:
            self._request_report(context)
        _log_turn(turn)
        return turn

    def report(self, project_id: str, *, held: Held | None = None) -> None:
        """Record agreement, the annotators' figures and the threshold table; the turn does not wait for them."""
        with collect_left_out() as rows:
            self._report(project_id, held)
        record_left_out(self._services.store, project_id, rows)

    def _report(self, project_id: str, held: Held | None) -> None:
        context = TurnContext(self._services, project_id, held, poll=False)
        context = stages.load_snapshot(context)
        if context.eligible is None:
            return
        context = stages.aggregate_votes(context)
        store, snapshot, now_s = self._services.store, context.snapshot, self._services.clock()
        champion = self._services.champions.get(project_id)
        with contained("report", "the agreement"):
            record_agreement(store, snapshot, now_s=now_s)
        with contained("report", "the figures of people"):
            record_annotators(store, snapshot, now_s=now_s)
        with contained("report", "the thresholds"):
            model = champion.version if champion else ""
            refresh_threshold_table(store, snapshot, context.consensus_labels, model=model, now_s=now_s)

    def _count(self, context: TurnContext) -> dict[str, Any]:
        """Return the fields of a turn that count all answers; they are counted again when one changed."""
        if context.eligible is None or context.dataset is None:
            return {"trainable": 0}
        snapshot, dataset = context.snapshot, context.dataset
        revisions, kept = (snapshot.changes.revision, dataset.changes.revision), self._counts.get(context.project_id)
        if kept is None or kept[0] != revisions:
            rows = len(dataset.rows) - dataset.n_imported
            counts = {
                "trainable": snapshot.count_votes("train"),
                "rows": rows,
                "not_learned": count_not_learned(snapshot) if 2 * rows < len(snapshot.votes_by_task) else {},
                "imports": count_imports(snapshot, dataset),
            }
            kept = (revisions, counts)
            self._counts.put(context.project_id, kept, size=1)
        return kept[1]

    def _request_report(self, context: TurnContext) -> None:
        """Ask for reports where something changed, and once a day: the table of thresholds is refreshed daily."""
        project, revision, now_s = context.project_id, context.snapshot.changes.revision, self._services.clock()
        reported, at_s = self._reported.get(project) or (0, 0.0)
        if reported != revision or now_s - at_s >= _REPORT_EVERY_S:
            context.store.jobs.request_job(project, "report")
            self._reported.put(project, (revision, now_s), size=1)


def record_agreement(store: Store, snapshot: ProjectSnapshot, *, now_s: float) -> None:
    """Record agreement under the kind "agreement" when it changed."""
    body = agreement_figures(snapshot)
    if body is None:
        return
    last = store.records.get_latest_record(snapshot.project.id, "agreement")
    if last is None or {name: last.body.get(name) for name in body} != body:
        store.records.create_record(snapshot.project.id, "agreement", body | {"at_s": now_s})


def record_annotators(store: Store, snapshot: ProjectSnapshot, *, now_s: float) -> None:
    """Record the figures of all people under the kind "people" when votes, gold or policy changed."""
    last = store.records.get_latest_record(snapshot.project.id, "people")
    basis = {"votes": len(snapshot.votes), "gold": len(snapshot.gold), "policy": snapshot.policy.hash}
    if last is not None:
        change = abs(len(snapshot.votes) - last.body["votes"])
        same = all(last.body[name] == basis[name] for name in ("gold", "policy"))
        if same and change <= _MIN_NEW_SHARE * last.body["votes"]:
            return
    if snapshot.votes:
        body = basis | {"people": annotator_figures(store, snapshot), "at_s": now_s}
        store.records.create_record(snapshot.project.id, "people", body)


def _as_turn(context: TurnContext, seconds: dict[str, float], counts: dict[str, Any]) -> Turn:
    snapshot = context.eligible.snapshot if context.eligible is not None else None
    champion = context.champion
    return Turn(
        project=context.project_id,
        at_s=context.services.clock(),
        collected=context.collected,
        answers=len(snapshot.votes) if snapshot is not None else 0,
        settled=len(context.labels.settled) if context.labels is not None else 0,
        reopened=context.reopened,
        version=champion.version if champion else "",
        verdict=context.verdict,
        asked=context.asked,
        window=context.window,
        notes=context.notes,
        waits=context.waits,
        stages=seconds,
        **counts,
    )


def _log_turn(turn: Turn) -> None:
    if turn.verdict:
        _LOG.info("project %s: %s", turn.project, turn.verdict)
    total_s = sum(turn.stages.values())
    level = logging.INFO if total_s >= _SLOW_S else logging.DEBUG
    if _LOG.isEnabledFor(level):
        each = ", ".join(f"{name} {seconds:.3f}" for name, seconds in turn.stages.items())
        _LOG.log(level, "project %s: a turn of %.3f s: %s", turn.project, total_s, each)
