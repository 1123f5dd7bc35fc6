"""The differences between two snapshots of a project, so that caches are updated and not rebuilt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

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
        """Return a new revision of which nothing is known to be as before."""
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
