"""Votes as three columns of integer codes: task, person, label."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feedback.errors import VotesError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# types of answers that are right or wrong; of all other types, answers are nearer or farther
LABEL_KINDS = ("choices", "pairwise", "taxonomy", "rating")


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Votes:
    """Votes, one row each; tasks, people and labels are codes from 0 up. A missing vote is a missing row.

    Columns are checked here, once; measures of agreement and methods of consensus trust them.

    Parameters
    ----------
    tasks, people, labels : arrays of shape (n,)
        Integer codes. `encode_votes` makes them from names.
    n_tasks, n_people, n_labels : int, optional
        Numbers of codes, also of those without votes; the largest code plus 1 by default.
    times : array of shape (n_tasks,), optional
        How many tasks with equal votes each task stands for; 1 by default. Measures of agreement do not know it.

    Raises
    ------
    VotesError
        If lengths differ, a column does not hold integers of 0 or more, or a code is not below its number.

    Examples
    --------
    >>> Votes([0, 0, 1], [0, 1, 0], [1, 1, 0]).n_labels
    2
    """

    tasks: Ints  # (n,)
    people: Ints  # (n,)
    labels: Ints  # (n,)
    n_tasks: int
    n_people: int
    n_labels: int
    times: Floats  # (n_tasks,)

    def __init__(
        self,
        tasks: ArrayLike,
        people: ArrayLike,
        labels: ArrayLike,
        n_tasks: int | None = None,
        n_people: int | None = None,
        n_labels: int | None = None,
        times: Floats | None = None,
    ) -> None:
        columns = {"tasks": (tasks, n_tasks), "people": (people, n_people), "labels": (labels, n_labels)}
        size: int | None = None
        for name, (values, n_codes) in columns.items():
            column, count = _check_codes(name, values, n_codes)
            if size is not None and len(column) != size:
                raise VotesError(f"{name} has {len(column)} rows, tasks has {size}; wanted one row per vote.")
            size = len(column)
            object.__setattr__(self, name, column)
            object.__setattr__(self, f"n_{name}", count)
        object.__setattr__(self, "times", np.ones(self.n_tasks) if times is None else times)

    def __len__(self) -> int:
        return len(self.tasks)

    @property
    def weights(self) -> Floats:
        """Return how many votes each row stands for, (n,)."""
        return self.times[self.tasks]

    @property
    def columns(self) -> tuple[Ints, Ints, Ints]:
        """Return tasks, people and labels."""
        return self.tasks, self.people, self.labels

    def select(self, keep: NDArray[np.bool_] | Ints) -> Votes:
        """Return the votes that a mask (n,) or row numbers select; codes and their numbers stay the same."""
        columns = self.tasks[keep], self.people[keep], self.labels[keep]
        return Votes(*columns, self.n_tasks, self.n_people, self.n_labels, self.times)

    def in_order(self) -> Votes:
        """Return the votes sorted by task, person and label, so that random draws do not depend on the order of rows.

        Examples
        --------
        >>> Votes([1, 0, 0], [0, 1, 0], [1, 1, 0]).in_order().people
        array([0, 1, 0])
        """
        cell = self.people * self.n_labels + self.labels
        step, ahead = np.diff(self.tasks), np.diff(cell)
        if not ((step < 0) | ((step == 0) & (ahead < 0))).any():
            return self
        return self.select(np.lexsort((cell, self.tasks)))

    def latest(self) -> Votes:
        """Return one vote per task and person: the last row of each pair.

        Examples
        --------
        >>> Votes([0, 0], [3, 3], [0, 1]).latest().labels
        array([1])
        """
        pair = self.tasks * self.n_people + self.people
        last = np.full(len(pair), fill_value=False)
        last[len(pair) - 1 - np.unique(pair[::-1], return_index=True)[1]] = True
        return self if last.all() else self.select(last)


@dataclass(frozen=True, slots=True)
class EncodedVotes:
    """Votes, and the names of their codes."""

    votes: Votes
    tasks: tuple[Hashable, ...]
    people: tuple[Hashable, ...]
    labels: tuple[Hashable, ...]


def encode_votes(tasks: Sequence[Any], people: Sequence[Any], labels: Sequence[Any]) -> EncodedVotes:
    """Replace names by codes, in three columns of equal length.

    Names are sorted, numbers before texts, so the order of the rows does not change the codes.

    Examples
    --------
    >>> encode_votes(["t1", "t1"], ["ann", "bob"], ["spam", "ham"]).labels
    ('ham', 'spam')
    """
    (task_names, task_codes), (person_names, person_codes) = _encode(tasks), _encode(people)
    label_names, label_codes = _encode(labels)
    votes = Votes(task_codes, person_codes, label_codes, len(task_names), len(person_names), len(label_names))
    return EncodedVotes(votes, task_names, person_names, label_names)


class VoteLike(Protocol):
    """A vote as aggregation needs it: the latest answer of one person to one task."""

    @property
    def task(self) -> int:
        """Return Label Studio's task id."""
        ...

    @property
    def person(self) -> int:
        """Return Label Studio's user id."""
        ...

    @property
    def answer(self) -> Any:
        """Return the latest answer of this person."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class VoteColumns:
    """Votes as columns in which those of changed tasks are replaced without a look at the others.

    >>> from types import SimpleNamespace as Vote
    >>> first = VoteColumns.build([Vote(task=7, person=1, answer="a"), Vote(task=9, person=1, answer="b")])
    >>> first.replace_tasks([7], [Vote(task=7, person=1, answer="b")]).encode().labels
    ('b',)
    """

    tasks: Ints  # (n,) task ids, ascending
    people: Ints  # (n,) codes; the people of a task are in order
    answers: Ints  # (n,) codes
    person_codes: dict[Hashable, int]  # these two grow and are shared by all columns that come of the same ones
    answer_codes: dict[Hashable, int]

    @staticmethod
    def build(votes: Iterable[VoteLike]) -> VoteColumns:
        """Return the columns of these votes, which may be in any order."""
        none = np.zeros(0, dtype=np.int64)
        return VoteColumns(none, none, none, {}, {}).replace_tasks((), votes)

    def replace_tasks(self, tasks: Collection[int], votes: Iterable[VoteLike]) -> VoteColumns:
        """Return the columns with these votes in place of all votes on `tasks`."""
        given = list(votes)
        task = np.array([vote.task for vote in given], dtype=np.int64)
        people = [vote.person for vote in given]
        order = np.lexsort((np.array(people, dtype=np.int64), task))
        person, answer = _code(people, self.person_codes), _code([vote.answer for vote in given], self.answer_codes)
        keep = ~np.isin(self.tasks, np.array([*tasks], dtype=np.int64))
        at = np.searchsorted(self.tasks[keep], task[order])
        columns = (self.tasks, task), (self.people, person), (self.answers, answer)
        merged = [np.insert(old[keep], at, new[order]) for old, new in columns]
        return VoteColumns(merged[0], merged[1], merged[2], self.person_codes, self.answer_codes)

    def equals(self, other: VoteColumns) -> bool:
        """Return whether both have the same votes."""
        mine, theirs = self.encode(), other.encode()
        columns = zip(mine.votes.columns, theirs.votes.columns, strict=True)
        same_names = (mine.tasks, mine.people, mine.labels) == (theirs.tasks, theirs.people, theirs.labels)
        return same_names and all(np.array_equal(own, other) for own, other in columns)

    def encode(self) -> EncodedVotes:
        """Return what `encode_votes` returns for these votes."""
        starts = np.diff(self.tasks, prepend=self.tasks[:1] - 1) != 0
        task_names = tuple(self.tasks[starts].tolist())
        (person_names, people), (answer_names, answers) = (
            _sorted_codes(self.people, self.person_codes),
            _sorted_codes(self.answers, self.answer_codes),
        )
        sizes = len(task_names), len(person_names), len(answer_names)
        votes = Votes(np.cumsum(starts) - 1, people, answers, *sizes)
        return EncodedVotes(votes, task_names, person_names, answer_names)


def _encode(column: Sequence[Any]) -> tuple[tuple[Hashable, ...], Ints]:
    codes = dict[Hashable, int]()
    return _sorted_codes(_code(column, codes), codes)


def _code(column: Sequence[Any], codes: dict[Hashable, int]) -> Ints:
    """Return the code of each value; values that have none get the next ones."""
    # by identity first: votes share their answers, and hashing an answer takes longer than all the rest
    numbers = list(map(id, column))
    objects = dict(zip(numbers, column, strict=True))
    code_of_object = {number: codes.setdefault(name, len(codes)) for number, name in objects.items()}
    return np.fromiter(map(code_of_object.__getitem__, numbers), dtype=np.int64, count=len(column))


def _sorted_codes(column: Ints, codes: Mapping[Hashable, int]) -> tuple[tuple[Hashable, ...], Ints]:
    """Return the names that occur, sorted, and the column with their places as codes."""
    occurs = np.bincount(column, minlength=len(codes)) > 0
    distinct = [name for name, code in codes.items() if occurs[code]]
    names = sorted(distinct) if set(map(type, distinct)) == {int} else sorted(distinct, key=_sort_key)  # type: ignore[type-var]
    place = np.zeros(len(codes), dtype=np.int64)
    place[[codes[name] for name in names]] = np.arange(len(names))
    return tuple(names), place[column]


def _sort_key(name: Hashable) -> tuple[int, float, str]:
    """Sort numbers by value and before texts, so that rating 2 comes before rating 10."""
    if isinstance(name, (int, float)):
        return (0, name, "")
    return (1, 0.0, str(name))


def _check_codes(name: str, values: ArrayLike, n_codes: int | None) -> tuple[Ints, int]:
    column = np.asarray(values)
    if column.ndim != 1:
        raise VotesError(f"{name} has shape {column.shape}, wanted (n,).")
    if column.size and column.dtype.kind not in "iu":
        raise VotesError(f"{name} holds {column.dtype}, wanted integer codes; feedback.votes.encode_votes codes names.")
    codes = column.astype(np.int64, copy=False)
    count = int(codes.max()) + 1 if codes.size else 0
    if codes.size and int(codes.min()) < 0:
        raise VotesError(f"{name} holds a negative code; leave missing votes out instead.")
    if n_codes is not None and n_codes < count:
        raise VotesError(f"{name} holds code {count - 1}, but only {n_codes} were announced.")
    return codes, count if n_codes is None else n_codes
