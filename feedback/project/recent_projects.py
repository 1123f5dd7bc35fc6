"""Values kept of the projects that were used last, within a bound over all projects."""

from __future__ import annotations

from typing import Generic, TypeVar

Value = TypeVar("Value")

MOST_TASKS = 300_000  # of all projects but the one used last; a task takes about 2 kB in all caches of a worker


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
