"""Access needs the login or the webhook secret, attempts are limited, and no secret is revealed."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Request
from flask.testing import FlaskClient

from ml_backend.app import Security, TrustedProxies, create_app
from ml_backend.app.security import Guard, MemoryAttempts
from ml_backend.errors import SettingsError
from ml_backend.predictor import Predictor
from tests.support.serving import CONFIG, FakeClock, FakeRegistry

SETUP = {"project": "1.17", "schema": CONFIG, "access_token": "t0ken-of-label-studio"}
EVENT = {"action": "PROJECT_UPDATED", "project": {"id": 1, "token": "t0ken-of-label-studio"}}


def basic(user: str, password: str, encoding: str = "utf-8") -> dict[str, str]:
    pair = base64.b64encode(f"{user}:{password}".encode(encoding)).decode()
    return {"Authorization": f"Basic {pair}"}


def client(*, health_details: Callable[[], dict[str, Any]] = dict, **options: Any) -> FlaskClient:
    registry = FakeRegistry()
    security = Security(**{"user": "ls", "password": "pass word", **options})
    more = {"security": security, "health_details": health_details}
    return create_app(Predictor(registry), webhook=lambda body: {"status": "ok"}, **more).test_client()


def test_the_right_login_passes_on_every_ml_route():
    backend, login = client(), basic("ls", "pass word")

    assert backend.post("/setup", json=SETUP, headers=login).status_code == 200
    assert backend.get("/versions", headers=login).status_code == 200
    assert backend.get("/metrics", headers=login).status_code == 200
    assert backend.post("/webhook", json=EVENT, headers=login).status_code == 200  # the training button sends it


WRONG = {
    "nothing": {},
    "empty": {"Authorization": ""},
    "bearer": {"Authorization": "Bearer abc"},
    "scheme only": {"Authorization": "Basic"},
    "no base64": {"Authorization": "Basic ***"},
    "not ascii": {"Authorization": "Basic pässwörd"},
    "half a pair": {"Authorization": "Basic " + base64.b64encode(b"ls").decode()},
    "wrong password": basic("ls", "guess"),
    "wrong user": basic("root", "pass word"),
    "no password": basic("ls", ""),
    "non-ascii pair": basic("lé", "pass word"),
    "bytes": {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:\x00").decode()},
    "very long": {"Authorization": "Basic " + "QUFB" * 1000},
    "secret of another": {"X-Hitl-Secret": "pass word"},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook", "/validate", "/job_status", "/train", "/delete"])
def test_any_other_credentials_are_401_with_a_challenge(path: str, headers: dict[str, str]):
    answer = client(secrets=lambda: ["right"]).post(path, json={}, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert set(answer.json) == {"error", "hint"}


@pytest.mark.parametrize("path", ["/metrics", "/versions", "/openapi.json"])
def test_reading_needs_the_login_too_but_health_does_not(path: str):
    backend = client()

    assert backend.get(path).status_code == 401
    assert backend.get("/health").json == {"status": "UP"}
    assert backend.get("/").json == {"status": "UP"}


def test_health_tells_more_to_programs_with_the_login_than_to_label_studio_and_to_others():
    backend = client(health_details=lambda: {"ready": False})
    right, wrong = basic("ls", "pass word"), basic("ls", "guess")

    assert backend.get("/health", headers=right).json == {"status": "UP", "ready": False}
    for headers in ({}, wrong, right | {"User-Agent": "heartex/1.23.2"}):
        assert backend.get("/health", headers=headers).json == {"status": "UP"}


def test_guesses_at_the_login_by_health_are_slowed_down_too():
    attempts = MemoryAttempts(burst=3, every_s=10, clock=FakeClock())
    backend = client(attempts=attempts, health_details=lambda: {"ready": True})

    for _ in range(4):
        backend.get("/health", headers=basic("ls", "guess"))

    assert backend.get("/health", headers=basic("ls", "pass word")).json == {"status": "UP"}


def test_a_webhook_of_another_store_is_refused_and_counted_even_where_no_secret_is_known_yet():
    for secrets in ([], ["right"]):
        backend = client(user="", password="", secrets=lambda secrets=secrets: secrets)

        answer = backend.post("/webhook", json=EVENT, headers={"X-Hitl-Secret": "theirs"})

        assert answer.status_code == 401
        assert "hitl connect" in answer.json["hint"]
        assert 'event="webhook_secret_unknown"} 1.0' in backend.get("/metrics").text


def test_a_first_look_without_a_login_is_no_incident_and_a_refused_login_stands_in_the_log(
    caplog: pytest.LogCaptureFixture,
):
    backend = client()

    looked = backend.get("/metrics")  # as a browser asks, to learn that it needs a login
    before = backend.get("/metrics", headers=basic("ls", "pass word")).text
    backend.get("/metrics", headers=basic("ls", "guess"))
    backend.post("/predict", json={"tasks": []})
    after = backend.get("/metrics", headers=basic("ls", "pass word")).text

    assert looked.status_code == 401
    assert 'event="login_failed"' not in before
    assert 'event="login_failed"} 2.0' in after
    assert [line.getMessage() for line in caplog.records] == [
        f"{route} from 127.0.0.1 refused: wrong or missing credentials." for route in ("GET /metrics", "POST /predict")
    ]


def test_without_a_login_only_programs_of_this_machine_read_why_a_service_is_not_ready():
    backend = client(user="", password="", health_details=lambda: {"ready": False})

    assert backend.get("/health").json == {"status": "UP", "ready": False}
    assert backend.get("/health", headers={"X-Forwarded-For": "203.0.113.9"}).json == {"status": "UP"}
    assert backend.get("/health", headers={"Host": "10.0.0.7"}).json == {"status": "UP"}


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_password_beyond_ascii_is_known_in_both_ways_of_writing_it(encoding: str):
    backend = client(user="anna", password="schlüssel")

    assert backend.post("/setup", json=SETUP, headers=basic("anna", "schlüssel", encoding)).status_code == 200
    assert backend.post("/setup", json=SETUP, headers=basic("anna", "schl?ssel")).status_code == 401


def test_a_webhook_needs_one_of_the_secrets_that_are_valid_now():
    valid = ["old"]
    backend = client(user="", password="", secrets=lambda: valid, cache_s=0.0)

    def status(secret: str | None) -> int:
        headers = {} if secret is None else {"X-Hitl-Secret": secret}
        return backend.post("/webhook", json=EVENT, headers=headers).status_code

    assert [status("old"), status("new"), status(None), status("")] == [200, 401, 401, 401]
    valid.append("new")
    assert [status("old"), status("new")] == [200, 200]
    valid.remove("old")
    assert [status("old"), status("new")] == [401, 200]
    assert backend.post("/setup", json=SETUP).status_code == 200  # secrets guard webhooks, logins guard models


def test_secrets_are_asked_for_once_in_a_while():
    asked, clock = list[int](), FakeClock()

    def secrets() -> list[str]:
        asked.append(1)
        return ["right"]

    guard = Guard(Security(secrets=secrets, cache_s=1.0), clock=clock)
    request = Request({"HTTP_X_HITL_SECRET": "right", "REQUEST_METHOD": "POST"})
    for _ in range(10):
        guard.check_webhook_request(request)
    clock.pass_s(1.5)
    guard.check_webhook_request(request)

    assert len(asked) == 2


def test_an_empty_secret_lets_nobody_in():
    for secrets in ([""], ["", "right"]):
        backend = client(user="", password="", secrets=lambda secrets=secrets: secrets)

        assert backend.post("/webhook", json=EVENT, headers={"X-Hitl-Secret": ""}).status_code == 401
        assert backend.post("/webhook", json=EVENT).status_code == 401


def test_without_login_and_secrets_everything_is_open():
    backend = client(user="", password="")

    assert backend.post("/setup", json=SETUP).status_code == 200
    assert backend.post("/webhook", json=EVENT).status_code == 200


@pytest.mark.parametrize(("user", "password"), [("ls", ""), ("", "secret"), ("a:b", "secret")])
def test_half_a_login_is_a_mistake_of_the_settings(user: str, password: str):
    with pytest.raises(SettingsError):
        Security(user, password)


def test_guessing_is_slowed_down_and_the_right_login_has_to_wait_as_well():
    clock = FakeClock()
    backend = client(attempts=MemoryAttempts(burst=3, every_s=10, clock=clock))
    wrong, right = basic("ls", "guess"), basic("ls", "pass word")

    prediction_cache = [backend.post("/setup", json=SETUP, headers=wrong).status_code for _ in range(4)]
    blocked = backend.post("/setup", json=SETUP, headers=right)
    clock.pass_s(11)

    assert prediction_cache == [401, 401, 401, 429]
    assert blocked.status_code == 429
    assert int(blocked.headers["Retry-After"]) == 10
    assert backend.post("/setup", json=SETUP, headers=right).status_code == 200
    assert backend.get("/health").status_code == 200


def test_a_request_without_credentials_is_no_failed_attempt():
    backend = client(attempts=MemoryAttempts(burst=1, every_s=1000, clock=FakeClock()))
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic ***"}) * 5:
        assert backend.post("/setup", json=SETUP, headers=headers).status_code == 401

    assert backend.post("/setup", json=SETUP, headers=basic("ls", "pass word")).status_code == 200


def login_attempts_from(proxies: str, *pairs: tuple[str, str]) -> list[int]:
    """The answers to one wrong login for each (who connects, X-Forwarded-For), where one guess is free."""
    attempts = MemoryAttempts(burst=1, every_s=1000, clock=FakeClock())
    backend = client(attempts=attempts, proxies=TrustedProxies.read(proxies))
    wrong = basic("ls", "guess")
    return [
        backend.post(
            "/setup", json=SETUP, headers={**wrong, "X-Forwarded-For": forwarded}, environ_base={"REMOTE_ADDR": peer}
        ).status_code
        for peer, forwarded in pairs
    ]


def test_without_trusted_proxies_a_forwarded_address_is_ignored():
    assert login_attempts_from("", ("10.0.0.1", "6.6.6.1"), ("10.0.0.1", "6.6.6.2"), ("10.0.0.2", "6.6.6.2")) == [
        401,
        429,
        401,
    ]


def test_behind_a_trusted_proxy_callers_are_counted_apart():
    tries = [("10.0.0.1", "198.51.100.1"), ("10.0.0.1", "198.51.100.2"), ("10.0.0.1", "198.51.100.1")]

    assert login_attempts_from("10.0.0.0/8", *tries) == [401, 401, 429]


def test_what_a_caller_invents_before_the_proxy_appends_gives_no_new_tries():
    tries = [("10.0.0.1", f"{invented}, 198.51.100.1") for invented in ("1.1.1.1", "10.0.0.1", "unknown")]

    assert login_attempts_from("10.0.0.1", *tries) == [401, 429, 429]


def test_a_caller_who_bypasses_the_proxy_is_counted_by_its_own_address():
    assert login_attempts_from("10.0.0.1", ("198.51.100.1", "1.1.1.1"), ("198.51.100.1", "2.2.2.2")) == [401, 429]


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.3, 10.0.0.2", "198.51.100.1"),  # three proxies of ours
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),  # a caller inside
        ("10.0.0.1", "198.51.100.1:50000", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", ", ,", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, \x00\xff", "10.0.0.1"),
        ("", "1.1.1.1", ""),  # a unix socket
    ],
)
def test_the_caller_is_the_first_from_our_end_that_is_no_proxy_of_ours(peer: str, forwarded: str, caller: str):
    assert TrustedProxies.read("10.0.0.0/8, fd00::1").caller(peer, forwarded) == caller


def test_attempts_are_counted_by_address_and_forgotten_in_the_end():
    clock = FakeClock()
    attempts = MemoryAttempts(burst=1, every_s=5, most=2, clock=clock)

    for who in ("a", "a", "b", "c"):
        attempts.failed(who)

    assert attempts.wait_s("a") == 0.0  # the oldest of three addresses, where two are remembered
    assert attempts.wait_s("b") == attempts.wait_s("c") == 5.0
    clock.pass_s(5)
    assert attempts.wait_s("c") == 0.0


@pytest.mark.parametrize("site", ["cross-site", "same-site"])  # a neighbour's subdomain is another's, too
def test_a_page_of_another_site_cannot_post_through_a_browser(site: str):
    backend = client(user="", password="")

    answer = backend.post("/webhook", json=EVENT, headers={"Sec-Fetch-Site": site})

    assert answer.status_code == 403
    assert backend.get("/", headers={"Sec-Fetch-Site": site}).status_code == 200
    assert backend.post("/webhook", json=EVENT, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_secrets_stand_in_no_log_no_answer_and_no_repr(caplog: pytest.LogCaptureFixture):
    secrets = ["pass word", "right-secret", "t0ken-of-label-studio", "guessed-secret"]
    backend = client(secrets=lambda: ["right-secret"])
    caplog.set_level(logging.DEBUG)

    answers = [
        backend.post("/setup", json=SETUP, headers=basic("ls", "pass word")),
        backend.post("/setup", json={**SETUP, "schema": "<broken"}, headers=basic("ls", "pass word")),
        backend.post("/webhook", json=EVENT, headers={"X-Hitl-Secret": "guessed-secret"}),
        backend.post("/webhook", json={"action": "X", **SETUP}, headers={"X-Hitl-Secret": "right-secret"}),
        backend.get("/metrics", headers=basic("ls", "pass word")),
    ]

    shown = caplog.text + "".join(answer.text + str(answer.headers) for answer in answers)
    shown += repr(Security("ls", "pass word", lambda: ["right-secret"]))
    assert not [secret for secret in secrets if secret in shown]
