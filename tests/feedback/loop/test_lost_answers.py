"""Every write into Label Studio may be done and its answer lost: the same state results, and nothing is there twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from feedback.labelling_platform.interface import LabellingPlatform
from ml_backend.errors import LabelStudioError
from tests.support.fake_platform import FakeLabelStudio
from tests.support.proof import size
from tests.support.review_world import ADA, BEN, CLEO, DAN, HOLD_SECRETS, World, open_world, policy_text

READS = {
    "describe_project", "list_changed_tasks", "get_tasks_page", "get_last_change_time", "is_known_instance",
    "list_servable_tasks", "review_webhook_id", "list_first_drafts", "list_emails", "delete_stale_predictions",
    "count_drafts",
}  # fmt: skip
WRITES = sorted(name for name in vars(LabellingPlatform) if not name.startswith("_") and name not in READS)


class Lossy:
    """A platform that does what it is asked, and then may say that it failed."""

    def __init__(self, site: FakeLabelStudio, is_lost: Callable[[str], bool]) -> None:
        self._site, self._is_lost = site, is_lost
        self.lost: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._site, name)
        if name not in WRITES:
            return found

        def write(*given: Any, **more: Any) -> Any:
            answer = found(*given, **more)
            if self._is_lost(name):
                self.lost[name] += 1
                status = 500 if self.lost.total() % 2 else None
                raise LabelStudioError("database is locked", status=status)
            return answer

        return write


@dataclass
class LossyLabelStudio(FakeLabelStudio):
    """The fake, which the loop reaches through a lossy platform."""

    is_lost: Callable[[str], bool] = field(default=lambda _name: False)

    def __post_init__(self) -> None:
        self.lossy = Lossy(self, self.is_lost)

    @property
    def platform(self) -> Any:
        return self.lossy


def play(folder: Path, is_lost: Callable[[str], bool] = lambda _name: False) -> tuple[dict[str, Any], Counter[str]]:
    """Two people differ, a third adjudicates after two readers; one task is on hold, and then no more."""
    site = LossyLabelStudio(is_lost=is_lost)
    with open_world(folder, site) as world:
        text = policy_text(l2='protocol = "two-reader"', more=HOLD_SECRETS)
        world.use(text, overlap=2)
        one, two, _held = site.add("a1 apple red", "a2 saw old", "a3 secret plum")
        _turns(world)
        for person, label in ((ADA, "fruit"), (BEN, "tool")):
            site.answer(one, label, person=person)
            site.answer(two, label, person=person)
            _turns(world)
        review_project = site.review_project_of("L2")
        first, _second = (task.id for task in site.waiting(review_project, CLEO))
        for person, label in ((CLEO, "tool"), (DAN, "fruit")):
            site.review(review_project, "answer", label, person=person, task=first, reason="boundary")
            _turns(world)
        site.review(review_project, "answer", "tool", person=5, task=first, reason="boundary")
        world.use(text.replace("secret", "nothing"), overlap=2)
        _turns(world)
        return _state(world, site), site.lossy.lost


def _turns(world: World) -> None:
    """Turn until nothing changes any more."""
    before: object = None
    assert isinstance(world.site, LossyLabelStudio)
    for _ in range(30):
        notes = world.turn().notes
        now = (world.site.writes, world.site.lossy.lost.total(), len(world.store.cases.list_cases(world.project)))
        world.site.pass_time(1.0)  # a read of the same second does not overrule what is known
        if now == before and not notes:
            return
        before = now


def _state(world: World, site: FakeLabelStudio) -> dict[str, Any]:
    """What Label Studio holds, without its numbers and times."""
    shown = [
        (made.shown[task.id], task.overlap, task.is_labeled)
        for project, made in site.review_projects.items()
        for task in site.review_tasks.get(project, {}).values()
    ]
    urgencies = sorted(row.urgency for row, _overlap, _done in shown)  # each tells when its case came, too
    return {
        "review projects": sorted(made.marker for made in site.review_projects.values()),
        "webhooks": len(site.webhook_projects),
        "review tasks": Counter(
            (row.data["text"], str(row.result), urgencies.index(row.urgency), overlap, done)
            for row, overlap, done in shown
        ),
        "history": Counter(len(row.data.get("hitl_history", ())) for row, _overlap, _done in shown),
        "finals": sorted(
            (task, str([row["value"] for row in result])) for task, _number, result in site.finals.values()
        ),
        "tasks": {task.id: (task.overlap, task.is_labeled) for task in site.tasks.values()},
        "queue": {task: row.place for task, row in site.rows[site.version].items()},
        "cases": sorted((case.state, case.copies) for case in world.store.cases.list_cases(world.project)),
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return play(tmp_path_factory.mktemp("whole"))[0]


def without_ids(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in ("tasks", "queue", "finals")} | {
        "tasks": Counter(state["tasks"].values()),
        "queue": Counter(state["queue"].values()),
        "finals": Counter(value for _task, value in state["finals"]),
    }


def test_the_story_uses_every_write(tmp_path: Path):
    used = Counter[str]()

    def note(name: str) -> bool:
        used[name] += 1
        return False

    play(tmp_path, note)

    assert set(WRITES) - set(used) <= {"complete_review_tasks", "delete_review_task"}


@pytest.mark.parametrize("name", WRITES)
def test_the_first_answers_of_one_write_are_lost(name: str, whole: dict[str, Any], tmp_path: Path):
    seen = Counter[str]()

    def first_two(write: str) -> bool:
        seen[write] += 1
        return write == name and seen[write] <= 2

    state, _lost = play(tmp_path, first_two)

    assert without_ids(state) == without_ids(whole)


@pytest.mark.parametrize("seed", range(1, 1 + size(ci=2, full=40)))
def test_answers_are_lost_at_random(seed: int, whole: dict[str, Any], tmp_path: Path):
    draw = random.Random(seed)
    state, lost = play(tmp_path, lambda _name: draw.random() < 0.3)

    assert lost.total() >= 1
    assert without_ids(state) == without_ids(whole)
