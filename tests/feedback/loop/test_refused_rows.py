"""Label Studio refuses each kind of write for one task: its neighbours get everything, and the row is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from feedback.labelling_platform.interface import WriteResult
from feedback.loop import write_consensus
from feedback.reports.project_status import project_status
from feedback.review import assignment, case_decisions, case_triggers, final_answers, review_stage
from feedback.store import CaseRow
from feedback.store.log import events
from feedback.training.dataset import ConsensusLabel
from ml_backend.errors import LabelStudioError
from tests.support.fake_platform import FakeLabelStudio
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, HOLD_SECRETS, World, open_world, policy_text

TASKS = (
    "poison apple",
    "good apple",
    "poison pear",
    "good pear",
    "poison secret",
    "good secret",
    "poison plum",
    "good plum",
)
REFUSALS = {  # which write, and the step as status names it
    "import_review_tasks": "import the review task",
    "update_review_task": "keep the review task open",
    "reopen_task": "hide or show",
    "hide_task": "hide or show",
    "write_final_answer": "write the final answer",
    "delete_review_task": "withdraw the review task",
}


@dataclass
class RefusingLabelStudio(FakeLabelStudio):
    """A Label Studio that refuses one kind of write wherever the text says poison."""

    refuses: str = ""
    status: int = 400
    refused: Counter[str] = field(default_factory=Counter)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in REFUSALS or name != self.refuses:
            return found

        def refuse(*given: Any, **more: Any) -> Any:
            if any("poison" in repr(self._text(row)) for row in given[1:2]):
                self.refused[name] += 1
                raise LabelStudioError("Label Studio refused it", status=self.status)
            return found(*given, **more)

        return refuse

    def _text(self, given: Any) -> Any:
        """The text of a task, or what a body says."""
        if isinstance(given, Mapping):
            return [self._text(number) for number in given]
        tasks = [*self.tasks.values(), *(task for held in self.review_tasks.values() for task in held.values())]
        return next((task.data["text"] for task in tasks if task.id == given), given)


POINTS = [  # a function of a step, and whether its arguments are about a bad row; the step as status names it
    (assignment, "review_task_data", "make the review task"),
    (assignment, "prefilled_regions", "make the review task"),
    (review_stage, "new_alarms", "watch the clocks"),
    (case_decisions, "find_involved", "read the reviews"),
    (case_decisions, "_belongs_to_stay", "read the reviews"),
    (case_triggers, "_new_case", "open the case"),
    (final_answers, "notify_requesters_of_change", "write the final answer"),
    (write_consensus, "_write", "write the consensus"),
]


def play(folder: Path, refuses: str = "", status: int = 400) -> tuple[dict[str, Any], str, RefusingLabelStudio]:
    """Two people agree on some tasks and differ on others, which two readers decide; some are held, some deleted."""
    site = RefusingLabelStudio(refuses=refuses, status=status)
    with open_world(folder, site) as world:
        text = policy_text(l2='protocol = "two-reader"', more="[consensus]\nwrite_back = true" + HOLD_SECRETS)
        world.use(text, overlap=2)
        numbers = dict(zip(TASKS, site.add(*TASKS), strict=True))
        left_out = turns(world)
        for name, second in (("apple", "tool"), ("pear", "fruit"), ("plum", "tool")):
            for kind in ("poison", "good"):
                site.answer(numbers[f"{kind} {name}"], "fruit", person=ADA)
                site.answer(numbers[f"{kind} {name}"], second, person=BEN)
        left_out += turns(world)
        review_project = site.review_project_of("L2")
        for person, label in ((CLEO, "tool"), (DAN, "fruit"), (EVA, "tool")):
            for task in site.waiting(review_project, person):
                if "plum" not in task.data["text"]:
                    site.review(review_project, "answer", label, person=person, task=task.id, reason="boundary")
            left_out += turns(world)
        world.use(text.replace("secret", "nothing"), overlap=2)
        deleted = [numbers["poison plum"], numbers["good plum"]]
        for number in deleted:
            del site.tasks[number]
        world.store.append(events.deletions(world.project, "task", deleted))
        left_out += turns(world)
        return neighbours(world, site), left_out, site


def turns(world: World) -> str:
    return " ".join(world.turn().left_out for _ in range(2))


def neighbours(world: World, site: RefusingLabelStudio) -> dict[str, Any]:
    """What Label Studio and the store hold of all tasks that nothing is wrong with."""
    good = {number: task for number, task in site.tasks.items() if "good" in task.data["text"]}
    text = {number: task.data["text"] for number, task in good.items()}
    return {
        "tasks": {task.data["text"]: (task.is_labeled, task.overlap) for task in good.values()},
        "finals": {text[task]: result[0]["value"] for task, _, result in site.finals.values() if task in good},
        "reviews": sorted(
            (task.data["text"], task.is_labeled, task.overlap, len(task.data.get("hitl_history", ())))
            for held in site.review_tasks.values() for task in held.values() if "good" in task.data["text"]
        ),
        "cases": {
            text[case.task]: (case.state, case.copies)
            for case in world.store.cases.list_cases("7")
            if case.task in good
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return play(tmp_path_factory.mktemp("undisturbed"))[0]


@pytest.mark.parametrize(
    ("refuses", "status"), [("import_review_tasks", 500), *zip(REFUSALS, cycle((400, 500)), strict=False)]
)
def test_a_write_that_is_refused_for_one_task_is_done_for_all_others(
    refuses: str, status: int, tmp_path: Path, undisturbed: dict[str, Any]
):
    state, left_out, site = play(tmp_path, refuses, status)

    assert state == undisturbed
    assert site.refused
    assert REFUSALS[refuses] in left_out


@pytest.mark.parametrize(("module", "name", "step"), POINTS, ids=[name for _module, name, _step in POINTS])
def test_a_step_that_fails_for_one_task_does_the_others(
    module: Any, name: str, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, Any]
):
    kept, bad = getattr(module, name), {number for number, text in enumerate(TASKS, 1) if "poison" in text}

    def failing(*given: Any, **more: Any) -> Any:
        tasks = {row.task for row in given if isinstance(row, (CaseRow, ConsensusLabel))}
        if tasks & bad or any(isinstance(number, int) and number in bad for number in given[1:2]):
            raise TypeError("of some library")
        return kept(*given, **more)

    monkeypatch.setattr(module, name, failing)
    state, left_out, _site = play(tmp_path, "")

    assert state == undisturbed
    assert step in left_out


class EmptyingLabelStudio(FakeLabelStudio):
    """A Label Studio whose rows fail the check of the label config, so that they are written empty."""

    def write_queue(self, project: str, rows: Any, *given: Any, **more: Any) -> WriteResult:
        written = super().write_queue(project, rows, *given, **more)
        return replace(written, problems={row.task: "shown empty: unknown label" for row in rows})


def test_rows_that_were_written_empty_are_told_after_later_turns_too(tmp_path: Path):
    site = EmptyingLabelStudio()
    with open_world(tmp_path, site) as world:
        world.use(policy_text())
        site.add("a1 apple", "a2 pear", "a3 plum", "a4 grape")
        for _ in range(3):
            world.turn()

        (line,) = project_status(world.store, world.row)["left_out"]
        assert line.endswith("and 1 more (show a pre-annotation): shown empty: unknown label")
