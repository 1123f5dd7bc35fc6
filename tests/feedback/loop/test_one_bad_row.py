"""A row that makes any step of a turn raise anything is left out and named; its neighbours lose nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import feedback.loop.turn as turns
import feedback.review.notifications as notifications
import feedback.review.overrides as overrides
import feedback.routing.router as routing
import feedback.store.log.events as events
import ml_backend.models.text_classifier as text_classifier
from feedback.loop.context import Turn
from feedback.policy import read_policy
from feedback.reports.project_status import project_status
from feedback.store import Store
from feedback.store.repositories.cases import CasesRepository
from feedback.store.repositories.decisions import DecisionsRepository
from ml_backend.codecs.choices import Choices
from tests.support import stores
from tests.support.connected_project import ConnectedProject, truth

POISON = "a13 poison saw"  # the policy sends it to L2
POLICY = read_policy(
    "[queue]\nwindow = 200\n[overlap]\nshare = 0.0\n[audit]\nshare = 0.3\n[train]\nmin_rows = 8\nmin_new = 8\n"
    "[tiers.L1]\n[tiers.L2]\n"
    '[[routing]]\nid = "unsure"\nto = "L2"\nwhen = { data.text.contains = "saw" }\n'
    '[[routing]]\nid = "rest"\nto = "L1"\n'
)


class LibraryError(Exception):
    """What some library may call its error."""


ERRORS: list[Callable[[], Exception]] = [
    lambda: TypeError("of all things"), RecursionError, OverflowError, MemoryError, LibraryError,
    lambda: UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), lambda: KeyError("text"),
]  # fmt: skip


@dataclass
class Point:
    """A function of one step, and how to see in its arguments that the bad row is among them."""

    owner: Any
    name: str
    is_bad: Callable[..., bool]
    step: str  # as the note calls it; "" where the row's own problem is recorded elsewhere

    @contextmanager
    def fails(self, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]) -> Iterator[None]:
        kept = getattr(self.owner, self.name)

        def failing(*args: Any, **options: Any) -> Any:
            if self.is_bad(*args, **options):
                raise error()
            return kept(*args, **options)

        with monkeypatch.context() as patched:
            patched.setattr(self.owner, self.name, failing)
            yield


def _has_poison(value: Any) -> bool:
    return "poison" in repr(value)


POINTS = {
    "a feature": Point(text_classifier, "read_text", lambda data, *_a, **_o: _has_poison(data), "predict"),
    "the hash of a decision": Point(routing, "canonical_json", _has_poison, "record the decision"),
    "a refused row": Point(
        DecisionsRepository,
        "create_decisions",
        lambda _self, _project, rows: any(row.task == 14 for row in rows),
        "record the decision",
    ),
    "the new cases": Point(
        CasesRepository,
        "create_cases",
        lambda _self, rows, *_a, **_o: any(row.task == 14 for row in rows),
        "open the case",
    ),
    "a notification": Point(notifications, "notification_payload", lambda case, *_a, **_o: case.task == 14, ""),
    "the event of a task": Point(events, "event_from_task", lambda task, *_a, **_o: _has_poison(task.data), ""),
    "an override": Point(overrides, "_make_row", lambda *given, **_o: given[2] == 14, "record the override"),
    "the decoding of an answer": Point(Choices, "decode", lambda _self, regions: _has_poison(regions), ""),
}


def play(store: Store, folder: Path, *, answered: bool = True) -> tuple[ConnectedProject, list[Turn]]:
    """Two turns of a project in which one task is poison; people answer it, or leave it."""
    store.secrets.save_secret("draws", "the same draws in every run")
    project = ConnectedProject(store, folder)
    bad = project.studio.tasks[14]
    project.studio.tasks[14] = type(bad)(
        14, {"text": POISON}, "7", created_at=bad.created_at, updated_at=bad.updated_at
    )
    project.connect(POLICY)
    turns = [project.turn()]
    for task in [*range(1, 80)]:
        if task != 14 or answered:
            label = truth(str(project.studio.tasks[task].data["text"]))
            number = project.studio.answer(task, label)
            if task == 14:
                project.studio.annotations[number].result[0]["poison"] = True
    turns += [project.turn(), project.turn()]
    return project, turns


def neighbours(project: ConnectedProject) -> dict[str, Any]:
    """What everybody but the bad row has."""
    store, champion = project.store, project.loop._services.champions.get("7")
    assert champion is not None
    tasks = {task: row.data for task, row in project.studio.tasks.items() if task != 14}
    decisions = store.decisions.list_current_decisions("7")
    return {
        "votes": {vote.task: vote.answer for vote in store.votes.list_votes("7") if vote.task != 14},
        "routes": {task: decision.outcome for task, (decision, _content) in decisions.items() if task != 14},
        "proba": champion.proba([*tasks.values()]),
        "queue": {row.task: (row.answer, row.blind) for row in store.windows.get_window("7") if row.task != 14},
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The neighbours where nobody answered the row, and nothing failed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    store = stores.fresh(folder / "store.db")
    found = neighbours(play(store, folder / "models", answered=False)[0])
    store.close()
    return found


@pytest.mark.parametrize("number", range(len(POINTS)), ids=[*POINTS])
def test_one_bad_row_costs_only_itself(
    number: int, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, Any]
):
    point = list(POINTS.values())[number]
    with point.fails(monkeypatch, ERRORS[number % len(ERRORS)]):
        project, turns = play(store, tmp_path / "models")

    found = neighbours(project)
    assert found["votes"] == undisturbed["votes"]
    assert found["routes"] == undisturbed["routes"]
    assert found["queue"].keys() == undisturbed["queue"].keys()
    if point.step == "predict":  # elsewhere the row is learned from, as it should be
        assert np.array_equal(found["proba"], undisturbed["proba"])
    if point.step:
        assert any("task 14" in turn.left_out and point.step in turn.left_out for turn in turns), turns
        row = store.projects.get_project("7")
        assert row is not None
        assert any("task 14" in line for line in project_status(store, row)["left_out"])


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: getattr(error, "__name__", "another"))
def test_a_turn_ends_whatever_a_feature_raises(
    error: Callable[[], Exception], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with POINTS["a feature"].fails(monkeypatch, error):
        _project, turns = play(store, tmp_path / "models")

    assert turns[-1].version
    assert not [note for turn in turns for note in turn.notes if "not trained" in note]


def test_a_row_is_not_left_out_any_more_once_it_is_repaired(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with POINTS["a feature"].fails(monkeypatch, ERRORS[0]):
        project, _turns = play(store, tmp_path / "models")
        row = store.projects.get_project("7")
        assert row is not None
        assert project_status(store, row)["left_out"]
        task = project.studio.tasks[14]
        project.studio.tasks[14] = type(task)(
            14, {"text": "a13 pear red"}, "7", True, 1, task.created_at, project.studio._tick()
        )
        project.turn()

    assert project_status(store, row)["left_out"] == []


@pytest.mark.parametrize("name", ["record_agreement", "record_annotators", "refresh_threshold_table"])
def test_a_report_that_fails_leaves_the_others_and_is_named(
    name: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = list[str]()
    for each in ("record_agreement", "record_annotators", "refresh_threshold_table"):

        def report(*_args: Any, each: str = each, **_options: Any) -> None:
            if each == name:
                raise KeyError("of one row")
            made.append(each)

        monkeypatch.setattr(turns, each, report)
    project = ConnectedProject(store, tmp_path / "models")
    project.connect(POLICY)
    project.turn()

    row = store.projects.get_project("7")
    assert row is not None
    assert len(made) == 2
    assert any("(report)" in line for line in project_status(store, row)["left_out"])
