"""The loop: collect what people said, settle it, learn, judge, promote, and ask the next question."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from functools import partial

from feedback.automation.thresholds import keep_weighed
from feedback.consensus.label_aggregation import Weighing
from feedback.errors import NotConnected
from feedback.ingest.external_ids import join
from feedback.ingest.polling import collect, take_in
from feedback.jobs.lease import Held
from feedback.labelling_platform.interface import Platform, Rooms
from feedback.loop.context import Turn, UnderWay
from feedback.loop.publish import Placing
from feedback.policy import Policy
from feedback.project.guidelines import note_guideline
from feedback.project.snapshot import Scene, as_decided, read_scene
from feedback.project.task_cache import Roster
from feedback.reports.agreement_report import report_agreement
from feedback.reports.annotator_report import report_people
from feedback.review.eligibility import Admitted
from feedback.review.final_answers import above, with_finals
from feedback.review.indicator_ingest import remember
from feedback.review.notifications import Post
from feedback.review.overrides import note_answers
from feedback.review.review_round import Desk
from feedback.store import ProjectRow, Store
from feedback.training.challenger import challenge
from feedback.training.champion_cache import Champions
from feedback.training.committee import Committee
from feedback.training.consensus_labels import conclude, hear
from feedback.training.dataset import Dataset, build
from feedback.training.label_decisions import Settlement
from feedback.training.model_factory import Workshop, mirror
from feedback.training.prediction_cache import Guesses
from feedback.training.triggers import first_waits
from ml_backend.errors import LabelConfigError, LabelStudioError, NotTrained, UnknownName
from ml_backend.label_config import Control, LabelConfig, read_label_config
from ml_backend.registry import Bundle, Registry


class Loop:
    """One pass after another over one store; what it keeps between turns only saves time."""

    def __init__(
        self,
        store: Store,
        *,
        platform: Platform | None,
        workshop: Workshop,
        folder: Registry,
        policies: Callable[[ProjectRow], Policy],
        clock: Callable[[], float],
        rooms: Rooms | None = None,
        post: Post | None = None,
    ) -> None:
        self._store = store
        self._platform = platform
        self._workshop = workshop
        self._folder = folder
        self._policies = policies
        self._clock = clock
        self._desk = Desk(store, rooms, clock=clock, post=post)
        self._champions = Champions(store.registry, workshop.load)
        self._guesses = Guesses()
        self._roster = Roster()
        self._weighing = Weighing()
        committee = Committee(store.registry, workshop.load)
        self._placing = Placing(store, platform, rooms, self._guesses, committee, clock)

    def turn(self, project_id: str, *, held: Held | None = None, poll: bool = True) -> Turn:
        """Learn from what people said, then ask the next question. Safe to run twice, or to kill anywhere.

        `held` is the lease under which it runs: nothing is promoted or written once another worker has the project.
        """
        under = UnderWay(self._store, project_id, held, poll)
        self._store.take_in()
        collected = self._collect(under) if poll else 0
        project = self._store.project(project_id)
        if project is None:
            raise NotConnected(f"project {project_id} is not known; nothing was ever received for it.")
        policy = self._policies(project)
        found = _control(project, policy, under)
        if found is None:
            turn = Turn(project_id, self._clock(), collected, 0, 0, 0, 0, "", "", "", "", tuple(under.notes))
        else:
            scene = read_scene(self._store, project, policy, *found, roster=self._roster)
            turn = self._learn_and_ask(scene, collected, under)
        self._store.record(project_id, "turn", asdict(turn))
        return turn

    def _learn_and_ask(self, scene: Scene, collected: int, under: UnderWay) -> Turn:
        admitted = self._desk.admit(scene)
        scene = admitted.scene
        then = as_decided(self._store, scene)
        self._note_answers(then)
        reviewed = above(self._store, scene)
        settlement = with_finals(conclude(scene, self._weighing), reviewed, scene)
        report_agreement(self._store, scene, now_s=self._clock())
        report_people(self._store, scene, now_s=self._clock())
        dataset = _dataset(then, settlement)
        verdict, waits = self._learn(scene, dataset, reviewed.finals.keys(), under)
        champion = self._champion(under)
        join(self._store, under.project, scene.policy)  # before the routing, which hears them
        scene = self._placing.route(scene, settlement, champion, reviewed.away, under)
        scene = self._review(replace(admitted, scene=scene), settlement, champion, under)
        if remember(self._store, scene, refused=admitted.refused.keys()):
            under.again()  # what is known now is read at the beginning of a turn
        reopened = self._placing.reopen(scene, settlement, under)
        self._placing.write_back(scene, settlement, reviewed.finals, under)
        asked, window = self._placing.ask(scene, settlement, dataset, champion, under)
        keep_weighed(self._store, scene, settlement, model=champion.version if champion else "", now_s=self._clock())
        return Turn(
            project=under.project,
            at_s=self._clock(),
            collected=collected,
            answers=len(scene.votes),
            trainable=sum(scene.roles[vote.task] == "train" for vote in scene.votes),
            settled=len(settlement.settled),
            reopened=reopened,
            version=champion.version if champion else "",
            verdict=verdict,
            asked=asked,
            window=window,
            notes=tuple(under.notes),
            waits="" if champion else waits,
        )

    def _collect(self, under: UnderWay) -> int:
        """Bring in what webhooks missed; Label Studio being away stops the asking, not the learning."""
        if self._platform is None:
            return 0
        try:
            described = self._platform.describe(under.project)
            note_guideline(self._store, under.project, described, now_s=self._clock())
            renewed = take_in(self._store, under.project, described)
            return renewed + collect(self._store, self._platform, under.project, now_s=self._clock())
        except LabelStudioError as error:
            under.notes.append(f"not collected: {error}")
            return 0

    def _note_answers(self, scene: Scene) -> None:
        """Record what was shown and what people said to it; a champion that cannot be loaded is told of later."""
        quiet = UnderWay(self._store, scene.project.id, None, poll=False)
        note_answers(self._store, scene, self._champion(quiet), self._guesses)

    def _learn(self, scene: Scene, dataset: Dataset, finals: Collection[int], under: UnderWay) -> tuple[str, str]:
        """Train, judge and promote where it is due; gives the verdict in words, or what the first model waits for."""
        try:
            recipe = self._workshop.recipe(scene.config, scene.control, scene.policy)
            work = under.held.work if under.held else None
            voter = partial(hear, scene, self._weighing, but=finals)
            verdict = challenge(
                self._store, self._champions, scene, dataset, recipe, hear=voter, now_s=self._clock(), work=work
            )
        except (NotTrained, UnknownName) as error:
            under.notes.append(f"not trained: {error}")
            return "", ""
        finally:
            mirror(self._store.registry, self._folder, under.project)
        if verdict is None:
            return "", first_waits(dataset, scene.policy)
        return f"{'promoted' if verdict.promote else 'kept'}: {verdict.challenger}: {verdict.reason}", ""

    def _review(self, admitted: Admitted, settlement: Settlement, champion: Bundle | None, under: UnderWay) -> Scene:
        """Move what is under review: open, decide, watch the clocks, hand out, bring final answers back."""
        scene = admitted.scene

        def gather(room: str) -> None:
            if under.poll and self._platform is not None:
                collect(self._store, self._platform, room, now_s=self._clock(), want=None)

        worked = self._desk.turn(
            scene,
            settlement,
            champion,
            self._guesses,
            admitted=admitted,
            gather=gather,
            may_write=under.may_write,
        )
        under.notes.extend(worked.notes)
        if worked.left or worked.resolved or worked.opened:  # final answers are learned from, new cases are held back
            under.again()
        return replace(scene, tasks={**scene.tasks, **worked.reopened}) if worked.reopened else scene

    def _champion(self, under: UnderWay) -> Bundle | None:
        champion = self._champions.get(under.project)
        if refused := self._champions.refused(under.project):
            instead = f"{champion.version}, the one before, serves" if champion else "none serves until one is trained"
            under.notes.append(f"the champion is not loaded: {refused} {instead}.")
        return champion


def _dataset(scene: Scene, settlement: Settlement) -> Dataset:
    data = {one.task: scene.data(one.task) for one in settlement.settled if one.task in scene.tasks}
    return build(scene.control.name, scene.control.labels, settlement.settled, data, scene.roles)


def _control(project: ProjectRow, policy: Policy, under: UnderWay) -> tuple[LabelConfig, Control] | None:
    """Find the control that the policy names, or the first that we can read."""
    try:
        config = read_label_config(project.label_config)
        return config, config.control(policy.model.control)
    except LabelConfigError as error:
        under.notes.append(str(error))
        return None
