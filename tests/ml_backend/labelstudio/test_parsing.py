"""Webhook bodies shaped as Label Studio 1.23 sends them, whole and broken, become records or reasons."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_backend.errors import BodyError
from ml_backend.labelstudio.parsing import Deleted, read_annotation, read_project_id, read_task, read_webhook, utc
from tests.support.hypothesis_profiles import examples

CONFIG = '<View><Text name="text" value="$text"/><Choices name="c" toName="text"><Choice value="A"/></Choices></View>'


def project(**more: Any) -> dict[str, Any]:
    secrets = {"token": "s3cr3t-token", "task_data_login": "s3cr3t-user", "task_data_password": "s3cr3t-pass"}
    return {"id": 15, "title": "hooks", "label_config": CONFIG, **secrets, **more}


def task(number: int = 115, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "data": {"text": "t0"},
        "meta": {"m": 0},
        "created_at": "2026-11-20T04:23:27.189597Z",
        "updated_at": "2026-11-20T04:23:27.851895Z",
        "is_labeled": True,
        "overlap": 2,
        "project": 15,
        **more,
    }


def annotation(number: int = 66, **more: Any) -> dict[str, Any]:
    region = {"from_name": "c", "to_name": "text", "type": "choices", "value": {"choices": ["A"]}, "id": "r1"}
    return {
        "id": number,
        "result": [region],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-11-20T04:23:27.839884Z",
        "updated_at": "2026-11-20T04:23:27.839901Z",
        "lead_time": 12.3,
        "prediction": {},
        "unique_id": "9a5727f2",
        "import_id": None,
        "bulk_created": False,
        "task": 115,
        "project": 15,
        "completed_by": 2,
        "updated_by": 2,
        "parent_prediction": None,
        **more,
    }


def test_a_submit_gives_its_annotation_its_task_and_the_label_config():
    body = {"action": "ANNOTATION_CREATED", "annotation": annotation(), "task": task(), "project": project()}

    intake = read_webhook(body)

    assert (intake.project, intake.title, intake.label_config, intake.skipped) == ("15", "hooks", CONFIG, ())
    [read] = intake.annotations
    assert (read.id, read.task, read.project, read.person, read.lead_time_s) == (66, 115, "15", 2, 12.3)
    assert read.result[0]["value"] == {"choices": ["A"]}
    assert not read.imported
    [its_task] = intake.tasks
    assert (its_task.id, its_task.data, its_task.is_labeled, its_task.overlap) == (115, {"text": "t0"}, True, 2)


def test_a_skip_is_a_cancelled_annotation_without_result():
    skip = annotation(result=[], was_cancelled=True, lead_time=None)
    [read] = read_webhook({"action": "ANNOTATION_CREATED", "annotation": skip, "project": project()}).annotations

    assert read.was_cancelled
    assert read.result == ()
    assert not read.imported


def test_annotations_made_from_predictions_come_as_a_list_under_the_singular_key_and_are_nobodys_work():
    made = {"lead_time": None, "updated_by": None, "result_count": 0}
    body = {
        "action": "ANNOTATIONS_CREATED",
        "annotation": [
            annotation(70, task=118, parent_prediction=170, **made),
            annotation(71, task=119, parent_prediction=171, **made),
        ],
        "task": [task(118), task(119)],
        "project": project(),
    }

    intake = read_webhook(body)

    assert [(a.id, a.task, a.parent_prediction, a.imported) for a in intake.annotations] == [
        (70, 118, 170, True),
        (71, 119, 171, True),
    ]
    assert [t.id for t in intake.tasks] == [118, 119]


@pytest.mark.parametrize(
    ("marks", "imported"),
    [
        ({"import_id": 9}, True),
        ({"bulk_created": True}, True),
        ({"updated_by": None, "lead_time": None}, True),
        ({"updated_by": None, "lead_time": 4.0}, True),
        ({"updated_by": None, "lead_time": 4.0, "created_at": "2022-05-01T00:00:00Z"}, False),  # before the column
        ({"lead_time": None}, False),  # a submit through the API
    ],
)
def test_what_was_written_in_bulk_is_imported(marks: dict[str, Any], imported: bool):
    assert read_annotation(annotation(**marks), "15").imported is imported


def test_deletions_name_ids_and_no_task():
    annotations = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 67}, {"id": 69}], "project": project()}
    tasks = {"action": "TASKS_DELETED", "tasks": [{"id": 120}], "project": project()}

    assert read_webhook(annotations).deleted == (Deleted("annotation", 67), Deleted("annotation", 69))
    assert read_webhook(tasks).deleted == (Deleted("task", 120),)
    assert read_webhook({"action": "PROJECT_DELETED", "project": {"id": 15}}).deleted == (Deleted("project", 15),)


def test_an_import_is_its_tasks():
    intake = read_webhook({"action": "TASKS_CREATED", "tasks": [task(1), task(2)], "project": project()})

    assert [t.id for t in intake.tasks] == [1, 2]
    assert intake.annotations == ()


def test_a_changed_project_and_the_training_button_carry_the_label_config():
    for action in ("PROJECT_UPDATED", "START_TRAINING"):
        intake = read_webhook({"action": action, "project": project(title="new")})

        assert (intake.action, intake.project, intake.title, intake.label_config) == (action, "15", "new", CONFIG)


def test_secrets_of_the_project_are_carried_nowhere():
    body = {"action": "ANNOTATION_CREATED", "annotation": annotation(), "task": task(), "project": project()}

    assert "s3cr3t" not in repr(read_webhook(body))


def test_one_broken_record_costs_only_itself():
    broken: list[Any] = [annotation(1), None, {"id": "x"}, annotation(2, updated_at=None), annotation(3, project=99)]
    body = {
        "action": "ANNOTATIONS_CREATED",
        "annotation": [*broken, annotation(4, task=None), annotation(5)],
        "task": [task(115), task(116, data=None)],
        "project": project(),
    }

    intake = read_webhook(body)

    assert [a.id for a in intake.annotations] == [1, 4, 5]  # 4 is of the only task that could be read
    assert [t.id for t in intake.tasks] == [115]
    assert intake.skipped == (
        "task 116 has no data; wanted an object in 'data'.",
        "an annotation is missing; wanted an object.",
        "the id of this annotation is a text or out of range; wanted a positive integer.",
        "annotation 2 has no updated_at; with the id it names one version.",
        "annotation 3 belongs to project 99, but came with project 15.",
    )


def test_a_million_broken_records_do_not_give_a_million_reasons():
    intake = read_webhook({"action": "TASKS_CREATED", "tasks": [None] * 500, "project": project()})

    assert len(intake.skipped) == 21
    assert intake.skipped[-1] == "and 480 more like these"


@pytest.mark.parametrize(("result", "kept"), [(None, ()), ([], ()), ({}, ({},)), ("x", ("x",)), ([None], (None,))])
def test_a_garbage_result_is_kept_for_the_decoder_to_name(result: Any, kept: tuple[Any, ...]):
    assert read_annotation(annotation(result=result), "15").result == kept


def test_unknown_events_and_bodies_without_payload_are_ignored_with_the_reason():
    linked = read_webhook({"action": "LABEL_LINK_CREATED", "project": {"id": 3}})
    bare = read_webhook({"action": "ANNOTATION_CREATED"})

    assert (linked.project, linked.ignored) == ("3", "unknown event 'LABEL_LINK_CREATED'")
    assert bare.ignored == "ANNOTATION_CREATED without payload: turn on 'Send payload' in the webhook's settings"
    assert len(read_webhook({"action": "Z" * 10_000}).ignored) < 100


@pytest.mark.parametrize("body", [None, [], "x", 1, {}, {"action": None}, {"action": 7}, {"action": " "}])
def test_what_is_no_event_is_refused(body: Any):
    with pytest.raises(BodyError):
        read_webhook(body)


@pytest.mark.parametrize(
    "raw",
    [
        "../../etc",
        "",
        "None/..",
        "1/2",
        "1.2.3",
        "a" * 65,
        "１２",
        "1\n",
        "-1",
        ".1",
        None,
        True,
        0,
        -1,
        2**63,
        1.17,
        [],
        {},
    ],
)
def test_a_hostile_project_id_is_refused_with_a_hint(raw: Any):
    with pytest.raises(BodyError) as caught:
        read_project_id(raw)

    assert "1795148243" in caught.value.hint
    with pytest.raises(BodyError):
        read_webhook({"action": "PROJECT_UPDATED", "project": {"id": raw}})


def test_a_webhook_wants_the_number_of_a_project():
    with pytest.raises(BodyError, match="wanted its number"):
        read_webhook({"action": "PROJECT_UPDATED", "project": "abc"})


def test_the_project_is_read_from_the_records_where_the_body_has_none():
    assert read_webhook({"action": "ANNOTATION_CREATED", "annotation": annotation()}).project == "15"
    assert read_webhook({"action": "TASKS_CREATED", "tasks": [task()]}).project == "15"


def test_times_sort_as_texts_whatever_label_studio_left_out():
    whole, fraction = utc("2026-11-20T04:23:27Z"), utc("2026-11-20T04:23:27.8Z")

    assert whole < fraction
    assert utc("2026-11-20T05:23:27+01:00") == whole == utc("2026-11-20T04:23:27")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:00", "\x00"])
def test_a_text_that_is_no_time_is_refused(text: str):
    with pytest.raises(BodyError):
        utc(text)


def test_a_task_without_times_is_still_a_task():
    read = read_task({"id": 1, "data": {}, "overlap": "many", "created_at": 5, "updated_at": "soon"})

    assert (read.overlap, read.created_at, read.updated_at, read.project) == (1, "", "", "")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "project", "task", "data", "result", "updated_at", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.sampled_from(["ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "TASKS_CREATED", "TASKS_DELETED", "PROJECT_DELETED"]),
    st.dictionaries(st.sampled_from(["annotation", "annotations", "task", "tasks", "project"]), ANYTHING, max_size=4),
)
def test_any_json_becomes_records_or_a_reason(action: str, rest: dict[str, Any]):
    try:
        intake = read_webhook({"action": action, **rest})
    except BodyError:
        return
    assert intake.action == action
    orjson.dumps([intake.skipped, [a.id for a in intake.annotations], [t.id for t in intake.tasks]])
