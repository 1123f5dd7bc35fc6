"""Writes that are verified: a create is listed before it is repeated, and predictions are read back."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client, task_filter
from ml_backend.labelstudio.transport import Json

_IDS_PER_REQUEST = 300  # they are part of the URL
_ROUNDING = 1e-14  # of a score in a database, relative; the scores of two places differ by 1e-12 of them at least
# Label Studio's editor shows a score in percent with two decimals, which people read as the confidence. A place is
# none, so all scores of places are so low that each is shown as 0.00 %. A power of two keeps every bit of a place.
HIGHEST_SCORE = 2.0**-20
_Found = TypeVar("_Found")


def create_once(find: Callable[[], _Found | None], create: Callable[[], _Found]) -> _Found:
    """Return what `find` lists; where it lists nothing, create it, and list again after a doubtful answer.

    A POST is never repeated here: Label Studio may have done the work and failed, or lost its answer, afterwards. What
    `find` looks for must be the same in every try: a marker, an address, a unique id. The error of a create whose work
    is not found is raised; the next try lists first.

    >>> made = []
    >>> def create():
    ...     made.append("project 7")
    ...     raise LabelStudioError("database is locked", status=500)  # after its insert
    >>> create_once(lambda: made[0] if made else None, create), made
    ('project 7', ['project 7'])
    """
    found = find()
    return _create_or_find(find, create) if found is None else found


def _create_or_find(find: Callable[[], _Found | None], create: Callable[[], _Found]) -> _Found:
    try:
        return create()
    except LabelStudioError as error:
        if not error.is_doubtful:
            raise
        found = find()
        if found is None:
            raise
        return found


def create_single(
    list_all: Callable[[], Sequence[_Found]], create: Callable[[], object], remove: Callable[[_Found], object]
) -> _Found:
    """Return the first of what `list_all` lists; where it lists nothing, create it; remove what is there twice.

    It is listed after a successful create, too: where its SQLite was locked after an insert, Label Studio repeats the
    whole request by itself, and one POST makes several. Only what was just created is removed.

    >>> made = []
    >>> create_single(lambda: made, lambda: made.extend([7, 8]), made.remove), made
    (7, [7])
    """
    found = list_all()
    if found:
        return found[0]
    doubt: LabelStudioError | None = None
    try:
        create()
    except LabelStudioError as error:
        if not error.is_doubtful:
            raise
        doubt = error
    found = list(list_all())
    if not found:
        raise doubt or LabelStudioError("Label Studio does not list what it has just created.")
    for extra in found[1:]:
        remove(extra)
    return found[0]


def read_predictions(client: Client, project: str, tasks: Collection[int]) -> dict[int, list[Json]]:
    """Return the predictions of these tasks, of every version, the oldest first; a deleted task is left out.

    One request for 300 tasks, whatever the size of the project.
    """
    found: dict[int, list[Json]] = {}
    for row in read_tasks(client, project, tasks, include=("id", "predictions")):
        found[int(row["id"])] = sorted(row["predictions"], key=lambda prediction: int(prediction["id"]))
    return found


def read_tasks(client: Client, project: str, tasks: Collection[int], *, include: Collection[str]) -> list[Json]:
    """Return these fields of these tasks; a deleted task is left out."""
    wanted, rows = sorted(tasks), list[Json]()
    for start in range(0, len(wanted), _IDS_PER_REQUEST):
        part = task_filter("id", "in_list", wanted[start : start + _IDS_PER_REQUEST])
        rows += client.each_task(project, filters=[part], include=tuple(include))
    return rows


def of_version(predictions: Collection[Json], version: str) -> Json | None:
    """Return the first prediction of a model version; None where there is none."""
    return next((row for row in predictions if row["model_version"] == version), None)


def create_prediction_once(client: Client, project: str, body: Mapping[str, Any]) -> int:
    """Create one prediction (task, result, score, model_version) and return its id; one per task and version.

    The caller has listed the predictions of the task; they are listed again only after a doubtful answer.
    """
    task, version = int(body["task"]), str(body["model_version"])
    made = _create_or_find(
        lambda: of_version(read_predictions(client, project, [task]).get(task, ()), version),
        lambda: client.create_prediction(**body, project=project),
    )
    return int(made["id"])


def restore_score(client: Client, prediction: Json, score: float) -> bool:
    """Give a prediction its score again; return whether it had it.

    Without its score, Label Studio serves the task first (SQLite) or last (PostgreSQL).
    """
    given = prediction["score"]
    if given is not None and math.isclose(float(given), score, rel_tol=_ROUNDING):
        return True
    client.patch_prediction(int(prediction["id"]), score=score)
    return False
