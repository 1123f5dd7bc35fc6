"""The votes of people on each task, kept between turns; only tasks with changed annotations are read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from feedback.project.incremental_caches import Changes, RecentProjects
from feedback.project.task_cache import merged
from feedback.store import Store, Vote
from feedback.store.repositories.event_queries import ProjectHeads

_MANY = 5_000  # tasks with changed annotations above which reading all votes is quicker


class VoteTable(tuple[Vote, ...]):
    """Votes in the order of their tasks, also by task."""

    by_task: Mapping[int, tuple[Vote, ...]]

    @classmethod
    def of(cls, by_task: Mapping[int, tuple[Vote, ...]]) -> VoteTable:
        """Return the votes of these tasks, which are in order."""
        made = cls(chain.from_iterable(by_task.values()))
        made.by_task = by_task
        return made


def votes_by_task(votes: Iterable[Vote]) -> Mapping[int, tuple[Vote, ...]]:
    """Return votes by task; without cost for a `VoteTable`."""
    if isinstance(votes, VoteTable):
        return votes.by_task
    found: dict[int, list[Vote]] = {}
    for vote in votes:
        found.setdefault(vote.task, []).append(vote)
    return {task: tuple(given) for task, given in found.items()}


@dataclass(frozen=True, slots=True)
class TaskVotes:
    """The votes of each task, by task id in its order, with tasks that we do not know yet."""

    by_task: Mapping[int, tuple[Vote, ...]] = field(repr=False)
    changes: Changes = field(default=Changes(), compare=False)


@dataclass(frozen=True, slots=True)
class _Kept:
    heads: ProjectHeads
    source: tuple[str, tuple[int, ...]]  # control, and the bots of the project
    votes: TaskVotes = field(repr=False)
    task_of: dict[int, int] = field(repr=False)  # annotation -> the task that it voted on
    own: frozenset[int] = field(repr=False)  # annotations that are marked as ours


class VoteCache:
    """Keeps the votes of the projects read last, or their imported answers. They always equal a fresh read."""

    def __init__(self, *, imported: bool = False) -> None:
        self._kept, self._imported = RecentProjects[_Kept](), imported

    def read(
        self, store: Store, project: str, control: str, bots: tuple[int, ...], *, heads: ProjectHeads | None = None
    ) -> TaskVotes:
        """Return the votes on one control as they are now."""
        heads = heads or store.events.get_heads(project)
        kept = self._kept.get(project)
        source = (control, tuple(bots))
        if kept is None or kept.source != source or kept.heads.rebuilt != heads.rebuilt:
            kept = self._all(store, project, source, heads)
        elif (kept.heads.seq, kept.heads.own_marks) != (heads.seq, heads.own_marks):
            kept = self._updated(store, project, heads, kept)
        self._kept.put(project, kept, size=len(kept.votes.by_task))
        return kept.votes

    def _all(self, store: Store, project: str, source: tuple[str, tuple[int, ...]], heads: ProjectHeads) -> _Kept:
        read = store.votes.list_votes(project, control=source[0], imported=self._imported)
        own = store.events.list_own_annotations(project) if heads.own_marks else frozenset[int]()
        task_of = {vote.annotation: vote.task for vote in read}
        return _Kept(heads, source, TaskVotes(votes_by_task(read), Changes.everything()), task_of, own)

    def _updated(self, store: Store, project: str, heads: ProjectHeads, old: _Kept) -> _Kept:
        changes = store.events.list_changes(project, old.heads.seq)
        tasks = {*changes.tasks, *changes.annotated}
        tasks |= {old.task_of[number] for number in changes.annotations if number in old.task_of}
        own = old.own
        if heads.own_marks != old.heads.own_marks:
            own = store.events.list_own_annotations(project)
            tasks |= store.events.list_tasks_of(project, own ^ old.own)
        if changes.described or len(tasks) > _MANY:
            return self._all(store, project, old.source, heads)
        changed = sorted(tasks)
        read = store.votes.list_votes(project, control=old.source[0], tasks=changed, imported=self._imported)
        new, task_of = votes_by_task(read), old.task_of
        for task in changed:
            for vote in old.votes.by_task.get(task, ()):
                task_of.pop(vote.annotation, None)
        task_of.update((vote.annotation, vote.task) for vote in read)
        differ = [task for task in changed if old.votes.by_task.get(task) != new.get(task)]
        votes = old.votes
        if differ:
            votes = TaskVotes(merged(votes.by_task, {task: new[task] for task in differ if task in new}, differ))
            votes = TaskVotes(votes.by_task, old.votes.changes.then(differ))
        return _Kept(heads, old.source, votes, task_of, own)
