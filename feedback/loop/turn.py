"""The loop: collect what people said, settle it, learn, judge, promote, and ask the next question."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from functools import partial

from feedback.automation.thresholds import refresh_threshold_table
from feedback.consensus.label_aggregation import AggregationCache
from feedback.errors import NotConnected
from feedback.ingest.polling import poll_changes, update_project_description
from feedback.ingest.signals import match_waiting_signals
from feedback.jobs.lease import Held
from feedback.labelling_platform.interface import LabellingPlatform
from feedback.loop.context import Turn, TurnContext
from feedback.loop.publish import Publisher
from feedback.policy import Policy
from feedback.project.guidelines import note_guideline
from feedback.project.snapshot import ProjectSnapshot, as_of_first_answer, load_snapshot
from feedback.project.task_cache import TaskCache
from feedback.reports.agreement_report import report_agreement
from feedback.reports.annotator_report import report_annotators
from feedback.review.eligibility import EligibleVotes
from feedback.review.final_answers import apply_final_answers, load_final_answers
from feedback.review.indicator_ingest import ingest_indicators
from feedback.review.notifications import Post
from feedback.review.overrides import record_overrides
from feedback.review.review_stage import ReviewStage
from feedback.store import ProjectRow, Store
from feedback.training.challenger import challenge
from feedback.training.consensus_labels import ConsensusLabels, decide_labels, reweigh_with_model
from feedback.training.dataset import Dataset, build
from feedback.training.model_cache import ChampionCache, Committee, PredictionCache
from feedback.training.model_factory import ModelFactory, export_champion
from feedback.training.retrain_triggers import first_waits
from ml_backend.errors import LabelConfigError, LabelStudioError, NotTrained, UnknownName
from ml_backend.label_config import Control, LabelConfig, read_label_config
from ml_backend.registry import Bundle, Registry


class Loop:
    """One pass after another over one store; what it keeps between turns only saves time."""

    def __init__(
        self,
        store: Store,
        *,
        platform: LabellingPlatform | None,
        model_factory: ModelFactory,
        folder: Registry,
        policies: Callable[[ProjectRow], Policy],
        clock: Callable[[], float],
        post: Post | None = None,
    ) -> None:
        self._store = store
        self._platform = platform
        self._workshop = model_factory
        self._folder = folder
        self._policies = policies
        self._clock = clock
        self._review_stage = ReviewStage(store, platform, clock=clock, post=post)
        self._champions = ChampionCache(store.registry, model_factory.load)
        self._guesses = PredictionCache()
        self._roster = TaskCache()
        self._weighing = AggregationCache()
        committee = Committee(store.registry, model_factory.load)
        self._placing = Publisher(store, platform, self._guesses, committee, clock)

    def turn(self, project_id: str, *, held: Held | None = None, poll: bool = True) -> Turn:
        """Learn from what people said, then ask the next question. Safe to run twice, or to kill anywhere.

        `held` is the lease under which it runs: nothing is promoted or written once another worker has the project.
        """
        under = TurnContext(self._store, project_id, held, poll)
        self._store.ingest_inbox()
        collected = self._collect(under) if poll else 0
        project = self._store.projects.get_project(project_id)
        if project is None:
            raise NotConnected(f"project {project_id} is not known; nothing was ever received for it.")
        policy = self._policies(project)
        found = _control(project, policy, under)
        if found is None:
            turn = Turn(project_id, self._clock(), collected, 0, 0, 0, 0, "", "", "", "", tuple(under.notes))
        else:
            snapshot = load_snapshot(self._store, project, policy, *found, task_cache=self._roster)
            turn = self._learn_and_ask(snapshot, collected, under)
        self._store.records.create_record(project_id, "turn", asdict(turn))
        return turn

    def _learn_and_ask(self, snapshot: ProjectSnapshot, collected: int, under: TurnContext) -> Turn:
        admitted = self._review_stage.exclude_ineligible_votes(snapshot)
        snapshot = admitted.snapshot
        then = as_of_first_answer(self._store, snapshot)
        self._note_answers(then)
        reviewed = load_final_answers(self._store, snapshot)
        consensus_labels = apply_final_answers(decide_labels(snapshot, self._weighing), reviewed, snapshot)
        report_agreement(self._store, snapshot, now_s=self._clock())
        report_annotators(self._store, snapshot, now_s=self._clock())
        dataset = _dataset(then, consensus_labels)
        verdict, waits = self._learn(snapshot, dataset, reviewed.cases.keys(), under)
        champion = self._champion(under)
        match_waiting_signals(self._store, under.project, snapshot.policy)  # before the routing, which hears them
        snapshot = self._placing.route(snapshot, consensus_labels, champion, reviewed.withheld, under)
        snapshot = self._review(replace(admitted, snapshot=snapshot), consensus_labels, champion, under)
        if ingest_indicators(self._store, snapshot, refused=admitted.excluded.keys()):
            under.again()  # what is known now is read at the beginning of a turn
        reopened = self._placing.reopen(snapshot, consensus_labels, under)
        self._placing.write_back(snapshot, consensus_labels, reviewed.cases, under)
        asked, window = self._placing.ask(snapshot, consensus_labels, dataset, champion, under)
        refresh_threshold_table(
            self._store, snapshot, consensus_labels, model=champion.version if champion else "", now_s=self._clock()
        )
        return Turn(
            project=under.project,
            at_s=self._clock(),
            collected=collected,
            answers=len(snapshot.votes),
            trainable=sum(snapshot.roles[vote.task] == "train" for vote in snapshot.votes),
            settled=len(consensus_labels.settled),
            reopened=reopened,
            version=champion.version if champion else "",
            verdict=verdict,
            asked=asked,
            window=window,
            notes=tuple(under.notes),
            waits="" if champion else waits,
        )

    def _collect(self, under: TurnContext) -> int:
        """Bring in what webhooks missed; Label Studio being away stops the asking, not the learning."""
        if self._platform is None:
            return 0
        try:
            described = self._platform.describe_project(under.project)
            note_guideline(self._store, under.project, described, now_s=self._clock())
            apply_changes = update_project_description(self._store, under.project, described)
            return apply_changes + poll_changes(self._store, self._platform, under.project, now_s=self._clock())
        except LabelStudioError as error:
            under.notes.append(f"not collected: {error}")
            return 0

    def _note_answers(self, snapshot: ProjectSnapshot) -> None:
        """Record what was shown and what people said to it; a champion that cannot be loaded is told of later."""
        quiet = TurnContext(self._store, snapshot.project.id, None, poll=False)
        record_overrides(self._store, snapshot, self._champion(quiet), self._guesses)

    def _learn(
        self, snapshot: ProjectSnapshot, dataset: Dataset, finals: Collection[int], under: TurnContext
    ) -> tuple[str, str]:
        """Train, judge and promote where it is due; gives the verdict in words, or what the first model waits for."""
        try:
            recipe = self._workshop.recipe(snapshot.config, snapshot.control, snapshot.policy)
            work = under.held.work if under.held else None
            voter = partial(reweigh_with_model, snapshot, self._weighing, but=finals)
            verdict = challenge(
                self._store,
                self._champions,
                snapshot,
                dataset,
                recipe,
                reweigh_with_model=voter,
                now_s=self._clock(),
                work=work,
            )
        except (NotTrained, UnknownName) as error:
            under.notes.append(f"not trained: {error}")
            return "", ""
        finally:
            export_champion(self._store.registry, self._folder, under.project)
        if verdict is None:
            return "", first_waits(dataset, snapshot.policy)
        return f"{'promoted' if verdict.promote else 'kept'}: {verdict.challenger}: {verdict.reason}", ""

    def _review(
        self, admitted: EligibleVotes, consensus_labels: ConsensusLabels, champion: Bundle | None, under: TurnContext
    ) -> ProjectSnapshot:
        """Move what is under review: open, decide, watch the clocks, hand out, bring final answers back."""
        snapshot = admitted.snapshot

        def gather(room: str) -> None:
            if under.poll and self._platform is not None:
                poll_changes(self._store, self._platform, room, now_s=self._clock(), want=None)

        worked = self._review_stage.run(
            snapshot,
            consensus_labels,
            champion,
            self._guesses,
            eligible=admitted,
            sync_review_project=gather,
            may_write=under.may_write,
        )
        under.notes.extend(worked.notes)
        if (
            worked.more_to_do or worked.resolved or worked.opened
        ):  # final answers are learned from, new cases are held back
            under.again()
        return replace(snapshot, tasks={**snapshot.tasks, **worked.reopened}) if worked.reopened else snapshot

    def _champion(self, under: TurnContext) -> Bundle | None:
        champion = self._champions.get(under.project)
        if refused := self._champions.refused(under.project):
            instead = f"{champion.version}, the one before, serves" if champion else "none serves until one is trained"
            under.notes.append(f"the champion is not loaded: {refused} {instead}.")
        return champion


def _dataset(snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels) -> Dataset:
    data = {one.task: snapshot.data(one.task) for one in consensus_labels.settled if one.task in snapshot.tasks}
    return build(snapshot.control.name, snapshot.control.labels, consensus_labels.settled, data, snapshot.roles)


def _control(project: ProjectRow, policy: Policy, under: TurnContext) -> tuple[LabelConfig, Control] | None:
    """Find the control that the policy names, or the first that we can read."""
    try:
        config = read_label_config(project.label_config)
        return config, config.control(policy.model.control)
    except LabelConfigError as error:
        under.notes.append(str(error))
        return None
