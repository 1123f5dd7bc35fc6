"""What one turn works on: a project's tasks, roles and votes, read once from the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from feedback.learning.roles import Draws
from feedback.policy import Policy
from feedback.policy.schema import Overlap
from feedback.store import ProjectRow, Store, Vote
from ml_backend.label_config import Control, LabelConfig
from ml_backend.records import Task


@dataclass(frozen=True, slots=True)
class Scene:
    """A project at the start of a turn. Every mapping is by task id."""

    project: ProjectRow
    policy: Policy
    control: Control
    config_hash: str  # of the label config
    draws: Draws
    tasks: Mapping[int, Task] = field(repr=False)  # those that still exist
    units: Mapping[int, str] = field(repr=False)  # what the draws are made on
    roles: Mapping[int, str] = field(repr=False)  # "train", "tune", "judge" or "certify"
    votes: tuple[Vote, ...] = field(repr=False)  # people's latest answers to our control
    wanted: Mapping[int, int] = field(repr=False)  # votes, where more than one is wanted

    @property
    def audit(self) -> frozenset[int]:
        """Tasks of the audit stream."""
        return frozenset(task for task, role in self.roles.items() if role != "train")

    @property
    def doubled(self) -> frozenset[int]:
        """Tasks drawn at random for several blind votes: where agreement is measured."""
        share = self.policy.overlap.share
        return frozenset(task for task, unit in self.units.items() if self.draws.overlaps(unit, share))


def read_scene(store: Store, project: ProjectRow, policy: Policy, config: LabelConfig, control: Control) -> Scene:
    """Read a project; a few queries, whatever its size."""
    draws = project_draws(store, project, policy)
    tasks = {task.id: task for task in store.tasks(project.id)}
    units = {task.id: draws.unit(task.data) for task in tasks.values()}
    votes = tuple(vote for vote in store.votes(project.id) if vote.control == control.name and vote.task in tasks)
    doubled = policy.overlap if len({vote.person for vote in votes}) > 1 else None
    return Scene(
        project=project,
        policy=policy,
        control=control,
        config_hash=config.hash,
        draws=draws,
        tasks=tasks,
        units=units,
        roles={task: draws.role(unit) for task, unit in units.items()},
        votes=votes,
        wanted=_wanted(units, draws, max(1, project.overlap), doubled),
    )


def project_draws(store: Store, project: ProjectRow, policy: Policy) -> Draws:
    """The keyed draws of a project; its audit share was fixed when it was connected."""
    share = policy.audit.share if policy.audit.share is not None else float(project.options.get("audit_share", 0.1))
    return Draws(store.secret("draws"), project.id, share)


def _wanted(units: Mapping[int, str], draws: Draws, base: int, doubled: Overlap | None) -> dict[int, int]:
    """Votes that tasks want, where more than one. `doubled` is None while no second person is there to give them."""
    wanted = dict.fromkeys(units, base) if base > 1 else {}
    if doubled is not None:
        drawn = (task for task, unit in units.items() if draws.overlaps(unit, doubled.share))
        wanted.update(dict.fromkeys(drawn, max(base, doubled.votes)))
    return wanted
