"""The app speaks Label Studio's ML backend protocol, for good input and for any other."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from ml_backend.app import create_app
from ml_backend.predictor import Predictor
from tests.support.posted import client, predict_body, setup_body
from tests.support.serving import CONFIG, FakeRegistry, predicted_labels


def test_health_is_minimal_json_and_so_is_the_root():
    for path in ("/health", "/"):
        answer = client().get(path)

        assert (answer.status_code, answer.json) == (200, {"status": "UP"})


def test_a_browser_gets_a_page_with_a_strict_content_security_policy():
    answer = client().get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})

    assert answer.mimetype == "text/html"
    assert "ML backend for Label Studio" in answer.text
    assert "<script" not in answer.text
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_predict_needs_no_setup_before():
    answer = client().post("/predict", json=predict_body("1.1700000000", "B", "A", "?"))

    assert answer.status_code == 200
    assert predicted_labels(answer.json["results"]) == ["B", "A", None]
    assert answer.json["model_version"] == "m1"


def test_setup_answers_the_version_that_predictions_carry():
    backend = client()

    version = backend.post("/setup", json={**setup_body(), "extra_params": {"a": 1}}).json

    assert version == {"model_version": "m1"}
    assert backend.post("/predict", json=predict_body("1", "A")).json["results"][0]["model_version"] == "m1"


def test_setup_of_one_project_does_not_change_the_answers_of_another():
    backend = client()

    for project, version in (("1.5", "m1"), ("2.6", "m2"), ("3.7", "hitl-0")):
        assert backend.post("/setup", json=setup_body(project)).json == {"model_version": version}
    assert backend.post("/predict", json=predict_body("1.5", "A")).json["model_version"] == "m1"


def test_a_project_without_labelling_interface_can_be_connected():
    answer = client().post("/setup", json={**setup_body(), "schema": "<View></View>"})

    assert answer.json == {"model_version": "m1"}


def test_no_tasks_give_no_results_and_the_version():
    assert client().post("/predict", json=predict_body()).json == {"results": [], "model_version": "m1"}


def test_versions_answer_to_get_and_post_with_and_without_a_project():
    backend = client()

    assert backend.get("/versions").json == {"versions": ["hitl-0"]}  # Label Studio's GET names no project
    assert backend.get("/versions?project=1.17").json == {"versions": ["m1"]}
    assert backend.post("/versions", json={"project": "2.17"}).json == {"versions": ["m2"]}
    assert backend.get("/versions", json={"project": "2.17"}).json == {"versions": ["m2"]}
    for project in ("1", "2"):
        backend.post("/setup", json=setup_body(project))
    assert backend.get("/versions").json == {"versions": ["m1", "m2"]}  # what serves, whoever asks


def test_the_optional_routes_answer_what_is_true():
    backend = client()

    validated = backend.post("/validate", json={"config": CONFIG})
    deleted = backend.post("/delete", json={"project": "1.17"})
    copied = backend.post("/duplicate_model", json={"project_src": "1.17", "project_dst": "9.17"})

    assert validated.json == {"status": "ok", "controls": ["c"]}
    assert deleted.json == {"status": "kept", "project": "1"}
    assert copied.json == {"status": "not copied", "project_src": "1", "project_dst": "9"}
    assert backend.post("/setup", json=setup_body("9.17")).json == {"model_version": "hitl-0"}


def test_events_reach_the_webhook_and_its_answer_goes_back():
    taken: list[Any] = []

    def take(body: Any) -> dict[str, Any]:
        taken.append(body)
        return {"status": "ok", "job": "1-7"}

    backend = client(webhook=take)

    assert backend.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 1}}).json["job"] == "1-7"
    assert backend.post("/webhook", json={"action": "ANNOTATION_CREATED"}).status_code == 200
    assert backend.post("/train", json={"project": "1.17", "annotations": []}).status_code == 201
    assert taken[2] == {"action": "START_TRAINING", "project": {"id": "1"}}


def test_a_backend_without_webhook_handler_ignores_events():
    assert client().post("/webhook", json={"action": "ANNOTATION_CREATED"}).json["status"] == "ignored"


def test_a_job_is_known_by_its_state_or_gone():
    backend = client(job_status={"1-7": "started"}.get)

    assert backend.post("/job_status", json={"job": "1-7"}).json == {"job_status": "started"}
    assert backend.post("/job_status", json={"job": "1-8"}).status_code == 410
    assert client().post("/job_status", json={"job": "1-7"}).status_code == 410


def test_a_webhook_whose_store_is_down_answers_without_a_traceback():
    class StoreDown(Exception):
        hint = "Look at the disk."

    def down(_body: Any) -> dict[str, Any]:
        raise StoreDown("the database cannot be written.")

    answer = client(webhook=down).post("/webhook", json={"action": "X"})

    assert answer.status_code == 503
    assert answer.json == {"error": "the database cannot be written.", "hint": "Look at the disk."}


def test_a_bug_of_ours_shows_nothing_of_our_inside():
    def bug(_body: Any) -> dict[str, Any]:
        raise KeyError("secret inside")

    answer = client(webhook=bug).post("/webhook", json={"action": "X"})

    assert answer.status_code == 500
    assert set(answer.json) == {"error", "hint"}
    assert "secret inside" not in answer.text
    assert "Traceback" not in answer.text


def test_metrics_count_requests_by_route_and_take_in_gauges():
    from ml_backend.app import Metrics

    backend = client(metrics=Metrics(lambda: {"hitl_queue_rows": 42.0, "hitl_missed_changes_total": 7.0}))
    backend.post("/predict", json=predict_body("1", "A", "B"))
    backend.get("/secret-path-of-a-caller")

    text = backend.get("/metrics").text

    assert 'hitl_request_seconds_count{route="/predict",status="200"} 1.0' in text
    assert 'hitl_request_seconds_count{route="other",status="404"} 1.0' in text
    assert 'hitl_serving_events_total{event="tasks"} 2.0' in text
    assert "hitl_queue_rows 42.0" in text
    assert "# TYPE hitl_missed_changes_total counter\nhitl_missed_changes_total 7.0" in text
    assert "secret-path" not in text


def test_gauges_that_fail_do_not_hide_the_counters():
    from ml_backend.app import Metrics

    def down() -> dict[str, float]:
        raise OSError("the database is down")

    backend = client(metrics=Metrics(down))
    backend.get("/health")

    answer = backend.get("/metrics")

    assert answer.status_code == 200
    assert 'route="/health"' in answer.text


@pytest.mark.slow
def test_a_hundred_thousand_tasks_in_one_body_all_get_their_result():
    texts = ["A", "B", "?", "A"] * 25_000
    body = orjson.dumps(predict_body("1", *texts))

    answer = client().post("/predict", data=body)

    results = orjson.loads(answer.data)["results"]
    assert len(results) == 100_000
    assert predicted_labels(results) == [None if text == "?" else text for text in texts]


def test_the_openapi_document_names_every_route():
    app = create_app(Predictor(FakeRegistry()))
    rules = {(rule.rule, method.lower()) for rule in app.url_map.iter_rules() for method in rule.methods or ()}

    document = app.test_client().get("/openapi.json").json

    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert described == {(path, method) for path, method in rules if method in ("get", "post")}
