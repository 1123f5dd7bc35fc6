"""Votes as three columns of small integers: who said what about which task."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feedback.errors import VotesError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LABEL_KINDS = (
    "choices",
    "pairwise",
    "taxonomy",
    "rating",
)  # kinds of answers that are right or wrong, not more or less


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Votes:
    """One row a vote; tasks, people and labels are codes from 0 up. Missing votes are missing rows.

    Checked here, once: agreement and consensus trust it and check nothing.

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
        for name, (given, stated) in columns.items():
            column, count = _codes(name, given, stated)
            if size is not None and len(column) != size:
                raise VotesError(f"{name} has {len(column)} rows, tasks has {size}; wanted one row per vote.")
            size = len(column)
            object.__setattr__(self, name, column)
            object.__setattr__(self, f"n_{name}", count)

    def __len__(self) -> int:
        return len(self.tasks)

    def select(self, keep: NDArray[np.bool_] | Ints) -> Votes:
        """The votes that `keep` (n,) marks, or at these rows; codes and their numbers stay what they are."""
        return Votes(self.tasks[keep], self.people[keep], self.labels[keep], self.n_tasks, self.n_people, self.n_labels)

    def in_order(self) -> Votes:
        """The same votes by task, person and label: what is drawn row by row must not depend on the order of a file.

        >>> Votes([1, 0, 0], [0, 1, 0], [1, 1, 0]).in_order().people
        array([0, 1, 0])
        """
        return self.select(np.lexsort((self.labels, self.people, self.tasks)))

    def latest(self) -> Votes:
        """One vote per task and person: the last row of each pair counts.

        >>> Votes([0, 0], [3, 3], [0, 1]).latest().labels
        array([1])
        """
        pair = self.tasks * self.n_people + self.people
        last = np.full(len(pair), fill_value=False)
        last[len(pair) - 1 - np.unique(pair[::-1], return_index=True)[1]] = True
        return self if last.all() else self.select(last)


@dataclass(frozen=True, slots=True)
class EncodedVotes:
    """Votes with the names that their codes stand for."""

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
    names = sorted(dict.fromkeys(column), key=_text_key)
    known = {name: code for code, name in enumerate(names)}
    return tuple(names), np.fromiter(map(known.__getitem__, column), dtype=np.int64, count=len(column))


def _text_key(name: Hashable) -> tuple[int, float, str]:
    """Numbers in their own order, before texts: ratings 2 and 10 must not swap."""
    if isinstance(name, (int, float)):
        return (0, name, "")
    return (1, 0.0, str(name))


def _codes(name: str, given: ArrayLike, stated: int | None) -> tuple[Ints, int]:
    column = np.asarray(given)
    if column.ndim != 1:
        raise VotesError(f"{name} has shape {column.shape}, wanted (n,).")
    if column.size and column.dtype.kind not in "iu":
        raise VotesError(f"{name} holds {column.dtype}, wanted integer codes; feedback.votes.encode_votes codes names.")
    coded = column.astype(np.int64, copy=False)
    highest = int(coded.max()) + 1 if coded.size else 0
    if coded.size and int(coded.min()) < 0:
        raise VotesError(f"{name} holds a negative code; leave missing votes out instead.")
    if stated is not None and stated < highest:
        raise VotesError(f"{name} holds code {highest - 1}, but only {stated} were announced.")
    return coded, highest if stated is None else stated
