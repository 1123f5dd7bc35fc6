"""Every route of the service refuses what a page of another site can make a browser send; built from the URL map."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from feedback.app.web_app import make_application
from feedback.settings import read_settings
from feedback.store import Store, open_store

FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:9090",
    "127.0.0.1.evil.example:9090",
    "localhost.evil.example",
    "evil.example@127.0.0.1",
    "127.0.0.1:9090@evil.example",
    "10.0.0.7:9090",
    "[2001:db8::1]:9090",
    "[::1",
    "[::1]evil.example",
    "evil",
    "",
]
OWN_HOSTS = ["127.0.0.1:9090", "localhost", "LOCALHOST:1", "localhost.:9090", "[::1]:9090", "127.1.2.3:9090"]
FOREIGN_ORIGINS = [
    "null",
    "https://evil.example",
    "http://localhost:8080",
    "http://[::1",
    "http://localhost.evil.example",
    "http://evil.example#localhost",
    "http://localhost",
    "http://127.0.0.1",
    "https://127.0.0.1",
    "http://127.0.0.1:8080",
    "http://[::1]",
    "http://localhost:9090@evil.example",
    "http://evil.example\\@localhost:9090",
    "file://",
    "garbage",
    "",
]
PROXY_HEADERS = [
    "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded", "Forwarded", "Via",
    "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "X-Original-Host", "X-Envoy-External-Address",
]  # fmt: skip
NOT_JSON = [
    "text/plain",
    "text/plain;charset=UTF-8",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
]
EVENT = {
    "action": "ANNOTATION_CREATED",
    "annotation": {"id": 9, "task": 7, "project": 1, "result": [], "updated_at": "2026-01-01T00:00:00Z"},
    "project": {"id": 1, "title": "forged", "label_config": "<View/>"},
}
TRAINING = {"action": "START_TRAINING", "project": {"id": 1}}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HITL_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture(scope="module")
def shared_environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {"HITL_DATA_DIR": str(tmp_path_factory.mktemp("data"))}


@pytest.fixture(scope="module")
def app(shared_environ: dict[str, str]) -> Flask:
    return make_application(_prepared(shared_environ))


@pytest.fixture(scope="module")
def shared_store(shared_environ: dict[str, str], app: Flask) -> Iterator[Store]:
    store = open_store(read_settings(shared_environ).store_url)
    yield store
    store.close()


def _prepared(environ: dict[str, str]) -> Any:
    settings = read_settings(environ)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return settings


def _routes(app: Flask) -> list[tuple[str, str, bool]]:
    """Every method and path, and whether it is a machine route; parts of paths are filled with a number."""
    found = []
    for rule in app.url_map.iter_rules():
        path = rule.rule
        for argument in rule.arguments:
            for text in (f"<{argument}>", f"<int:{argument}>", f"<path:{argument}>"):
                path = path.replace(text, "7")
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        found += [(method, path, not rule.endpoint.startswith("pages.")) for method in methods]
    return found


def _call(client: FlaskClient, method: str, path: str, body: Any = EVENT, **headers: str) -> TestResponse:
    more: dict[str, Any] = {"json": body} if method == "POST" else {}
    return client.open(path, method=method, headers={"Accept": "application/json", **headers}, **more)


def test_the_url_map_has_the_routes_that_label_studio_calls(app: Flask):
    machine = {path for _, path, is_machine in _routes(app) if is_machine}

    assert machine >= {"/webhook", "/predict", "/signal", "/metrics", "/setup", "/versions", "/health", "/train"}


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_no_route_answers_under_a_foreign_host_name(app: Flask, shared_store: Store, host: str):
    client = app.test_client()
    for method, path, is_machine in _routes(app):
        answer = _call(client, method, path, Host=host)

        if is_machine:
            assert answer.status_code == 403, (method, path)
            assert set(answer.json) == {"error", "hint"}
        elif path.startswith("/projects"):
            assert answer.status_code in (401, 403, 404, 415), (method, path)
    assert _untouched(shared_store)


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_no_route_takes_what_a_page_of_another_site_sends(app: Flask, shared_store: Store, origin: str):
    client = app.test_client()
    for method, path, is_machine in _routes(app):
        answer = _call(client, method, path, Host="localhost:9090", Origin=origin)

        if is_machine or method == "POST":
            assert answer.status_code in ((403,) if is_machine else (403, 404, 415)), (method, path)
    assert _untouched(shared_store)


@pytest.mark.parametrize("content_type", NOT_JSON)
@pytest.mark.parametrize("body", [EVENT, TRAINING])
def test_no_route_reads_a_body_that_needs_no_permission_of_the_browser(
    app: Flask, shared_store: Store, content_type: str, body: dict[str, Any]
):
    client = app.test_client()
    for method, path, is_machine in _routes(app):
        if method == "POST":
            # as an old browser sends it: with neither Origin nor Sec-Fetch-Site
            answer = client.post(path, data=str(body).replace("'", '"'), content_type=content_type)

            assert answer.status_code in ((415,) if is_machine else (403, 404, 415)), path
    assert _untouched(shared_store)


def test_every_name_of_this_machine_is_ours(environ: dict[str, str]):
    client = make_application(_prepared(environ)).test_client()

    for host in OWN_HOSTS:
        assert _call(client, "GET", "/health", Host=host).json["status"] == "UP", host
        assert _call(client, "GET", "/metrics", Host=host).status_code == 200, host
        assert _call(client, "POST", "/webhook", Host=host).json["status"] == "ok", host
        assert _call(client, "POST", "/webhook", Host=host, Origin=f"http://{host}").json["status"] == "ok", host


def test_before_the_first_connect_only_a_program_of_this_machine_may_send_webhooks(environ: dict[str, str]):
    environ |= {"HITL_PUBLIC_URL": "https://hitl.example.org"}
    client = make_application(_prepared(environ)).test_client()

    by_public_name = _call(client, "POST", "/webhook", Host="hitl.example.org")
    through_a_proxy = [
        _call(client, "POST", "/webhook", Host="127.0.0.1:9090", **{header: "203.0.113.9"}).status_code
        for header in PROXY_HEADERS
    ]

    assert by_public_name.status_code == 401
    assert through_a_proxy == [401] * len(PROXY_HEADERS)
    assert "hitl connect" in by_public_name.json["hint"]
    assert _call(client, "POST", "/webhook", Host="127.0.0.1:9090").json["status"] == "ok"
    assert _call(client, "GET", "/health", Host="hitl.example.org").json == {"status": "UP"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("hitl.internal:9090", 200),
        ("proxy.example.org", 200),
        ("172.18.0.3:9090", 200),
        ("[fd00::3]:9090", 200),
        ("hitl:9090", 200),
        ("127.0.0.1:9090", 200),
        ("evil.example:9090", 403),
    ],
)
def test_in_a_container_the_configured_names_and_addresses_are_ours(environ: dict[str, str], host: str, status: int):
    environ |= {
        "HITL_HOST": "0.0.0.0",  # noqa: S104 - as in the image
        "HITL_PUBLIC_URL": "http://hitl.internal:9090",
        "HITL_ALLOWED_HOSTS": "proxy.example.org, other.example.org:8443",
        "HITL_WEBHOOK_SECRET": "secret",
        "HITL_BASIC_AUTH_USER": "ls",
        "HITL_BASIC_AUTH_PASSWORD": "word",
    }
    client = make_application(_prepared(environ)).test_client()

    assert _call(client, "POST", "/webhook", Host=host, **{"X-Hitl-Secret": "secret"}).status_code == status
    assert client.get("/metrics", headers={"Host": host}, auth=("ls", "word")).status_code == status
    assert _call(client, "POST", "/webhook", TRAINING, Host=host).status_code == (401 if status == 200 else 403)


def test_another_port_of_a_host_of_ours_is_another_site(environ: dict[str, str]):
    environ |= {"HITL_PUBLIC_URL": "http://hitl.internal:9090", "HITL_ALLOWED_HOSTS": "proxy.example.org"}
    client = make_application(_prepared(environ)).test_client()

    def status(host: str, origin: str) -> int:
        body = {"project": "1", "tasks": [], "label_config": "<View/>"}
        return _call(client, "POST", "/predict", body, Host=host, Origin=origin).status_code

    assert status("hitl.internal:9090", "http://hitl.internal") == 403
    assert status("hitl.internal:9090", "http://hitl.internal:8080") == 403
    assert status("hitl.internal:9090", "http://hitl.internal:9090") != 403
    assert status("127.0.0.1:9090", "https://proxy.example.org") != 403  # through a proxy that passes no Host
    assert status("127.0.0.1:9090", "http://hitl.internal:9090") != 403


def _untouched(store: Store) -> bool:
    store.ingest_inbox()
    return not store.projects.list_projects() and not store.jobs.list_jobs() and store.get_stats().events == 0
