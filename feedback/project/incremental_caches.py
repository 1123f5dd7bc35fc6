"""What every cache of projects needs: the tasks that changed since it was made, and a bound over all projects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

Value = TypeVar("Value")

MOST_TASKS = 300_000  # of all projects but the one used last; a task takes about 2 kB in all caches of a worker

_REVISIONS = count(1)


@dataclass(frozen=True, slots=True)
class Changes:
    """The tasks that differ from an earlier revision of the same thing.

    A revision is a number that no other revision in this process has. Equal revisions have equal content.

    >>> first = Changes.everything()
    >>> second = first.then({7})
    >>> second.since(first.revision), second.since(second.revision), second.since(0)
    (frozenset({7}), frozenset(), None)
    """

    revision: int = 0  # 0: not kept by any cache
    base: int = 0  # the revision that `tasks` is relative to; 0: none, everything may differ
    tasks: frozenset[int] = frozenset()

    @classmethod
    def everything(cls) -> Changes:
        """Return a new revision after which every task may have changed."""
        return cls(next(_REVISIONS))

    def then(self, tasks: Iterable[int]) -> Changes:
        """Return the revision after this one, in which these tasks differ."""
        return Changes(next(_REVISIONS), self.revision, frozenset(tasks))

    def since(self, revision: int) -> frozenset[int] | None:
        """Return the tasks that may differ from an earlier revision; None where any task may."""
        if not revision or not self.revision:
            return None
        if revision == self.revision:
            return frozenset()
        return self.tasks if revision == self.base else None


def changed_since(*pairs: tuple[Changes, Changes]) -> frozenset[int] | None:
    """Return the tasks that may differ in any of several things since an earlier revision of each; None where any may.

    Each pair is (now, earlier).

    >>> first, other = Changes.everything(), Changes.everything()
    >>> changed_since((first.then({7}), first), (other, other)), changed_since((first, other))
    (frozenset({7}), None)
    """
    parts = [now.since(earlier.revision) for now, earlier in pairs]
    return None if None in parts else frozenset[int]().union(*(part for part in parts if part))


class RecentProjects(Generic[Value]):
    """Keeps one value a project; those of projects that were not used for long go first.

    >>> kept = RecentProjects[str](most=10)
    >>> for project in ("a", "b", "c"):
    ...     kept.put(project, project.upper(), size=6)
    >>> kept.get("a"), kept.get("b"), kept.get("c")
    (None, 'B', 'C')
    """

    def __init__(self, most: int = MOST_TASKS) -> None:
        self.most = most
        self._kept: dict[str, tuple[Value, int]] = {}  # the one used last is the last

    def __contains__(self, project: object) -> bool:
        return project in self._kept

    def get(self, project: str) -> Value | None:
        """Return the cached value of a project, and mark it as the last used."""
        found = self._kept.pop(project, None)
        if found is None:
            return None
        self._kept[project] = found
        return found[0]

    def put(self, project: str, value: Value, *, size: int) -> None:
        """Keep a value; the oldest ones go while all but this one have more than `most` in size."""
        self._kept.pop(project, None)
        self._kept[project] = (value, size)
        names, total = list(self._kept), 0
        for name in reversed(names[:-1]):
            total += self._kept[name][1]
            if total > self.most:
                del self._kept[name]

    def drop(self, project: str) -> None:
        """Forget a project."""
        self._kept.pop(project, None)
