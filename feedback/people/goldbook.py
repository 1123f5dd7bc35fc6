"""The gold book: which tasks have a known answer; it stands in our store alone, Label Studio never hears of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from feedback.draws import draws
from feedback.errors import VotesError
from feedback.store import Store
from ml_backend.label_config import Control
from ml_backend.records import Answer

_KIND = "gold"
_ALL = 100_000  # records; one for each command
_WORDS = ("choices", "pairwise")  # the answers that a CSV cell can name


@dataclass(frozen=True, slots=True)
class GoldTask:
    """One task whose answer is known."""

    task: int
    answer: Answer
    unit: str  # what draws are made on: a twin of the task is gold, too
    asked: bool = True  # False: retired; it is still never learned from


def gold_tasks(store: Store, project: str) -> dict[int, GoldTask]:
    """The gold book of a project, by task."""
    found: dict[int, GoldTask] = {}
    for record in reversed(store.records(project, _KIND, limit=_ALL)):
        for task, (answer, unit) in record.body.get("add", {}).items():
            found[int(task)] = GoldTask(int(task), Answer.from_key(answer), unit)
        for task in record.body.get("retire", ()):
            if task in found:
                found[task] = replace(found[task], asked=False)
    return found


def add_gold(store: Store, project: str, answers: Mapping[int, Answer], units: Mapping[int, str]) -> int:
    """Write known answers into the book, a new one in place of an old one; gives how many. Wants a turn."""
    unknown = sorted(set(answers) - set(units))
    if unknown:
        raise VotesError(
            f"project {project} has no task {unknown[0]}" + (f" ({len(unknown)} such)." if len(unknown) > 1 else "."),
            hint="The column task holds task ids as Label Studio shows them.",
        )
    body = {str(task): [answer.key, units[task]] for task, answer in sorted(answers.items())}
    store.record(project, _KIND, {"add": body})
    store.want(project, "turn")
    return len(body)


def retire_gold(store: Store, project: str, tasks: Iterable[int]) -> list[int]:
    """Ask these gold tasks no more; gives those that are in the book. They are never learned from all the same."""
    known = gold_tasks(store, project)
    retired = sorted(task for task in set(tasks) if task in known and known[task].asked)
    if retired:
        store.record(project, _KIND, {"retire": retired})
        store.want(project, "turn")
    return retired


def read_answers(cells: Mapping[str, str], control: Control) -> dict[int, Answer]:
    """Gold answers of a file, checked: task ids are numbers, answers are labels of the control."""
    if control.kind not in _WORDS:
        raise VotesError(f"gold answers are read for choices; {control.name!r} is of type {control.kind}.")
    found: dict[int, Answer] = {}
    for task, label in cells.items():
        if not task.isdecimal():
            raise VotesError(f"task {task!r} is no task id.", hint="Label Studio's ids are whole numbers.")
        if label not in control.labels:
            raise VotesError(f"task {task}: {label!r} is no label; {control.name!r} has {', '.join(control.labels)}.")
        found[int(task)] = Answer("choices", (label,)) if control.kind == "choices" else Answer(control.kind, label)
    return found


def in_drawn_order(secret: str, book: Iterable[GoldTask]) -> list[int]:
    """Gold tasks in the order of a keyed draw: nobody can tell from outside which come first.

    >>> one, two = (GoldTask(task, Answer("choices", ("a",)), f"7/{task}") for task in (1, 2))
    >>> sorted(in_drawn_order("key", [one, two])) == [1, 2]
    True
    """
    listed = sorted(book, key=lambda one: one.task)
    drawn = draws(secret, _KIND, [one.unit for one in listed])
    return [one.task for _, one in sorted(zip(drawn, listed, strict=True), key=lambda pair: (pair[0], pair[1].task))]
