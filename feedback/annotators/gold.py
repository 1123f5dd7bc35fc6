"""The gold book: tasks that everybody is asked, mostly with a known answer; Label Studio never hears of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from feedback.errors import VotesError
from feedback.stats.hash_sampling import draws
from feedback.store import Store
from ml_backend.records import Answer

_KIND = "gold"
_ALL = 100_000  # records; one for each command


@dataclass(frozen=True, slots=True)
class GoldTask:
    """One task that everybody is asked, to see who needs help."""

    task: int
    answer: Answer | None  # None: a calibration task, on which each is compared with what the others say
    unit: str  # what draws are made on: a twin of the task is gold, too
    asked: bool = True  # False: retired; it is still never learned from
    tolerance: float | None = None  # how far off is still right; None: as usual for its type


def gold_tasks(store: Store, project: str) -> dict[int, GoldTask]:
    """The gold book of a project, by task."""
    found: dict[int, GoldTask] = {}
    for record in reversed(store.records.list_records(project, _KIND, limit=_ALL)):
        tolerance = record.body.get("tolerance")
        for task, (answer, unit) in record.body.get("add", {}).items():
            known = None if answer is None else Answer.from_key(answer)
            found[int(task)] = GoldTask(int(task), known, unit, tolerance=tolerance)
        for task in record.body.get("retire", ()):
            if task in found:
                found[task] = replace(found[task], asked=False)
    return found


def add_gold(
    store: Store,
    project: str,
    answers: Mapping[int, Answer | None],
    units: Mapping[int, str],
    *,
    tolerance: float | None = None,
) -> int:
    """Write known answers into the book, a new one in place of an old one; gives how many. Wants a turn.

    An answer of None makes a calibration task: everybody is asked it, nobody knows the answer. `tolerance` is how far
    off is still right: a difference for numbers and ratings, a codec's distance for all else.
    """
    unknown = sorted(set(answers) - set(units))
    if unknown:
        raise VotesError(
            f"project {project} has no task {unknown[0]}" + (f" ({len(unknown)} such)." if len(unknown) > 1 else "."),
            hint="Task ids are those that Label Studio shows.",
        )
    body = {str(task): [answer and answer.key, units[task]] for task, answer in sorted(answers.items())}
    store.records.create_record(project, _KIND, {"add": body} | ({} if tolerance is None else {"tolerance": tolerance}))
    store.jobs.request_job(project, "turn")
    return len(body)


def retire_gold(store: Store, project: str, tasks: Iterable[int]) -> list[int]:
    """Ask these gold tasks no more; gives those that are in the book. They are never learned from all the same."""
    known = gold_tasks(store, project)
    retired = sorted(task for task in set(tasks) if task in known and known[task].asked)
    if retired:
        store.records.create_record(project, _KIND, {"retire": retired})
        store.jobs.request_job(project, "turn")
    return retired


def in_drawn_order(secret: str, book: Iterable[GoldTask]) -> list[int]:
    """Gold tasks in the order of a keyed draw: nobody can tell from outside which come first.

    >>> one, two = (GoldTask(task, Answer("choices", ("a",)), f"7/{task}") for task in (1, 2))
    >>> sorted(in_drawn_order("key", [one, two])) == [1, 2]
    True
    """
    listed = sorted(book, key=lambda one: one.task)
    drawn = draws(secret, _KIND, [one.unit for one in listed])
    return [one.task for _, one in sorted(zip(drawn, listed, strict=True), key=lambda pair: (pair[0], pair[1].task))]
