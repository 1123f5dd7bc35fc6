"""The contract of `LabellingPlatform`: the fake in memory and the adapter to a real Label Studio behave alike."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
from feedback.store import Store, WindowRow
from ml_backend.label_config import read_label_config
from ml_backend.labelstudio.review_project_client import ReviewProjectSettings, ReviewTask
from ml_backend.records import Answer
from tests.support.fake_platform import TEXT_CONFIG, FakeLabelStudio
from tests.support.real_platform import RealLabelStudio
from tests.support.review_results import choice_region

ADA, BEN = 1, 2
CONTROL = read_label_config(TEXT_CONFIG).control()
REVIEW_CONFIG = TEXT_CONFIG.replace("</View>", '<TextArea name="why" toName="text"/></View>')

AnyLabelStudio = FakeLabelStudio | RealLabelStudio


@pytest.fixture(params=["in memory", pytest.param("on Label Studio", marks=pytest.mark.e2e)])
def label_studio(request: pytest.FixtureRequest, store: Store) -> Iterator[AnyLabelStudio]:
    if request.param == "in memory":
        yield FakeLabelStudio(people={ADA: "ada@example.com"})
        return
    made = RealLabelStudio(request.getfixturevalue("site"), store)
    yield made
    made.close()


def window(*tasks: int, version: str = "m1+q1") -> list[WindowRow]:
    answer = Answer("choices", ("fruit",))
    return [
        WindowRow(task, version, place, answer, 0.9, blind=False, prediction=None, written_s=0.0)
        for place, task in enumerate(tasks)
    ]


def review_project(label_studio: AnyLabelStudio) -> str:
    marker = f"[hitl:{label_studio.project}:L2]"
    settings = ReviewProjectSettings(marker, "Review", REVIEW_CONFIG, "What reviewers see.")
    return label_studio.platform.ensure_review_project(settings, known="").id


def review_task(text: str, *, urgency: float = 0.5, readers: int = 1) -> ReviewTask:
    return ReviewTask({"text": text}, (choice_region("kind", "text", "fruit"),), urgency, readers)


@pytest.mark.parametrize("implementation", [FakeLabelStudio, LabelStudioAdapter])
def test_every_method_is_there_with_the_same_parameters(implementation: type):
    names = [name for name in vars(LabellingPlatform) if not name.startswith("_")]
    assert len(names) > 15

    for name in names:
        wanted, given = getattr(LabellingPlatform, name), getattr(implementation, name)
        if isinstance(wanted, property):
            assert isinstance(given, property), name
        else:
            assert inspect.signature(given).parameters.keys() == inspect.signature(wanted).parameters.keys(), name


def test_a_project_is_described_and_its_changes_are_listed_from_a_moment_on(label_studio: AnyLabelStudio):
    first, second = label_studio.add("a", "b")
    description = label_studio.platform.describe_project(label_studio.project)
    before = label_studio.platform.get_last_change_time(label_studio.project)
    annotation = label_studio.answer(second, "fruit", person=ADA)
    changed = {task.id: given for task, given in label_studio.platform.list_changed_tasks(label_studio.project, "")}
    later = {task.id: given for task, given in label_studio.platform.list_changed_tasks(label_studio.project, before)}

    assert read_label_config(str(description["label_config"])).control() == CONTROL
    assert set(changed) == {first, second}
    assert [row.id for row in changed[second]] == [annotation]
    assert [row.person for row in changed[second]] == [label_studio.number(ADA)]
    assert second in later
    assert label_studio.platform.get_last_change_time(label_studio.project) >= before


def test_pages_hold_all_tasks_once_and_the_last_page_is_marked(label_studio: AnyLabelStudio):
    tasks = label_studio.add("a", "b", "c")
    label_studio.answer(tasks[0], "tool", person=ADA)
    first = label_studio.platform.get_tasks_page(label_studio.project, above=0, size=2)
    second = label_studio.platform.get_tasks_page(label_studio.project, above=tasks[1], size=2)

    assert [task.id for task, _given in first.tasks] == tasks[:2]
    assert [len(first.annotation_ids[task]) for task in tasks[:2]] == [1, 0]
    assert (first.next_above, second.next_above) == (tasks[1], None)
    assert list(second.annotation_ids) == tasks[2:]


def test_the_queue_is_served_in_the_order_of_its_places(label_studio: AnyLabelStudio):
    one, two, three = label_studio.add("a", "b", "c")
    written = label_studio.platform.write_queue(
        label_studio.project, window(three, one, two), CONTROL, head=1, stop=lambda: False
    )
    repeated = label_studio.platform.write_queue(
        label_studio.project, window(three, one, two), CONTROL, head=1, stop=lambda: False
    )
    served = []
    while (task := label_studio.next_task(ADA)) is not None:
        served.append(task)
        label_studio.answer(task, "fruit", person=ADA)

    assert (written.rows, written.complete) == (repeated.rows, repeated.complete) == (3, True)
    assert served == [three, one, two]


def test_a_queue_write_that_is_stopped_is_not_complete(label_studio: AnyLabelStudio):
    tasks = label_studio.add("a", "b", "c")

    written = label_studio.platform.write_queue(
        label_studio.project, window(*tasks), CONTROL, head=3, stop=lambda: True
    )

    assert not written.complete


def test_a_hidden_task_is_served_to_nobody_until_it_is_reopened(label_studio: AnyLabelStudio):
    hidden, shown = label_studio.add("a", "b")
    assert label_studio.platform.hide_task(label_studio.project, hidden).is_labeled

    assert label_studio.platform.list_servable_tasks(label_studio.project, [hidden, shown]) == [shown]
    assert label_studio.next_task(ADA) == shown
    assert label_studio.platform.reopen_task(label_studio.project, hidden, 1).project == label_studio.project
    assert label_studio.platform.list_servable_tasks(label_studio.project, [hidden]) == [hidden]


def test_a_reopened_task_goes_to_another_person(label_studio: AnyLabelStudio):
    (task,) = label_studio.add("a")
    label_studio.answer(task, "fruit", person=ADA)
    assert label_studio.next_task(BEN) is None

    reopened = label_studio.platform.reopen_task(label_studio.project, task, 2)

    assert (reopened.overlap, reopened.is_labeled) == (2, False)
    assert label_studio.next_task(ADA) is None
    assert label_studio.next_task(BEN) == task


def test_a_final_answer_is_written_once(label_studio: AnyLabelStudio):
    (task,) = label_studio.add("a")
    result = [choice_region("kind", "text", "tool")]
    name = "6f2d7f4e-1c0b-5c59-9a51-0d4a0c3f7a10"
    first = label_studio.platform.write_final_answer(label_studio.project, task, result, unique_id=name, ours=[name])
    second = label_studio.platform.write_final_answer(label_studio.project, task, result, unique_id=name, ours=[name])

    assert first == second
    assert first[1]  # it is the ground truth
    assert (label_studio.final(task), label_studio.written(task)) == ("tool", 1)


def test_a_review_project_is_made_once_and_serves_the_most_urgent_task_first(label_studio: AnyLabelStudio):
    project = review_project(label_studio)
    made = label_studio.platform.import_review_tasks(
        project, [review_task("calm", urgency=0.7), review_task("urgent", urgency=0.0)]
    )

    assert review_project(label_studio) == project
    assert [task.data["text"] for task in made] == ["calm", "urgent"]
    assert [task.data["text"] for task in label_studio.waiting(project, ADA)] == ["urgent", "calm"]
    assert next(iter(label_studio.shown(made[0].id)))["value"] == {"choices": ["fruit"]}


def test_a_review_task_is_completed_updated_and_deleted(label_studio: AnyLabelStudio):
    project = review_project(label_studio)
    (made,) = label_studio.platform.import_review_tasks(project, [review_task("a")])
    label_studio.platform.complete_review_tasks(project, {made.id: review_task("a", readers=2)})
    updated = label_studio.platform.update_review_task(project, made.id, {"text": "a", "more": "b"})

    assert (updated.data, updated.overlap) == ({"text": "a", "more": "b"}, 2)
    assert label_studio.platform.delete_review_task(project, made.id)
    assert label_studio.platform.delete_review_task(project, made.id)  # it is gone already
    assert label_studio.waiting(project, ADA) == []


def test_a_review_task_gets_an_answer_later_without_a_new_prediction(label_studio: AnyLabelStudio):
    project = review_project(label_studio)
    empty = [ReviewTask({"text": text}, (), urgency) for text, urgency in (("a", 0.5), ("b", 0.4))]
    made, other = label_studio.platform.import_review_tasks(project, empty)
    later = review_task("a", urgency=0.1)
    label_studio.platform.update_review_task(project, made.id, {"text": "a"}, proposal=later)

    assert [region["value"] for region in label_studio.shown(made.id)] == [{"choices": ["fruit"]}]
    assert [task.id for task in label_studio.waiting(project, ADA)] == [made.id, other.id]
    assert label_studio.platform.complete_review_tasks(project, {made.id: later}) == 0  # one prediction, with its score


def test_an_answered_review_task_is_deleted_only_on_demand(label_studio: AnyLabelStudio):
    project = review_project(label_studio)
    (made,) = label_studio.platform.import_review_tasks(project, [review_task("a")])
    label_studio.review(project, "", "tool", person=ADA, task=made.id)

    assert not label_studio.platform.delete_review_task(project, made.id)
    assert label_studio.platform.delete_review_task(project, made.id, answered=True)


def test_drafts_and_emails_are_listed_by_person(label_studio: AnyLabelStudio):
    project = review_project(label_studio)
    begun, other = label_studio.platform.import_review_tasks(project, [review_task("a"), review_task("b")])
    label_studio.draft(begun.id, person=ADA)
    found = label_studio.platform.list_first_drafts([begun.id, other.id])

    assert {task: person for task, (person, _at_s) in found.items()} == {begun.id: label_studio.number(ADA)}
    assert label_studio.platform.list_emails()[label_studio.number(ADA)] == "ada@example.com"
