"""Requests made from our own OpenAPI document, right and wrong ones: no 5xx, and answers as the document says."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ml_backend.app import create_app
from ml_backend.predictor import Predictor
from tests.support.hypothesis_profiles import examples
from tests.support.proof import size
from tests.support.serving import FakeRegistry

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own dependencies warn while they are imported
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import load_all_checks
    from schemathesis.specs.openapi.checks import response_schema_conformance

load_all_checks()
_EXAMPLES = examples(size(ci=25, full=500))
_REGISTRY = FakeRegistry({"1": "m1"})
_APP = create_app(Predictor(_REGISTRY, load=_REGISTRY.load), webhook=lambda body: {"status": "ok"})
_OPERATIONS = {
    operation.label: operation
    for operation in (
        found.ok() for found in schemathesis.openapi.from_wsgi("/openapi.json", _APP).get_all_operations()
    )
}


_RIGHT = [(label, GenerationMode.POSITIVE) for label in sorted(_OPERATIONS)]
_WRONG = [(label, GenerationMode.NEGATIVE) for label, _ in _RIGHT if label.startswith("POST")]  # others take nothing


@pytest.mark.parametrize(("label", "mode"), _RIGHT + _WRONG)
def test_no_request_breaks_us(label: str, mode: GenerationMode):
    @settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=_OPERATIONS[label].as_strategy(generation_mode=mode))
    def holds(case: Any) -> None:
        response = case.call()
        assert response.status_code < 500
        assert "Traceback" not in response.text
        case.validate_response(response, checks=[response_schema_conformance])

    holds()
