"""Answers that came with the import of tasks teach, are gold or nothing, as the policy says; they are never votes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from feedback.annotators.gold import load_gold_tasks
from feedback.loop.context import Turn
from feedback.policy import Policy
from feedback.policy.schema import Imports
from feedback.project.label_changes import record_label_change
from feedback.project.snapshot import ProjectSnapshot, load_snapshot
from feedback.reports.agreement_report import agreement_figures
from feedback.reports.annotator_report import annotator_figures
from feedback.reports.project_status import project_status
from feedback.reports.status_text import status_lines
from feedback.store import ProjectRow
from tests.support.connected_project import POLICY, ConnectedProject, truth

BOT = 99


def policy(**imports: Any) -> Policy:
    return POLICY.model_copy(update={"imports": Imports(**imports)})


def come_with(project: ConnectedProject, n: int, *, wrong: int = 0) -> dict[int, int]:
    """Import answers with the first tasks, the first ones wrong; the annotations by task."""
    made = {}
    for place, task in enumerate(sorted(project.studio.tasks)[:n]):
        right = truth(str(project.studio.tasks[task].data["text"]))
        label = ("fruit", "tool")[right == "fruit"] if place < wrong else right
        made[task] = project.studio.come_with(task, label, person=(1, None)[place % 2])
    return made


def row_of(project: ConnectedProject) -> ProjectRow:
    (row,) = project.store.projects.list_projects()
    return row


def snapshot_of(project: ConnectedProject) -> ProjectSnapshot:
    row = row_of(project)
    return load_snapshot(project.store, row, row.policy)


def lines_of(project: ConnectedProject) -> dict[str, str]:
    return dict(status_lines(project_status(project.store, row_of(project))))


def work(project: ConnectedProject, *, person: int = 2) -> Turn:
    """Answer what is served until a model is judged."""
    while project.label(4, person=person):
        turn = project.loop.turn("7")
        if turn.verdict:
            return turn
    raise AssertionError(turn.waits)


def test_imported_answers_teach_the_first_model_and_people_alone_judge_it(connected_project: ConnectedProject):
    came = come_with(connected_project, 60)
    turn = connected_project.turn()
    snapshot = snapshot_of(connected_project)
    audit = {task for task in came if snapshot.roles[task] != "train"}

    assert turn.verdict == ""
    assert turn.waits.startswith("0 of 9 audit tasks answered by people")
    assert turn.imports["train"] + turn.imports["audit"] == 60
    assert turn.imports["audit"] == len(audit) > 0
    assert (
        f"60 tasks came with answers, which are never votes. Training rows: {turn.imports['train']}; audit "
        in (lines_of(connected_project)["imported"])
    )
    assert "Nobody is asked these tasks." in lines_of(connected_project)["imported"]
    assert connected_project.store.votes.list_votes("7") == list(snapshot.votes) == []
    assert (agreement_figures(snapshot), annotator_figures(connected_project.store, snapshot)) == (None, [])
    assert not came.keys() & {row.task for row in connected_project.store.windows.get_window("7")}

    judged = work(connected_project)
    last = connected_project.store.records.get_latest_record("7", "training")
    assert last is not None
    assert judged.verdict.startswith("promoted")
    assert set(last.body["imported"]) == {came[task] for task in came.keys() - audit}
    assert not set(last.body["annotations"]) & set(came.values())
    assert not {row["task"] for row in load_rows(connected_project, audit)}
    status = project_status(connected_project.store, row_of(connected_project))
    assert status["model"]["imported"] == len(came) - len(audit)
    assert status["audit_accuracy"] is not None
    assert status["closure_rate"] <= 1.0
    assert f", {len(came) - len(audit)} of them imported, by text-choices" in lines_of(connected_project)["model"]


def load_rows(project: ConnectedProject, tasks: set[int]) -> list[dict[str, Any]]:
    """What any training learned of these tasks."""
    trained = project.store.records.list_records("7", "training", limit=None)
    return [{"task": task} for record in trained for task in record.body["tasks"] if task in tasks]


def test_the_answer_of_a_person_replaces_what_was_imported(connected_project: ConnectedProject):
    came = come_with(connected_project, 60)
    connected_project.turn()
    roles = snapshot_of(connected_project).roles
    task = next(task for task in came if roles[task] == "train")
    right = truth(str(connected_project.studio.tasks[task].data["text"]))
    vote = connected_project.studio.answer(task, ("fruit", "tool")[right == "fruit"], person=3)
    work(connected_project)

    last = connected_project.store.records.get_latest_record("7", "training")
    assert last is not None
    assert vote in last.body["annotations"]
    assert came[task] not in last.body["imported"]
    assert "; answered by people as well, whose answers count instead: 1." in lines_of(connected_project)["imported"]


@pytest.mark.parametrize("use", ["train", "ignore"])
def test_what_a_model_said_is_no_import(connected_project: ConnectedProject, use: str):
    connected_project.connect(policy(use=use), bots=(BOT,))
    come_with(connected_project, 40)
    tasks = sorted(connected_project.studio.tasks)
    copied = [connected_project.studio.come_with(task, "fruit", parent_prediction=5) for task in tasks[40:60]]
    by_bot = [connected_project.studio.come_with(task, "fruit", person=BOT) for task in tasks[60:80]]
    turn = connected_project.turn()

    assert turn.imports.get("train", 0) == (
        len(set(tasks[:40]) & trained_tasks(connected_project)) if use == "train" else 0
    )
    assert not {vote.annotation for given in snapshot_of(connected_project).imports.values() for vote in given} & {
        *copied,
        *by_bot,
    }
    assert "somebody made annotations, which no model learns: 20." in lines_of(connected_project)["imported"]
    if use == "ignore":
        assert turn.waits.startswith("0 of 8 training tasks answered")
        assert "The policy ignores them" in lines_of(connected_project)["imported"]


def trained_tasks(project: ConnectedProject) -> set[int]:
    snapshot = snapshot_of(project)
    return {task for task, role in snapshot.roles.items() if role == "train"}


def test_where_all_tasks_came_answered_the_audit_can_be_asked(connected_project: ConnectedProject):
    come_with(connected_project, 120)
    turn = connected_project.turn()
    assert turn.waits.startswith("no audit task is left that people could answer")
    assert turn.verdict == ""
    assert connected_project.studio.next_task(2) is None

    connected_project.connect(policy(ask="audit"))
    connected_project.turn()
    roles = snapshot_of(connected_project).roles
    asked = {task for task, row in connected_project.studio.tasks.items() if not row.is_labeled}
    assert asked == {task for task, role in roles.items() if role != "train"}
    assert all(row.blind for row in connected_project.store.windows.get_window("7"))
    assert work(connected_project).verdict.startswith("promoted")


def test_as_gold_they_measure_people_until_the_policy_says_otherwise(connected_project: ConnectedProject):
    connected_project.connect(policy(use="gold"))
    came = come_with(connected_project, 30)
    turn = connected_project.turn()

    assert turn.imports["gold"] == 30
    book = load_gold_tasks(connected_project.store, "7")
    assert book.keys() == came.keys()
    assert all(gold.imported for gold in book.values())
    assert all(not connected_project.studio.tasks[task].is_labeled for task in came)  # everybody is asked
    for place, task in enumerate(sorted(came)):  # every third answer is wrong
        right = truth(str(connected_project.studio.tasks[task].data["text"]))
        given = ("fruit", "tool")[right == "fruit"] if place % 3 == 0 else right
        connected_project.studio.answer(task, given, person=2)
    connected_project.turn()
    (figures,) = annotator_figures(connected_project.store, snapshot_of(connected_project))
    assert (figures["against"], figures["compared"]) == ("gold", 30)
    assert figures["accuracy"]["value"] == pytest.approx(20 / 30, abs=0.01)

    connected_project.connect(policy())
    turn = connected_project.turn()
    assert load_gold_tasks(connected_project.store, "7") == {}
    assert turn.imports["answered"] == 30


def test_no_imported_answer_is_gold_that_nobody_could_give(connected_project: ConnectedProject):
    connected_project.connect(policy(use="gold"))
    first, second, third, *_others = sorted(connected_project.studio.tasks)
    connected_project.studio.come_with(first, "fruit")
    connected_project.studio.come_with(second, "stone")
    for label in ("fruit", "tool"):
        connected_project.studio.come_with(third, label)
    turn = connected_project.turn()

    assert load_gold_tasks(connected_project.store, "7").keys() == {first}
    assert (turn.imports["gold"], turn.imports["other"]) == (1, 2)


def test_imported_answers_that_teach_nothing_are_told_with_the_reason(connected_project: ConnectedProject):
    for task in sorted(connected_project.studio.tasks)[:40]:
        connected_project.studio.come_with(task, "Fruit")
    turn = connected_project.turn()

    assert turn.imports["train"] == 0
    told = lines_of(connected_project)["imported"]
    assert f": {turn.imports['other']} (most often: the label 'Fruit' is not in the label config)." in told


def test_of_several_imported_answers_the_majority_teaches(connected_project: ConnectedProject):
    came = come_with(connected_project, 3)
    connected_project.turn()
    first, second, third = sorted(came)
    for task, labels in ((first, ("fruit", "fruit", "tool")), (second, ("fruit", "tool")), (third, ())):
        connected_project.studio.annotations = {
            number: row for number, row in connected_project.studio.annotations.items() if row.task != task
        }
        for label in labels:
            connected_project.studio.come_with(task, label)
        connected_project.studio.tasks[task] = replace(
            connected_project.studio.tasks[task], updated_at=connected_project.studio._tick()
        )
    connected_project.turn()
    imports = snapshot_of(connected_project).imports

    assert {task: len(given) for task, given in imports.items()} == {first: 3, second: 2}


def test_imported_answers_with_a_label_that_changed_its_meaning_teach_no_more(connected_project: ConnectedProject):
    came = come_with(connected_project, 40)
    before = connected_project.turn().imports
    imports = [vote for given in snapshot_of(connected_project).imports.values() for vote in given]
    labels = ["fruit", "tool"]
    record_label_change(connected_project.store, "7", imports, labels, label="fruit", now_s=1.0)
    after = connected_project.turn().imports

    assert set(snapshot_of(connected_project).imports) == {
        task for task in came if truth(str(connected_project.studio.tasks[task].data["text"])) == "tool"
    }
    assert 0 < after["train"] < before["train"]
