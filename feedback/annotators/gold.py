"""Gold tasks: tasks that all people answer, most with a known answer, which only our store has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from feedback.errors import VotesError
from feedback.stats.hash_sampling import draws
from feedback.store import Store
from ml_backend.codecs import answer_distance
from ml_backend.records import Answer

_KIND = "gold"
_EXACT = ("choices", "pairwise", "taxonomy", "rating", "number")  # must be equal, unless the gold task allows more
QUANTITIES = ("rating", "number")  # whose error is a difference; that of other types is a distance in [0, 1]
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class GoldTask:
    """A task that all people answer, to find who needs help."""

    task: int
    answer: Answer | None  # None: a calibration task, on which people are compared with each other
    unit: str  # what random draws are made on; near-duplicates share it and are gold, too
    asked: bool = True  # False: retired; models still never learn from it
    # largest error of a right answer: a difference of numbers and ratings, else a distance; None: the type's default
    tolerance: float | None = None
    imported: bool = False  # the answer came with the import of its task


def matches_gold(answer: Answer, gold: GoldTask, *, tolerance: float) -> bool:
    """Return whether an answer is the gold answer or near enough; False where it is of another type.

    Nothing matches a calibration task. `tolerance` is a distance in [0, 1] for regions, texts, orders and dates of a
    gold task without its own; other types must then be equal.

    >>> five = GoldTask(1, Answer("number", 5.0), "7/a", tolerance=0.5)
    >>> [matches_gold(Answer("number", value), five, tolerance=0.3) for value in (5.0, 5.5, 5.6)]
    [True, True, False]
    """
    truth = gold.answer
    if truth is None or answer.kind != truth.kind:
        return False
    if answer == truth:
        return True
    allowed = gold.tolerance if gold.tolerance is not None else 0.0 if answer.kind in _EXACT else tolerance
    if answer.kind in QUANTITIES:
        return abs(cast("float", answer.value) - cast("float", truth.value)) <= allowed + _ROUNDING
    return allowed > 0.0 and answer_distance(answer, truth) <= allowed + _ROUNDING


def load_gold_tasks(store: Store, project: str) -> dict[int, GoldTask]:
    """Return the gold and calibration tasks of a project, by task id."""
    found: dict[int, GoldTask] = {}
    for record in reversed(store.records.list_records(project, _KIND, limit=None)):
        tolerance, imported = record.body.get("tolerance"), bool(record.body.get("imported"))
        for task in record.body.get("drop", ()):
            found.pop(task, None)
        for task, (answer, unit) in record.body.get("add", {}).items():
            known = None if answer is None else Answer.from_key(answer)
            found[int(task)] = GoldTask(int(task), known, unit, tolerance=tolerance, imported=imported)
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
    """Store gold answers by task id, replace earlier ones, and request a turn; return how many were stored.

    None as an answer makes a calibration task. `units` are the draw units of the project's tasks by task id; VotesError
    for an answer to any other task. `tolerance` is that of `GoldTask`.
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


def replace_imported_gold(store: Store, project: str, answers: Mapping[int, Answer], units: Mapping[int, str]) -> bool:
    """Let exactly these imported answers be gold; return whether that changed anything.

    A task that `hitl gold` knows keeps the answer that somebody gave it there.
    """
    book = load_gold_tasks(store, project)
    known = {task: (gold.answer, gold.unit) for task, gold in book.items() if gold.imported}
    wanted = {task: (answer, units[task]) for task, answer in answers.items() if task in known or task not in book}
    new = {str(task): [pair[0].key, pair[1]] for task, pair in wanted.items() if known.get(task) != pair}
    gone = sorted(known.keys() - wanted.keys())
    if new or gone:
        store.records.create_record(project, _KIND, {"add": new, "drop": gone, "imported": True})
    return bool(new or gone)


def retire_gold(store: Store, project: str, tasks: Iterable[int]) -> list[int]:
    """Stop asking these gold tasks; return those that were active. Models still never learn from them."""
    known = load_gold_tasks(store, project)
    retired = sorted(task for task in set(tasks) if task in known and known[task].asked)
    if retired:
        store.records.create_record(project, _KIND, {"retire": retired})
        store.jobs.request_job(project, "turn")
    return retired


def order_by_draw(secret: str, tasks: Iterable[GoldTask]) -> list[int]:
    """Return task ids in the order of a keyed draw, which nobody can predict without the secret.

    >>> first, second = (GoldTask(task, Answer("choices", ("a",)), f"7/{task}") for task in (1, 2))
    >>> sorted(order_by_draw("key", [first, second])) == [1, 2]
    True
    """
    listed = sorted(tasks, key=lambda gold: gold.task)
    drawn = draws(secret, _KIND, [gold.unit for gold in listed])
    return [gold.task for _, gold in sorted(zip(drawn, listed, strict=True), key=lambda pair: (pair[0], pair[1].task))]
