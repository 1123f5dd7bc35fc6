"""Parse answers that somebody typed into the cells of a CSV file, by the type of the control."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from feedback.errors import VotesError
from ml_backend.codecs import get_codec
from ml_backend.errors import CodecError, UnknownName
from ml_backend.label_config import Control
from ml_backend.records import Answer

_BRANCH = ">"  # between the labels of a path, as people write one


def parse_answers(cells: Mapping[str, str], control: Control) -> dict[int, Answer]:
    """Parse answers by task id, and check them against the labels of the control.

    VotesError, which names the task, where an id is not a whole number, a cell cannot be parsed, or the control does
    not allow the answer.
    """
    found: dict[int, Answer] = {}
    for task, cell in cells.items():
        if not task.isdecimal():
            raise VotesError(f"task {task!r} is not a task id.", hint="Label Studio's ids are whole numbers.")
        found[int(task)] = parse_cell(cell, control.kind, where=f"task {task}")
        _check(found[int(task)], control, f"task {task}")
    return found


def parse_cell(cell: str, kind: str, *, where: str) -> Answer:
    """Parse one answer; VotesError, which begins with `where`, if that fails.

    A cell is a label or a JSON list of labels, a number, a path (A > B), or regions as Label Studio exports them.

    >>> parse_cell("Animal > Dog", "taxonomy", where="row 2").value
    (('Animal', 'Dog'),)
    >>> parse_cell("4.5", "number", where="row 2").value
    4.5
    """
    try:
        return get_codec(kind).decode(_to_regions(cell.strip(), kind, where))
    except CodecError as error:
        raise VotesError(f"{where}: {error}.", hint=_hint(kind)) from error
    except UnknownName as error:
        raise VotesError(f"{where}: answers of type {kind} cannot be parsed: {error}.") from error


def _to_regions(cell: str, kind: str, where: str) -> list[Mapping[str, Any]]:
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
    items = found if isinstance(found, list) else [found]
    if kind in ("choices", "taxonomy") and not any(isinstance(item, dict) for item in items):
        items = [{kind: items}]
    return [item if isinstance(item, dict) and "value" in item else {"value": item} for item in items]


def _check(answer: Answer, control: Control, where: str) -> None:
    """Raise VotesError for labels that the control does not have, and for several where it takes one."""
    value: Any = answer.value
    used: set[str] = set()
    if answer.kind == "choices":
        used = set(value)
    elif answer.kind in ("labels", "rectanglelabels"):
        used = {region[-1] for region in value}
    if control.labels and (unknown := sorted(used - set(control.labels))):
        raise VotesError(f"{where}: {unknown[0]!r} is not a label; {control.name!r} has {', '.join(control.labels)}.")
    if answer.kind == "choices" and len(value) > 1 and not control.multiple:
        raise VotesError(f"{where}: {len(value)} labels, but {control.name!r} takes one.")


def _hint(kind: str) -> str:
    return {
        "choices": 'A cell is a label, or a JSON list such as ["a", "b"].',
        "pairwise": "A cell is left or right.",
        "rating": "A cell is a whole number of stars.",
        "number": "A cell is a number.",
        "taxonomy": 'A cell is a path such as Animal > Dog, or a JSON list of paths such as [["Animal", "Dog"]].',
    }.get(kind, "A cell is the result as JSON, as Label Studio exports it.")
