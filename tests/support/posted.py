"""What Label Studio posts, and an app in this process to post it to."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from ml_backend.app import create_app
from ml_backend.predictor import Predictor
from tests.support.serving import CONFIG, FakeRegistry, tasks


def client(registry: FakeRegistry | None = None, **options: Any) -> FlaskClient:
    registry = registry or FakeRegistry({"1": "m1", "2": "m2"})
    return create_app(Predictor(registry, load=registry.load, cache_s=0.0), **options).test_client()


def predict_body(project: Any = "1.1700000000", *texts: str) -> dict[str, Any]:
    params = {"login": None, "password": None, "context": None}
    return {"tasks": tasks(*texts), "project": project, "label_config": CONFIG, "params": params}


def setup_body(project: Any = "1.1700000000") -> dict[str, Any]:
    token = "0123456789abcdef"
    return {"project": project, "schema": CONFIG, "hostname": "http://localhost:8080", "access_token": token}
