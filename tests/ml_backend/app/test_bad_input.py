"""Bad input: a 4xx with a hint, or an empty result; never a 5xx, a traceback or a lost neighbour."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from ml_backend.app import Limits
from tests.support.posted import client, predict_body, setup_body
from tests.support.serving import CONFIG, predicted_labels

POSTS = (
    "/predict",
    "/setup",
    "/webhook",
    "/validate",
    "/train",
    "/job_status",
    "/delete",
    "/duplicate_model",
    "/versions",
)
BAD_REQUEST_BODIES = {
    "empty": b"",
    "no json": b"hello",
    "half": b'{"project": "1"',
    "not utf-8": b'{"project": "\xff\xfe"}',
    "utf-16": '{"project": "1"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"project": "1"}',
    "null": b"null",
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"7",
    "no keys": b"{}",
}


@pytest.mark.parametrize("odd", [b'"\\ud800 B"', b"NaN", b"-Infinity", b"1e999", b'"\\udfff\\u0000"'])
def test_what_python_writes_and_json_does_not_know_costs_no_other_task_of_the_body(odd: bytes):
    tasks = (
        b'[{"id": 1, "data": {"text": "A"}}, {"id": 2, "data": {"text": %s}}, {"id": 3, "data": {"text": "B"}}]' % odd
    )
    body = b'{"project": "1", "label_config": %s, "tasks": %s}' % (orjson.dumps(CONFIG), tasks)

    answer = client().post("/predict", data=body)

    assert answer.status_code == 200
    assert predicted_labels(answer.json["results"]) == ["A", None, "B"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("depth", [255, 900, 5_000])
def test_what_is_nested_too_deep_is_refused_as_too_much(path: str, depth: int):
    body = b'{"project": "1", "tasks": ' + b"[" * depth + b"]" * depth + b"}"

    answer = client().post(path, data=body)

    assert (answer.status_code, "nested deeper" in answer.json["error"]) == (413, True)


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", BAD_REQUEST_BODIES.values(), ids=BAD_REQUEST_BODIES.keys())
def test_a_bad_body_is_answered_400_with_a_hint(path: str, body: bytes):
    answer = client().post(path, data=body, content_type="application/json")

    assert answer.status_code == 400 or (path == "/webhook" and body == b"{}")
    if answer.status_code == 400:
        assert set(answer.json) == {"error", "hint"}
        assert answer.json["error"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", "application/ld+json", "", None]
)
def test_json_is_read_in_every_type_that_says_so_and_without_any(content_type: str | None):
    body = orjson.dumps(predict_body("1", "A"))

    answer = client().post("/predict", data=body, content_type=content_type)

    assert predicted_labels(answer.json["results"]) == ["A"]


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "garbage/;;"],
)
def test_a_body_that_a_page_of_another_site_could_send_is_not_read(content_type: str):
    body = orjson.dumps(predict_body("1", "A"))

    answer = client().post("/predict", data=body, content_type=content_type)

    assert answer.status_code == 415
    assert "application/json" in answer.json["hint"]


HOSTILE = ["../../x", "..", "", "1/../2", "a" * 10_000, "1\x00", None, True, -1, 2**70, 1.5, [], {}, {"id": 1}]


@pytest.mark.parametrize("project", HOSTILE, ids=repr)
def test_a_hostile_project_id_is_refused_everywhere(project: Any):
    backend = client()

    for path, body in (
        ("/predict", predict_body(project)),
        ("/setup", setup_body(project)),
        ("/versions", {"project": project}),
        ("/delete", {"project": project}),
        ("/duplicate_model", {"project_src": "1", "project_dst": project}),
        ("/train", {"project": project}),
    ):
        answer = backend.post(path, json=body)
        assert (path, answer.status_code) == (path, 400)
        assert "1795148243" in answer.json["hint"]
        assert len(answer.json["error"]) < 200


@pytest.mark.parametrize("tasks_value", [None, {}, "x", 7, True])
def test_tasks_that_are_no_list_are_refused(tasks_value: Any):
    answer = client().post("/predict", json={**predict_body(), "tasks": tasks_value})

    assert answer.status_code == 400
    assert "tasks" in answer.json["error"]


@pytest.mark.parametrize("config", [None, 7, "", "nope", "<View>", "<View><Choices name='c' toName='gone'/></View>"])
def test_an_unreadable_label_config_is_refused(config: Any):
    backend = client()

    answers = [
        backend.post("/predict", json={**predict_body("1", "A"), "label_config": config}),
        backend.post("/setup", json={**setup_body(), "schema": config}),
        backend.post("/validate", json={"config": config}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert all(answer.json["hint"] for answer in answers)


def test_broken_tasks_cost_no_neighbour():
    body = predict_body("1", "A")
    body["tasks"] = [body["tasks"][0], None, 7, "x", [], {}, {"id": "?", "data": {"text": "B"}}, {"data": 5}]

    answer = client().post("/predict", json=body)

    assert predicted_labels(answer.json["results"]) == ["A", None, None, None, None, None, "B", None]


def test_params_of_any_kind_change_nothing():
    for params in (None, [], {"tasks": 1}, "x"):
        answer = client().post("/predict", json={**predict_body("1", "A"), "params": params})

        assert predicted_labels(answer.json["results"]) == ["A"]


def test_unknown_routes_and_wrong_methods_are_json_too():
    backend = client()

    missing, wrong = backend.get("/nowhere/<script>"), backend.get("/predict")

    assert (missing.status_code, missing.json["error"]) == (404, "404 Not Found")
    assert (wrong.status_code, wrong.json["error"]) == (405, "405 Method Not Allowed")
    assert "POST" in wrong.headers["Allow"]


def test_what_is_beyond_a_limit_is_413_and_counted():
    backend = client(limits=Limits(body_bytes=3_500, tasks=3, values=1_600))

    too_large = backend.post("/predict", data=b" " * 4_000)
    too_many = backend.post("/predict", data=orjson.dumps({**predict_body("1"), "tasks": [1, 2, 3, 4]}))
    too_full = backend.post("/predict", data=b"[" + b"1," * 1_590 + b"1]" + b" " * 15)
    too_full_indeed = backend.post("/predict", data=b"[" + b"," * 1_700 + b"]")

    too_deep = [backend.post("/predict", data=b"[" * depth + b"]" * depth) for depth in (300, 1_500)]

    assert [a.status_code for a in (too_large, too_many, too_full, too_full_indeed)] == [413, 413, 400, 413]
    assert [a.status_code for a in too_deep] == [413, 413]
    assert all(a.json["hint"] for a in (too_large, too_many, too_full_indeed, *too_deep))
    counted = backend.get("/metrics").text
    met = {"bytes": 1.0, "tasks": 1.0, "values": 1.0, "depth": 2.0}
    assert all(f'hitl_serving_events_total{{event="limit_{name}"}} {times}' in counted for name, times in met.items())
