"""Whatever arrives, the app answers below 500, in JSON, and one result per task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.ingest.signals import make_signal_mount
from feedback.ingest.webhook_handler import WebhookHandler
from feedback.store import ProjectRow, open_store
from ml_backend.app import create_app
from ml_backend.predictor import Predictor
from tests.support.hypothesis_profiles import examples
from tests.support.proof import size
from tests.support.serving import CONFIG, FakeRegistry

KEYS = (
    st.text(max_size=4)
    | st.sampled_from(
        ["id", "data", "text", "project", "task", "tasks", "annotation", "annotations", "result", "updated_at", "title"]
    )
    | st.sampled_from(
        ["created_at", "completed_by", "label_config", "schema", "config", "action", "job", "params", "value", "type"]
    )
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["1", "1.17", CONFIG, "2026-01-01T00:00:00Z", "../../x", "<View/>", "A", 1, 7])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)
ACTIONS = st.sampled_from(
    ["ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED", "TASKS_CREATED"]
) | st.sampled_from(["TASKS_DELETED", "PROJECT_UPDATED", "PROJECT_DELETED", "START_TRAINING", "SOMETHING_ELSE"])
READING = ["/predict", "/setup", "/versions", "/validate", "/delete", "/duplicate_model"]
PATHS = [*READING, "/webhook", "/train", "/job_status", "/signal"]
_EACH = examples(size(ci=150, full=4000))  # of six tests: 24,000 bodies
FUZZ = settings(max_examples=_EACH, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """Over a real store: what a database refuses must be refused before."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('fuzz') / 'store.db'}", durability="normal")
    store.projects.save_project(ProjectRow("1", "t", CONFIG, options={"policy": {"tasks": {"key": "order"}}}))
    registry, webhook = FakeRegistry({"1": "m1"}), WebhookHandler(store)
    app = create_app(
        Predictor(registry, load=registry.load),
        webhook=webhook,
        job_status=webhook.job_status,
        mounts=[make_signal_mount(store)],
    )
    yield app.test_client()
    found = store.verify()
    store.close()
    assert (found["chain"], found["projection"]) == ("ok", "ok")


def check(backend: FlaskClient, path: str, body: bytes) -> Any:
    answer = backend.post(path, data=body)

    assert answer.status_code < 500, answer.text
    assert answer.mimetype == "application/json"
    if answer.status_code >= 400:
        assert {"error", "hint"} <= set(answer.json)
        assert "Traceback" not in answer.text
    return answer


@FUZZ
@given(st.sampled_from(PATHS), JSON)
def test_any_json_on_any_route(backend: FlaskClient, path: str, body: Any):
    check(backend, path, orjson.dumps(body))


@FUZZ
@given(st.sampled_from(PATHS), st.binary(max_size=60))
def test_any_bytes_on_any_route(backend: FlaskClient, path: str, body: bytes):
    check(backend, path, body)


@FUZZ
@given(st.lists(JSON, max_size=6), JSON)
def test_any_tasks_get_one_result_each(backend: FlaskClient, tasks: list[Any], params: Any):
    body = {"tasks": tasks, "project": "1.17", "label_config": CONFIG, "params": params}

    answer = check(backend, "/predict", orjson.dumps(body))

    assert answer.status_code == 200
    assert len(answer.json["results"]) == len(tasks)


@FUZZ
@given(
    ACTIONS,
    st.dictionaries(st.sampled_from(["annotation", "annotations", "task", "tasks", "project", "x"]), JSON, max_size=4),
    st.sampled_from([1, "1", {"id": 1}, {"id": 1, "label_config": CONFIG, "title": "t"}, None]),
)
def test_any_event(backend: FlaskClient, action: str, rest: dict[str, Any], project: Any):
    body = {"action": action, **rest}
    if project is not None:
        body["project"] = project

    check(backend, "/webhook", orjson.dumps(body))


@FUZZ
@given(
    st.fixed_dictionaries(
        {"project": st.sampled_from([1, "1", "1.5", "2"]), "signal": st.sampled_from(["user_report", "thumbs", "x"])},
        optional=dict.fromkeys(("task", "key", "value", "at", "id", "source", "note", "callback", "more"), JSON),
    )
)
def test_any_signal(backend: FlaskClient, body: dict[str, Any]):
    check(backend, "/signal", orjson.dumps(body))


@FUZZ
@given(st.dictionaries(st.sampled_from(list("abcdefgh")) | KEYS, JSON, max_size=8))
def test_an_annotation_with_any_fields(backend: FlaskClient, fields: dict[str, Any]):
    annotation = {"id": 5, "task": 7, "updated_at": "2026-01-01T00:00:00Z", **fields}

    answer = check(
        backend,
        "/webhook",
        orjson.dumps({"action": "ANNOTATION_CREATED", "annotation": annotation, "project": {"id": 1}}),
    )

    assert answer.status_code == 200
