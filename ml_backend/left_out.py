"""Rows that are left out: whatever one row makes a step raise, the step goes on with the others and says so.

A row is what somebody else wrote: a task, an annotation, an image, a region. Libraries may raise anything over it, so
no list of expected errors is complete. Every `Exception` is taken as the row's own, also MemoryError, which one row may
cause by its size; except errors that concern the service (`of_service`: the database or Label Studio is away, the lease
is lost), which would be the same for each row. Interrupts are no `Exception` and end the step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from traceback import walk_tb
from types import FrameType
from typing import TypeVar

from ml_backend.errors import BackendError
from ml_backend.number_format import format_count
from ml_backend.printable import printable

_Row = TypeVar("_Row")
_Result = TypeVar("_Result")

_MOST_NAMED = 200  # rows that are kept by name; more are counted
_LONGEST_REASON = 300  # characters
_MOST_IN_SUCCESSION = 3  # failed requests, after which the service is the cause and no row
_MOST_CALLS = 10  # that are logged
_MANY = 20  # rows of which one at least should succeed
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that a step left out."""

    row: str  # "task 17"
    step: str  # what was done with it: "predict"
    reason: str  # a sentence without the row's own content, which may be private


@dataclass(slots=True)
class LeftOutRows:
    """What was left out while it collects, each row and step once; of very many rows the first ones."""

    rows: list[LeftOut] = field(default_factory=list)
    more: int = 0  # left out besides `rows`

    def add(self, found: LeftOut) -> None:
        """Note one row."""
        if found in self.rows:
            return
        if len(self.rows) < _MOST_NAMED:
            self.rows.append(found)
        else:
            self.more += 1

    @property
    def count(self) -> int:
        """Return how many were left out."""
        return len(self.rows) + self.more

    def describe(self) -> str:
        """Return a sentence for a log, in which each reason stands once."""
        return f"{self.count} left out: {name_some(describe_reasons(self.rows), separator='; ')}"


def describe_reasons(rows: Iterable[LeftOut]) -> list[str]:
    """Return a sentence for each step and reason, with the rows that were left out for it.

    >>> describe_reasons([LeftOut("task 1", "predict", "too long."), LeftOut("task 2", "predict", "too long.")])
    ['task 1, task 2 (predict): too long.']
    """
    named: dict[tuple[str, str], list[str]] = {}
    for found in rows:
        named.setdefault((found.step, found.reason), []).append(found.row)
    return [f"{name_some(names)} ({step}): {reason}" for (step, reason), names in named.items()]


def name_some(names: Sequence[object], *, most: int = 3, separator: str = ", ") -> str:
    """Return the first `most` names, and how many more there are.

    >>> name_some(["task 1", "task 2"]), name_some([f"task {number}" for number in range(9)])
    ('task 1, task 2', 'task 0, task 1, task 2 and 6 more')
    """
    more = f" and {format_count(len(names) - most)} more" if len(names) > most else ""
    return separator.join(map(str, names[:most])) + more


_collecting: ContextVar[LeftOutRows | None] = ContextVar("left_out_rows", default=None)


@contextmanager
def collect_left_out() -> Iterator[LeftOutRows]:
    """Collect the rows that are left out inside the block, instead of logging each."""
    rows = LeftOutRows()
    token = _collecting.set(rows)
    try:
        yield rows
    finally:
        _collecting.reset(token)


@contextmanager
def contained(step: str, row: object) -> Iterator[None]:
    """Leave a row out, and go on after the block, if the block raises because of the row.

    >>> with collect_left_out() as left_out:
    ...     for task in (1, 2):
    ...         with contained("divide", f"task {task}"):
    ...             _ = 1 / (task - 1)
    >>> [(found.row, found.reason) for found in left_out.rows]
    [('task 1', 'ZeroDivisionError in <doctest ml_backend.left_out.contained[0]>, line 4')]
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        leave_out(step, row, error)


def compute_rows(
    step: str,
    rows: Sequence[_Row],
    compute: Callable[[Sequence[_Row]], Sequence[_Result]],
    *,
    name: Callable[[_Row], object] = "task {}".format,
) -> list[_Result | None]:
    """Return what `compute` returns for all rows, in order; None for a row that makes it raise.

    It is called once. Only where it raises, it is called for halves, until the rows that it cannot take are alone:
    about 20 calls for each such row of 1,000. Where it takes none of many rows, they are hardly the cause: the log then
    has the lines of code that failed.

    >>> compute_rows("invert", [1.0, 0.0, 4.0], lambda part: [1 / number for number in part])
    [1.0, None, 0.25]
    """
    failed: list[Exception] = []

    def leave_out_row(row: _Row, error: Exception) -> None:
        leave_out(step, name(row), error)
        failed.append(error)

    found = halve(rows, compute, leave_out_row, is_of_service)
    if len(failed) == len(rows) >= _MANY:
        _log_defect(step, len(failed), failed[-1])
    return found


def _log_defect(step: str, n_rows: int, error: Exception) -> None:
    """Log where a step failed that failed for every row; without the error's message, which may quote private data."""
    calls = [f"{_file(frame)}:{line} {frame.f_code.co_name}" for frame, line in walk_tb(error.__traceback__)]
    what = "%s: each of %d rows failed, so the cause is hardly a row: %s, called by %s"
    _log.error(what, step, n_rows, describe_error(error), " > ".join(calls[-_MOST_CALLS:]))


