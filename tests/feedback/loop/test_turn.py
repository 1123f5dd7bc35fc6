"""The loop over a real store and real models; Label Studio is the fake that passes the platform's contract."""

from __future__ import annotations

import pytest

from feedback.ingest.webhook_handler import WebhookHandler
from feedback.policy.schema import Overlap, Train
from feedback.reports.project_status import project_status
from feedback.reports.status_text import status_lines
from feedback.training.challenger import learned_annotations
from ml_backend.errors import LabelStudioError
from ml_backend.predictor import NO_MODEL_VERSION
from ml_backend.registry import FolderRegistry
from tests.support.connected_project import POLICY, ConnectedProject


def test_the_first_turn_asks_without_faking_an_answer(connected_project: ConnectedProject):
    turn = connected_project.turn()

    assert turn.window == f"{NO_MODEL_VERSION}+q1"
    rows = connected_project.store.windows.get_window("7")
    assert len(rows) == 30
    assert all(row.answer is None and row.confidence is None for row in rows)
    assert connected_project.studio.version == turn.window
    assert turn.waits.startswith("0 of 8 training tasks answered; 8 more needed")
    assert (
        turn.waits
        in dict(
            status_lines(project_status(connected_project.store, connected_project.store.projects.list_projects()[0]))
        )["model"]
    )


def test_answers_are_collected_where_drafts_cannot_be_counted(
    connected_project: ConnectedProject, monkeypatch: pytest.MonkeyPatch
):
    def refuse(_project: str) -> int:
        raise LabelStudioError("Label Studio answered 500.", status=500)

    monkeypatch.setattr(connected_project.studio, "count_drafts", refuse)

    turn = connected_project.turn()

    assert turn.collected == 120
    assert turn.notes == ("drafts are not counted: Label Studio answered 500.",)


def test_half_of_the_first_questions_feed_the_audit(connected_project: ConnectedProject):
    connected_project.turn()
    rows = connected_project.store.windows.get_window("7")

    assert 13 <= sum(row.blind for row in rows) <= 17


def test_answers_become_a_model_that_serves_and_orders(connected_project: ConnectedProject):
    connected_project.turn()
    given = connected_project.label(25)
    turn = connected_project.turn()

    assert turn.verdict.startswith("promoted")
    assert turn.version.startswith("m")
    assert turn.waits == ""
    learned = learned_annotations(connected_project.store, "7", turn.version)
    assert learned
    assert learned <= set(given)
    assert turn.window == f"{turn.version}+q2"
    shown = [row for row in connected_project.store.windows.get_window("7") if row.answer is not None]
    assert shown
    assert all(0.5 <= float(row.confidence or 0) <= 1.0 for row in shown)
    assert connected_project.studio.next_task(1) == connected_project.store.windows.get_window("7")[0].task
    assert FolderRegistry(connected_project.folder).champion("7") == connected_project.store.registry.champion("7")


def test_audit_answers_are_never_learned_from(connected_project: ConnectedProject):
    connected_project.turn()
    connected_project.label(40)
    turn = connected_project.turn()
    blind = {row.task for row in connected_project.store.windows.get_window("7", f"{NO_MODEL_VERSION}+q1") if row.blind}
    audited = {one.id for one in connected_project.studio.annotations.values() if one.task in blind}

    assert audited
    assert not audited & learned_annotations(connected_project.store, "7", turn.version)


def test_a_turn_without_news_writes_nothing(connected_project: ConnectedProject):
    connected_project.turn()
    connected_project.label(25)
    connected_project.turn()
    before = (
        connected_project.studio.writes,
        len(connected_project.store.records.list_records("7", "verdict")),
        connected_project.store.registry.versions("7"),
    )
    again = connected_project.turn()

    assert (again.verdict, again.asked, again.collected) == ("", "", 0)
    assert (
        connected_project.studio.writes,
        len(connected_project.store.records.list_records("7", "verdict")),
        connected_project.store.registry.versions("7"),
    ) == before


def test_under_one_model_the_window_grows_at_its_end(connected_project: ConnectedProject):
    connected_project.turn()
    connected_project.label(19)
    connected_project.connect(POLICY.model_copy(update={"train": Train(min_rows=500)}))
    turn = connected_project.turn()
    rows = connected_project.store.windows.get_window("7")

    assert turn.window == f"{NO_MODEL_VERSION}+q1"
    assert "11 of 30 rows are left" in turn.asked
    assert len(rows) == 30 + 19
    assert len({row.task for row in rows}) == len({row.place for row in rows}) == 49


def test_a_second_opinion_is_asked_in_place_and_blind(connected_project: ConnectedProject):
    connected_project.connect(POLICY.model_copy(update={"overlap": Overlap(share=1.0, votes=2)}))
    connected_project.turn()
    connected_project.label(2, person=1)
    connected_project.label(1, person=2)
    turn = connected_project.turn()
    again = [task.id for task in connected_project.studio.tasks.values() if task.overlap == 2 and not task.is_labeled]

    assert turn.reopened == len(again) == 3
    assert turn.settled == 0
    assert all(row.blind for row in connected_project.store.windows.get_window("7") if row.task in again)
    assert connected_project.studio.next_task(2) in again
    connected_project.label(2, person=2)
    connected_project.label(1, person=1)
    assert connected_project.turn().settled == 3


def test_a_project_with_overlap_reaches_its_votes_by_re_opening(connected_project: ConnectedProject):
    connected_project.connect(overlap=3)
    connected_project.turn()
    task = connected_project.studio.next_task(1)
    assert task is not None
    for person in (1, 2, 3):
        assert not connected_project.studio.tasks[task].is_labeled
        connected_project.studio.answer(task, "fruit", person=person)
        turn = connected_project.turn()

    assert turn.settled == 1
    assert connected_project.studio.tasks[task].is_labeled


def test_a_paused_project_learns_but_is_not_written_to(connected_project: ConnectedProject):
    connected_project.turn()
    connected_project.label(25)
    writes = connected_project.studio.writes
    connected_project.connect(paused=True)
    turn = connected_project.turn()

    assert turn.verdict.startswith("promoted")
    assert connected_project.studio.writes == writes
    assert any("paused" in note for note in turn.notes)
    connected_project.connect(paused=False)
    assert connected_project.turn().window == f"{turn.version}+q2"


def test_a_turn_that_was_under_way_when_a_training_was_requested_does_not_finish_it(
    connected_project: ConnectedProject,
):
    webhook, jobs = WebhookHandler(connected_project.store), list[str]()

    def press_the_button(*_arguments: object, **_options: object) -> dict[str, str]:
        if not jobs:
            jobs.append(webhook({"action": "START_TRAINING", "project": {"id": 7}})["job"])
        return describe("7")

    describe = connected_project.studio.describe_project
    connected_project.studio.describe_project = press_the_button  # type: ignore[method-assign]  # in the first stage
    connected_project.turn()
    during = webhook.job_status(jobs[0])
    connected_project.turn()

    assert (during, webhook.job_status(jobs[0])) == ("queued", "finished")
