"""The whole application: every route is in /openapi.json, and no request made from it causes an error."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.app.web_app import make_application
from feedback.settings import read_settings
from feedback.store import ProjectRow, Store, open_store
from ml_backend.app import create_app
from ml_backend.app.openapi import make_document
from ml_backend.predictor import Predictor
from tests.support.hypothesis_profiles import examples
from tests.support.proof import CONFIG, size
from tests.support.serving import FakeRegistry

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own dependencies warn while they are imported
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import load_all_checks
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

load_all_checks()
_CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
_WORDS = r"<(?:\w+:)?(\w+)>"  # Flask's <int:number>


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """What gunicorn serves, over a store of its own that knows projects 1 and 2."""
    folder: Path = tmp_path_factory.mktemp("served")
    chosen = read_settings({"HITL_DATA_DIR": str(folder), "HITL_DURABILITY": "normal"})
    store = open_store(chosen.store_url, durability="normal")
    for number in ("1", "2"):
        store.projects.save_project(ProjectRow(number, f"project {number}", CONFIG))
    store.close()
    opened_store: list[Store] = []

    def open_one(url: str, **options: Any) -> Store:
        opened_store.append(open_store(url, **options))
        return opened_store[-1]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("feedback.store.open_store", open_one)
        yield make_application(chosen)
    for row in opened_store:
        row.close()


def served(app: Flask) -> set[tuple[str, str]]:
    return {
        (re.sub(_WORDS, r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }


def described(paths: dict[str, Any]) -> set[tuple[str, str]]:
    return {(path, method) for path, methods in paths.items() for method in methods}


def test_exactly_the_served_routes_are_described(app: Flask):
    paths = app.test_client().get("/openapi.json").json["paths"]

    assert described(paths) == served(app)


def test_exactly_the_routes_of_the_ml_backend_alone_are_described():
    assert described(make_document()["paths"]) == served(create_app(Predictor(FakeRegistry())))


def test_names_in_a_path_are_described(app: Flask):
    paths = app.test_client().get("/openapi.json").json["paths"]

    for path, methods in paths.items():
        for operation in methods.values():
            named = {row["name"] for row in operation.get("parameters", ()) if row["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), path


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
def test_no_request_causes_a_server_error(app: Flask, mode: GenerationMode):
    operations = [row.ok() for row in schemathesis.openapi.from_wsgi("/openapi.json", app).get_all_operations()]
    if mode is GenerationMode.NEGATIVE:
        operations = [row for row in operations if row.body or row.path_parameters or row.query]

    @settings(
        max_examples=examples(size(ci=120, full=10_000)),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=size(ci=1, full=0) == 1,
    )
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(operations))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        response = case.call()
        assert response.status_code < 500, response.text
        assert "Traceback" not in response.text
        case.validate_response(response, checks=_CHECKS)

    holds()
