"""What a strategy gets: the open tasks as arrays, and the plan: how many tasks, in what batches, with what seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from sampling.errors import PlanError, PoolError

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Rows: TypeAlias = Any  # dense (n, d) array or scipy.sparse CSR; scipy ships no types

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # splitmix64, Steele et al. (2014), doi:10.1145/2714064.2660195
_SUM_SLACK = 1e-3  # float32 probabilities of 1,000 classes sum to 1 only approximately


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Open tasks, one row each; every array below has n rows, in this order.

    Checked here, once; PoolError names the first fault. Strategies check nothing. A task that the model could not read
    is a row of NaN in `proba`: `ordering.order_tasks` puts it last and never gives it to a strategy.
    """

    ids: tuple[int, ...]  # (n,)   Label Studio task ids, each once
    proba: Floats  # (n, k) calibrated; rows sum to 1, or are all NaN
    age_s: Floats  # (n,)   seconds since import
    vectors: Rows | None = None  # (n, d) dense or sparse; for distances
    groups: Ints | None = None  # (n,)   near-duplicate cluster; negative: none
    labelled_vectors: Rows | None = None  # (n_labelled, d) of labelled tasks, in the space of `vectors`
    committee: Floats | None = None  # (m, n, k) the probabilities of m models

    def __post_init__(self) -> None:
        ids = tuple(int(task) for task in self.ids)
        n = len(ids)
        if len(set(ids)) != n:
            raise PoolError(f"{n - len(set(ids))} of {n} task ids occur twice; wanted each id once.")
        proba = _probabilities(self.proba, n)
        readable = ~np.isnan(proba[:, 0])
        age_s = _column(self.age_s, n, "age_s", np.float64)
        if not np.isfinite(age_s).all():
            raise PoolError("age_s holds NaN or infinity; wanted seconds since import.")
        vectors = None if self.vectors is None else _vectors(self.vectors, "vectors", readable)
        if vectors is not None and vectors.shape[0] != n:
            raise PoolError(f"vectors has {vectors.shape[0]} rows, wanted {n}: one per id.")
        labelled = None if self.labelled_vectors is None else _vectors(self.labelled_vectors, "labelled_vectors", None)
        if labelled is not None and (vectors is None or labelled.shape[1] != vectors.shape[1]):
            raise PoolError("labelled_vectors needs vectors with the same number of columns.")
        set_field = object.__setattr__  # the class is frozen; only this method may set fields
        set_field(self, "ids", ids)
        set_field(self, "proba", _read_only(proba))
        set_field(self, "age_s", _read_only(age_s))
        set_field(self, "vectors", vectors)
        set_field(self, "labelled_vectors", labelled)
        if self.groups is not None:
            set_field(self, "groups", _read_only(_column(self.groups, n, "groups", np.int64)))
        if self.committee is not None:
            set_field(self, "committee", _committee(self.committee, n, readable))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Return a mask, shape (n,): True where the model could read the task."""
        return cast(NDArray[np.bool_], ~np.isnan(self.proba[:, 0]))

    def take(self, rows: Ints) -> Pool:
        """Return the pool of these rows only, in this order."""
        if rows.size == len(self) and (rows == np.arange(len(self))).all():
            return self  # the usual case; avoids a copy of the vectors
        return Pool(
            ids=tuple(self.ids[row] for row in rows.tolist()),
            proba=self.proba[rows],
            age_s=self.age_s[rows],
            vectors=None if self.vectors is None else self.vectors[rows],
            groups=None if self.groups is None else self.groups[rows],
            labelled_vectors=self.labelled_vectors,
            committee=None if self.committee is None else self.committee[:, rows],
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """How many tasks are wanted, how many are labelled before the model is fitted again, and the seed."""

    size: int  # only the first `size` places must be right
    batch: int = 25  # tasks that should differ from each other
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size < 0 or self.batch < 1:
            raise PlanError(f"size is {self.size} and batch is {self.batch}; wanted size >= 0 and batch >= 1.")

    def random_numbers(self, ids: Sequence[int]) -> Floats:
        """Return one number in [0, 1) per id, shape (n,), computed from the id and the seed alone.

        A task keeps its number whatever else is in the pool, so that a new task does not shuffle the others. numpy's
        generators draw in sequence, so they cannot do this without one generator per id.

        >>> few, more = Plan(2, seed=1).random_numbers([7, 8]), Plan(3, seed=1).random_numbers([8, 9, 7])
        >>> bool(few[0] == more[2])
        True
        """
        start = (_mix(self.seed & _MASK) + _GOLDEN) & _MASK
        z = np.asarray(ids, dtype=np.int64).astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(start)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def pool_without_model(ids: Sequence[int], age_s: ArrayLike, **arrays: Any) -> Pool:
    """Return a pool for the time before the first model: one class, so that all probabilities are equal."""
    return Pool(tuple(ids), np.ones((len(ids), 1)), np.asarray(age_s, dtype=np.float64), **arrays)


def _probabilities(values: ArrayLike, n: int) -> Floats:
    proba = np.asarray(values, dtype=np.float64)
    if proba.ndim != 2 or proba.shape[0] != n or proba.shape[1] < 1:
        raise PoolError(f"proba has shape {proba.shape}, wanted ({n}, k) with k >= 1: one row per id.")
    # a sum is NaN where any cell is NaN: one pass finds the rows to check
    total = proba.sum(axis=1)
    broken = ~np.isfinite(total)
    partly_nan = broken & ~np.isnan(proba).all(axis=1) if broken.any() else broken
    wrong = partly_nan | (np.abs(total - 1.0) > _SUM_SLACK) | (proba.min(axis=1, initial=0.0) < 0.0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise PoolError(f"row {row} of proba is {proba[row].tolist()[:5]}: wanted probabilities that sum to 1, or NaN.")
    return proba


def _committee(values: ArrayLike, n: int, readable: NDArray[np.bool_]) -> Floats:
    members = np.asarray(values, dtype=np.float64)
    if members.ndim != 3 or members.shape[0] < 2:
        raise PoolError(f"committee has shape {members.shape}, wanted (m, {n}, k) with m >= 2 models.")
    for member in members:
        if np.isnan(_probabilities(member, n)[readable]).any():
            raise PoolError("a committee member could not read a task that the model could.")
    return cast(Floats, _read_only(members))


def _vectors(values: Rows, name: str, readable: NDArray[np.bool_] | None) -> Rows:
    rows = values.tocsr() if sparse.issparse(values) else np.asarray(values)
    if rows.ndim != 2 or rows.dtype.kind != "f":
        raise PoolError(f"{name} has shape {rows.shape} of {rows.dtype}, wanted (n, d) of floats.")
    # a task that could not be read may have any vector: no strategy sees it
    checked = rows if readable is None or sparse.issparse(rows) or len(readable) != len(rows) else rows[readable]
    if not np.isfinite(checked.data if sparse.issparse(checked) else checked).all():
        raise PoolError(f"{name} holds NaN or infinity in a task that the model could read.")
    return rows if sparse.issparse(rows) else _read_only(rows)


def _column(values: ArrayLike, n: int, name: str, dtype: type[np.generic]) -> Any:
    column: NDArray[Any] = np.asarray(values, dtype=dtype)
    if column.shape != (n,):
        raise PoolError(f"{name} has shape {column.shape}, wanted ({n},): one per id.")
    return column


def _read_only(array: Any) -> Any:
    """Return a read-only view; the caller's array is unchanged."""
    view = array.view()
    view.flags.writeable = False
    return view


def _mix(word: int) -> int:
    """Do one splitmix64 step in plain integers, so that close seeds do not give close numbers."""
    word = (word + _GOLDEN) & _MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    return word ^ (word >> 31)
