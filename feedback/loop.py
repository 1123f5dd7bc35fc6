"""The loop: collect what people said, settle it, learn, judge, promote, and ask the next question."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from feedback import events
from feedback.collecting import collect
from feedback.errors import NotConnected
from feedback.holding import hold_back
from feedback.jobs.lease import Held
from feedback.learning.asking import plan_window, read_asked
from feedback.learning.challenge import challenge
from feedback.learning.champion import Champions
from feedback.learning.committee import Committee
from feedback.learning.concluding import conclude
from feedback.learning.dataset import Dataset, build
from feedback.learning.guesses import Guesses
from feedback.learning.guidelines import note_guideline
from feedback.learning.opinions import Weighing
from feedback.learning.roster import Roster
from feedback.learning.scene import Scene, read_scene
from feedback.learning.settling import Settlement
from feedback.learning.workshop import Workshop, mirror
from feedback.policy import Policy
from feedback.reports.agreement import report_agreement
from feedback.reports.reliability import report_people
from feedback.review.admitting import Admitted
from feedback.review.desk import Desk
from feedback.review.finals import above, with_finals
from feedback.review.notices import Post
from feedback.review.reasons import note_answers
from feedback.review.rooms import Rooms
from feedback.routing import route
from feedback.store import ProjectRow, Store, WindowRow
from feedback.writing_back import write_back
from ml_backend.errors import ArtefactError, LabelConfigError, LabelStudioError, NotTrained, UnknownName
from ml_backend.label_config import Control, LabelConfig, read_label_config
from ml_backend.records import Annotation, Task
from ml_backend.registry import Bundle, Registry

_REOPENED_AT_ONCE = 200  # tasks a turn: each is a request of about 0.1 s, and the queue waits for them


class Platform(Protocol):
    """What the loop asks of Label Studio; wiring brings the real one, tests a fake."""

    def changed(self, project: str, since: str) -> Iterable[tuple[Task, Sequence[Annotation]]]:
        """Tasks that changed at or after `since` (ISO time; "" for all), each with its annotations."""
        ...

    def describe(self, project: str) -> Mapping[str, Any]:
        """The project as Label Studio holds it: at least title and label_config."""
        ...

    def ask(
        self, project: str, rows: Sequence[WindowRow], control: Control, *, head: int, stop: Callable[[], bool]
    ) -> Given:
        """Make these rows the queue, the first `head` at once; safe to repeat, ended early by `stop`."""
        ...

    def reopen(self, project: str, task: int, overlap: int) -> Task:
        """Let one more person answer a task."""
        ...

    def hide(self, project: str, task: int) -> Task:
        """Keep a task from everybody in the label stream."""
        ...

    def handed_out(self, project: str, tasks: Sequence[int]) -> list[int]:
        """Those of these tasks that the label stream may still hand out."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """How much of a window Label Studio holds after a write."""

    rows: int
    complete: bool  # False when the write was stopped, and must go on later


@dataclass(frozen=True, slots=True)
class Turn:
    """What one pass of the loop did."""

    project: str
    at_s: float
    collected: int  # events that no webhook had brought
    answers: int  # votes of people on our control
    trainable: int  # of these, on tasks that models may learn from
    settled: int
    reopened: int
    version: str  # the model that serves, "" before the first
    verdict: str  # what was said of a challenger, "" when none was due
    asked: str  # why a window was written, "" when the old one still serves
    window: str  # the window that is served
    notes: tuple[str, ...]


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
        self._rooms = rooms
        self._desk = Desk(store, rooms, clock=clock, post=post)
        self._workshop = workshop
        self._folder = folder
        self._policies = policies
        self._clock = clock
        self._champions = Champions(store.registry, workshop.load)
        self._committee = Committee(store.registry, workshop.load)
        self._guesses = Guesses()
        self._roster = Roster()
        self._weighing = Weighing()

    def turn(self, project_id: str, *, held: Held | None = None, poll: bool = True) -> Turn:
        """Learn from what people said, then ask the next question. Safe to run twice, or to kill anywhere.

        `held` is the lease under which it runs: nothing is promoted or written once another worker has the project.
        """
        notes: list[str] = []
        collected = self._collect(project_id, notes) if poll else 0
        project = self._store.project(project_id)
        if project is None:
            raise NotConnected(f"project {project_id} is not known; nothing was ever received for it.")
        policy = self._policies(project)
        found = _control(project, policy, notes)
        scene = read_scene(self._store, project, policy, *found, roster=self._roster) if found else None
        if scene is None:
            turn = self._idle(project_id, collected, notes)
        else:
            turn = self._learn_and_ask(scene, collected, notes, held, poll=poll)
        self._store.record(project_id, "turn", asdict(turn))
        return turn

    def _learn_and_ask(self, scene: Scene, collected: int, notes: list[str], held: Held | None, *, poll: bool) -> Turn:
        admitted = self._desk.admit(scene)
        scene = admitted.scene
        note_answers(self._store, scene, self._champion(scene.project.id, []), self._guesses)
        reviewed = above(self._store, scene)
        settlement = conclude(scene, self._weighing)
        settlement = with_finals(settlement, reviewed, scene)
        report_agreement(self._store, scene, now_s=self._clock())
        report_people(self._store, scene, now_s=self._clock())
        data = {task.id: task.data for task in scene.tasks.values()}
        dataset = build(scene.control.name, scene.control.labels, settlement.settled, data, scene.roles)
        verdict = self._learn(scene, dataset, notes, held)
        mirror(self._store.registry, self._folder, scene.project.id)
        champion = self._champion(scene.project.id, notes)
        scene = self._route(scene, settlement, champion, reviewed.away, notes, held)
        admitted = replace(admitted, scene=scene)
        scene = self._review(admitted, settlement, champion, notes, held, poll=poll)
        reopened = self._reopen(scene, settlement, notes, held)
        self._write_back(scene, settlement, reviewed.finals, notes, held)
        asked, window = self._ask(scene, settlement, dataset, champion, notes, held)
        return Turn(
            project=scene.project.id,
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
            notes=tuple(notes),
        )

    def _collect(self, project_id: str, notes: list[str]) -> int:
        """Bring in what webhooks missed; Label Studio being away stops the asking, not the learning."""
        if self._platform is None:
            return 0
        try:
            note_guideline(self._store, project_id, self._platform.describe(project_id), now_s=self._clock())
            return collect(self._store, self._platform, project_id, now_s=self._clock())
        except LabelStudioError as error:
            notes.append(f"not collected: {error}")
            return 0

    def _learn(self, scene: Scene, dataset: Dataset, notes: list[str], held: Held | None) -> str:
        try:
            recipe = self._workshop.recipe(scene.config, scene.control, scene.policy)
            work = held.work if held else None
            verdict = challenge(self._store, self._champions, scene, dataset, recipe, now_s=self._clock(), work=work)
        except (NotTrained, UnknownName) as error:
            notes.append(f"not trained: {error}")
            return ""
        if verdict is None:
            return ""
        return f"{'promoted' if verdict.promote else 'kept'}: {verdict.challenger}: {verdict.reason}"

    def _review(
        self,
        admitted: Admitted,
        settlement: Settlement,
        champion: Bundle | None,
        notes: list[str],
        held: Held | None,
        *,
        poll: bool,
    ) -> Scene:
        """Move what is under review: open, decide, watch the clocks, hand out, bring final answers back."""
        scene = admitted.scene
        project = scene.project.id

        def gather(room: str) -> None:
            if poll and self._platform is not None:
                collect(self._store, self._platform, room, now_s=self._clock(), want=None)

        worked = self._desk.turn(
            scene,
            settlement,
            champion,
            self._guesses,
            admitted=admitted,
            gather=gather,
            may_write=lambda: self._may_write(project, held),
        )
        notes += worked.notes
        if worked.left or worked.resolved or worked.opened:  # final answers are learned from, new cases are held back
            self._store.want(project, "turn")
        return replace(scene, tasks={**scene.tasks, **worked.reopened}) if worked.reopened else scene

    def _route(
        self,
        scene: Scene,
        settlement: Settlement,
        champion: Bundle | None,
        away: frozenset[int],
        notes: list[str],
        held: Held | None,
    ) -> Scene:
        """Decide who looks at what, and keep from the first tier what is not for it."""
        project, now_s = scene.project.id, self._clock()
        settled = frozenset(one.task for one in settlement.settled)
        routes = route(self._store, scene, settled, champion, self._guesses, self._committee, now_s=now_s)
        scene = replace(scene, routes=replace(routes, held=routes.held | away))
        if self._platform is None or not scene.project.connected:
            return scene
        try:
            kept = hold_back(
                self._store,
                self._platform,
                scene,
                settled,
                may_write=lambda: self._may_write(project, held),
                now_s=now_s,
            )
        except LabelStudioError as error:
            notes.append(f"not every task is where the routing wants it: {error}")
            return scene
        if kept.left:
            notes.append(f"{kept.left} tasks are not yet where the routing wants them")
        if (kept.left or kept.shown) and self._may_write(project, held):
            self._store.want(project, "turn")
        return scene

    def _reopen(self, scene: Scene, settlement: Settlement, notes: list[str], held: Held | None) -> int:
        """Let another person answer what is not settled; k votes are reached one by one."""
        if self._platform is None or not scene.project.connected:
            return 0
        done = 0
        # Label Studio counts everybody's answers: also ours, and those that count no more
        there = self._store.people_on(scene.project.id, [*settlement.wanting])
        for task_id, votes in settlement.wanting.items():
            task = scene.tasks[task_id]
            if task_id in scene.routes.held:
                continue  # it is not for the first tier
            given = max(votes, there.get(task_id, 0))
            if not task.is_labeled and task.overlap > given:
                continue  # it is open already
            if done >= _REOPENED_AT_ONCE:
                self._store.want(scene.project.id, "turn")
                break
            if not self._may_write(scene.project.id, held):
                break
            try:
                now = self._platform.reopen(scene.project.id, task_id, given + 1)
                self._store.append([events.of_one_task(now, "own", seen_s=self._clock())], want=None)
            except LabelStudioError as error:
                notes.append(f"task {task_id} was not re-opened: {error}")
                break
            done += 1
        return done

    def _write_back(
        self, scene: Scene, settlement: Settlement, finals: Collection[int], notes: list[str], held: Held | None
    ) -> None:
        """Bring what several people settled back to Label Studio, where the policy asks for it."""
        if self._rooms is None or not scene.project.connected:
            return
        project = scene.project.id
        try:
            written = write_back(
                self._store,
                self._rooms,
                scene,
                settlement,
                but=finals,
                may_write=lambda: self._may_write(project, held),
            )
        except LabelStudioError as error:
            notes.append(f"the consensus is written back later: {error}")
            return
        if written.left and written.done:
            self._store.want(project, "turn")

    def _ask(
        self,
        scene: Scene,
        settlement: Settlement,
        dataset: Dataset,
        champion: Bundle | None,
        notes: list[str],
        held: Held | None,
    ) -> tuple[str, str]:
        """Write the next window when the served one no longer does; finish one that a kill cut short."""
        project = scene.project.id
        if self._platform is None or not scene.project.connected:
            return "", ""
        served = read_asked(self._store, project)
        plan = plan_window(
            scene, settlement, served, champion, self._guesses, audit_rows=len(dataset.audit), now_s=self._clock()
        )
        if plan is None:
            return "", served.version if served else ""
        if not self._may_write(project, held):
            notes.append("the queue is not written: the project is paused, or another worker has it")
            return "", served.version if served else ""
        self._store.save_window(project, plan.rows)  # first here: a kill in the middle finds what it was writing
        head, rows = scene.policy.queue.head, len(plan.rows)
        try:
            given = self._platform.ask(
                project, plan.rows, scene.control, head=head, stop=lambda: not self._may_write(project, held)
            )
        except LabelStudioError as error:
            notes.append(f"the queue is not written: {error}")
            return "", served.version if served else ""
        if given.rows < rows:
            notes.append(f"Label Studio holds {given.rows} of {rows} rows of {plan.version}")
        if given.complete:
            body = {"version": plan.version, "rows": rows, "held": given.rows, "why": plan.why, "at_s": self._clock()}
            self._store.record(project, "asked", body)
        return plan.why, plan.version

    def _may_write(self, project: str, held: Held | None) -> bool:
        """Asked before every write: a pause, a disconnect or a lost lease stops the next one."""
        row = self._store.project(project)
        return row is not None and row.connected and not row.paused and (held is None or held.holds())

    def _champion(self, project: str, notes: list[str]) -> Bundle | None:
        try:
            return self._champions.get(project)
        except ArtefactError as error:
            notes.append(f"the champion is not loaded: {error}")
            return None

    def _idle(self, project: str, collected: int, notes: list[str]) -> Turn:
        """A turn of a project that cannot be learned yet: what was collected is kept, and the notes say why."""
        return Turn(project, self._clock(), collected, 0, 0, 0, 0, "", "", "", "", tuple(notes))


def _control(project: ProjectRow, policy: Policy, notes: list[str]) -> tuple[LabelConfig, Control] | None:
    """Find the control that the policy names, or the first that we can read."""
    try:
        config = read_label_config(project.label_config)
        return config, config.control(policy.model.control)
    except LabelConfigError as error:
        notes.append(str(error))
        return None
