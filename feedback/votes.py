"""Votes as three columns of integer codes: task, person, label."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

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

    def __init__(
        self,
        tasks: ArrayLike,
        people: ArrayLike,
        labels: ArrayLike,
        n_tasks: int | None = None,
        n_people: int | None = None,
        n_labels: int | None = None,
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

    def __len__(self) -> int:
        return len(self.tasks)

    def select(self, keep: NDArray[np.bool_] | Ints) -> Votes:
        """Return the votes that a mask (n,) or row numbers select; codes and their numbers stay the same."""
        return Votes(self.tasks[keep], self.people[keep], self.labels[keep], self.n_tasks, self.n_people, self.n_labels)

    def in_order(self) -> Votes:
        """Return the votes sorted by task, person and label, so that random draws do not depend on the order of rows.

        Examples
        --------
        >>> Votes([1, 0, 0], [0, 1, 0], [1, 1, 0]).in_order().people
        array([0, 1, 0])
        """
        return self.select(np.lexsort((self.labels, self.people, self.tasks)))

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


def _encode(column: Sequence[Any]) -> tuple[tuple[Hashable, ...], Ints]:
    # by identity first: votes share their answers, and hashing an answer takes longer than all the rest
    numbers = list(map(id, column))
    objects = dict(zip(numbers, column, strict=True))
    distinct = dict.fromkeys(objects.values())
    names = sorted(distinct) if set(map(type, distinct)) == {int} else sorted(distinct, key=_sort_key)
    code_of = {name: code for code, name in enumerate(names)}
    code_of_object = {number: code_of[name] for number, name in objects.items()}
    return tuple(names), np.fromiter(map(code_of_object.__getitem__, numbers), dtype=np.int64, count=len(column))


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