def halve(
    rows: Sequence[_Row],
    compute: Callable[[Sequence[_Row]], Sequence[_Result]],
    leave_out_row: Callable[[_Row, Exception], None],
    is_of_service: Callable[[Exception], bool],
) -> list[_Result | None]:
    """Return what `compute` returns for all rows, in order; where it raises, halves are tried, down to single rows.

    A row that fails alone is None, and given to `leave_out_row`, which may raise. `is_of_service` says of an error that
    no row is its cause; it is raised then.
    """
    if not rows:
        return []
    try:
        return list(compute(rows))
    except Exception as error:
        if len(rows) == 1:
            leave_out_row(rows[0], error)
            return [None]
        if is_of_service(error):
            raise
    middle = len(rows) // 2
    return [
        *halve(rows[:middle], compute, leave_out_row, is_of_service),
        *halve(rows[middle:], compute, leave_out_row, is_of_service),
    ]


def take_in_turn(rows: Sequence[_Row], limit: int, *, turn: float) -> list[_Row]:
    """Return `limit` of the rows, in each turn others, so that rows that are refused again do not keep the rest away.

    >>> take_in_turn("abcde", 2, turn=9.5), take_in_turn("ab", 2, turn=9.5)
    (['e', 'a'], ['a', 'b'])
    """
    start = int(turn) % len(rows) if len(rows) > limit else 0
    return [*rows[start:], *rows[:start]][:limit]


class RequestRows:
    """Contains what single rows raise in requests to another service.

    A service that refuses or fails at one row may take the next one. After three failures in succession, or where it
    does not answer at all, the error is raised: no row is the cause.
    """

    def __init__(self, step: str) -> None:
        self._step, self._failed = step, 0

    @contextmanager
    def row(self, row: object) -> Iterator[None]:
        """Leave a row out if its request fails."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - see above
            self._leave_out(row, error)
        else:
            self._failed = 0

    def compute(
        self,
        rows: Sequence[_Row],
        request: Callable[[Sequence[_Row]], Sequence[_Result]],
        *,
        name: Callable[[_Row], object] = "task {}".format,
    ) -> list[_Result | None]:
        """Return what a request for many rows returns, in order; None for a row with which it fails.

        As `compute_rows`. It must be safe to repeat: a request that fails at one row may have done the others.
        """

        def send(part: Sequence[_Row]) -> Sequence[_Result]:
            found = request(part)
            self._failed = 0
            return found

        return halve(
            rows,
            send,
            lambda row, error: self._leave_out(name(row), error),
            lambda error: is_of_service(error) and not is_server_error(error),
        )

    def _leave_out(self, row: object, error: Exception) -> None:
        self._failed += (failed := is_server_error(error))
        if failed and self._failed < _MOST_IN_SUCCESSION:
            note_left_out(self._step, row, describe_error(error))
        else:
            leave_out(self._step, row, error)


def leave_out(step: str, row: object, error: Exception) -> None:
    """Note that a row is left out because of this error; raise the error where it concerns the service."""
    if is_of_service(error):
        raise error
    _log.debug("%s: %s is left out", step, row, exc_info=error)
    note_left_out(step, row, describe_error(error))


def note_left_out(step: str, row: object, reason: str) -> None:
    """Note that a row is left out, for this reason."""
    found = LeftOut(printable(row)[:80], step, printable(reason)[:_LONGEST_REASON])
    collecting = _collecting.get()
    if collecting is None:
        _log.warning("%s: %s is left out: %s", found.step, found.row, found.reason)
    else:
        collecting.add(found)


def describe_error(error: BaseException) -> str:
    """Return why something failed: our own sentence, or where a library failed; its message may quote private data."""
    if isinstance(error, BackendError) or hasattr(error, "hint"):
        return str(error)
    places = [f"{_file(frame)}, line {line}" for frame, line in walk_tb(error.__traceback__)]
    return f"{type(error).__name__} in {places[-1] if places else 'unknown code'}"


def _file(frame: FrameType) -> str:
    return Path(frame.f_code.co_filename).name


def is_server_error(error: Exception) -> bool:
    """Return whether a service failed at a request (HTTP 5xx)."""
    status = getattr(error, "status", None)
    return isinstance(status, int) and status >= 500


def is_of_service(error: BaseException) -> bool:
    """Return whether an error concerns the service, so that no row is its cause."""
    return bool(getattr(error, "of_service", False))
