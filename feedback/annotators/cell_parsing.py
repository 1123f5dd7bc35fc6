"""Cells: an answer as somebody types it into a spreadsheet, read by the type of its control."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from feedback.errors import VotesError
from ml_backend.codecs import codec
from ml_backend.errors import CodecError, UnknownName
from ml_backend.label_config import Control
from ml_backend.records import Answer

_BRANCH = ">"  # between the labels of a path, as people write one


def read_answers(cells: Mapping[str, str], control: Control) -> dict[int, Answer]:
    """Answers by task id, checked: ids are whole numbers, answers are such as the control allows.

    Raises VotesError naming the task.
    """
    found: dict[int, Answer] = {}
    for task, cell in cells.items():
        if not task.isdecimal():
            raise VotesError(f"task {task!r} is no task id.", hint="Label Studio's ids are whole numbers.")
        found[int(task)] = read_cell(cell, control.kind, where=f"task {task}")
        _check(found[int(task)], control, f"task {task}")
    return found


def read_cell(cell: str, kind: str, *, where: str) -> Answer:
    """One answer: a label or a JSON list of them, a number, a path (A > B), or regions as Label Studio writes them.

    >>> read_cell("Animal > Dog", "taxonomy", where="row 2").value
    (('Animal', 'Dog'),)
    >>> read_cell("4.5", "number", where="row 2").value
    4.5
    """
    try:
        return codec(kind).decode(_regions(cell.strip(), kind, where))
    except CodecError as error:
        raise VotesError(f"{where}: {error}.", hint=_hint(kind)) from error
    except UnknownName as error:
        raise VotesError(f"{where}: answers of type {kind} cannot be read: {error}.") from error


def _regions(cell: str, kind: str, where: str) -> list[Mapping[str, Any]]:
    if kind == "pairwise":
        return [{"value": {"selected": cell}}]
    if kind == "choices" and not cell.startswith("["):
        return [{"value": {"choices": [cell]}}]
    if kind == "taxonomy" and not cell.startswith(("[", "{")):
        return [{"value": {"taxonomy": [[label.strip() for label in cell.split(_BRANCH)]]}}]
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError) as error:
        what = "not a number" if kind in ("rating", "number") else "not JSON"
        raise VotesError(f"{where}: {what}: {cell[:40]!r}.", hint=_hint(kind)) from error
    if kind in ("rating", "number"):
        return [{"value": {kind: found}}]
    listed = found if isinstance(found, list) else [found]
    if kind in ("choices", "taxonomy") and not any(isinstance(one, dict) for one in listed):
        listed = [{kind: listed}]
    return [one if isinstance(one, dict) and "value" in one else {"value": one} for one in listed]


def _check(answer: Answer, control: Control, where: str) -> None:
    """Refuse labels that the control does not have, and several where it takes one."""
    value: Any = answer.value
    used = set(value) if answer.kind == "choices" else {one[-1] for one in value} if _is_drawn(answer) else set()
    if control.labels and (unknown := sorted(used - set(control.labels))):
        raise VotesError(f"{where}: {unknown[0]!r} is no label; {control.name!r} has {', '.join(control.labels)}.")
    if answer.kind == "choices" and len(value) > 1 and not control.multiple:
        raise VotesError(f"{where}: {len(value)} labels, and {control.name!r} takes one.")


def _is_drawn(answer: Answer) -> bool:
    return answer.kind in ("labels", "rectanglelabels")


def _hint(kind: str) -> str:
    return {
        "choices": 'A cell is a label, or a JSON list such as ["a", "b"].',
        "pairwise": "A cell is left or right.",
        "rating": "A cell is a whole number of stars.",
        "number": "A cell is a number.",
        "taxonomy": 'A cell is a path such as Animal > Dog, or a JSON list of paths such as [["Animal", "Dog"]].',
    }.get(kind, "A cell is the result as JSON, as Label Studio exports it.")
