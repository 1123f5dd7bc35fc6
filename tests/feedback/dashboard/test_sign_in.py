"""Signing in: Label Studio says who somebody is, the cookie says nothing, and nobody may guess for ever."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie

import pytest
from werkzeug.test import TestResponse

from feedback.dashboard import AccessSettings, DashboardConfig, SharedAttempts, pages
from feedback.store import Store, open_store
from ml_backend.app import create_app
from ml_backend.labelstudio.accounts import User
from ml_backend.predictor import Predictor
from tests.support.pages import HTML, JSON, Clock, FakeAccounts, app_of, create_project, key_of, policy, sign_in
from tests.support.serving import FakeRegistry


def cookie(answer: TestResponse, name: str = "hitl") -> str:
    found = [SimpleCookie(line)[name].value for line in answer.headers.getlist("Set-Cookie") if line.startswith(name)]
    assert found, "no cookie was set"
    return found[-1]


def test_a_visitor_is_redirected_to_the_sign_in_form_and_back(store_with_projects: Store):
    browser = app_of(store_with_projects).test_client()

    refused = browser.get("/projects/7", headers=HTML)
    back = sign_in(browser, 2, next_page="/projects/7")

    assert (refused.status_code, refused.location) == (303, "/sign-in?next=/projects/7")
    assert (back.status_code, back.location) == (303, "/projects/7")
    assert "ann@example.com" in browser.get("/projects/7", headers=HTML).text


def test_a_token_is_as_good_as_a_password(store_with_projects: Store):
    browser = app_of(store_with_projects).test_client()

    assert sign_in(browser, 2, token="token-2", email="", password="").status_code == 303
    assert browser.get("/projects/7", headers=HTML).status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        {"password": "guess"},
        {"password": ""},
        {"email": ""},
        {"email": "nobody@example.com"},
        {"token": "token-99", "email": "", "password": ""},
    ],
)
def test_wrong_credentials_give_a_page_and_no_session(store_with_projects: Store, form: dict[str, str]):
    browser = app_of(store_with_projects).test_client()

    answer = sign_in(browser, 2, **form)

    assert answer.status_code == 401
    assert "WWW-Authenticate" not in answer.headers  # a browser would ask with a window of its own
    assert 'role="alert"' in answer.text
    assert browser.get("/projects/7", headers=HTML).status_code == 303


def test_a_password_is_never_sent_back(store_with_projects: Store):
    answer = sign_in(app_of(store_with_projects).test_client(), 2, password="a secret that is wrong")

    assert "a secret that is wrong" not in answer.text
    assert "ann@example.com" in answer.text  # only the address is filled in again


def test_sign_in_without_label_studio_is_no_failed_attempt(store_with_projects: Store):
    accounts = FakeAccounts(down=True)
    attempts = SharedAttempts(store_with_projects.sessions, "pages", burst=1, every_s=60, clock=Clock())
    browser = app_of(store_with_projects, accounts=accounts, attempts=attempts).test_client()

    assert [sign_in(browser, 2).status_code for _ in range(3)] == [503, 503, 503]
    accounts.down = False
    assert sign_in(browser, 2).status_code == 303


def test_too_many_failures_are_refused_without_asking_label_studio(store_with_projects: Store, clock: Clock):
    accounts = FakeAccounts()
    workers = [
        app_of(
            store_with_projects,
            accounts=accounts,
            attempts=SharedAttempts(store_with_projects.sessions, "pages", burst=3, every_s=60, clock=clock),
        ).test_client()
        for _ in range(2)
    ]

    prediction_cache = []
    for number in range(6):
        clock.now_s += 2  # longer than what a worker remembers of the others
        prediction_cache.append(sign_in(workers[number % 2], 2, password="guess").status_code)
    asked = len(accounts.asked)

    assert prediction_cache == [401, 401, 401, 429, 429, 429]
    assert sign_in(workers[0], 2).status_code == 429  # the right one, too: whoever guesses learns nothing
    assert len(accounts.asked) == asked == 3
    clock.now_s += 180
    assert sign_in(workers[1], 2).status_code == 303


def test_the_cookie_is_hidden_from_scripts_and_other_sites(store_with_projects: Store):
    line = sign_in(app_of(store_with_projects).test_client(), 2).headers.getlist("Set-Cookie")[-1]

    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(line.split("; "))
    assert "Secure" not in line


def test_over_https_the_cookie_is_secure(store_with_projects: Store):
    browser = app_of(store_with_projects, access_settings=AccessSettings(secure=True)).test_client()
    page = browser.get("/sign-in", headers=HTML, base_url="https://hitl.example")

    line = page.headers.getlist("Set-Cookie")[-1]

    assert line.startswith("__Host-hitl=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(line.split("; "))
    assert "Domain" not in line


def test_sign_in_replaces_the_cookie_against_session_fixation(store_with_projects: Store):
    browser = app_of(store_with_projects).test_client()
    before = cookie(browser.get("/sign-in", headers=HTML))

    first, second = cookie(sign_in(browser, 2)), cookie(sign_in(browser, 2))

    assert len({before, first, second}) == 3
    other = app_of(store_with_projects).test_client()
    for old in (before, first):  # the first session ended when the same browser began a second
        other.set_cookie("hitl", old)
        assert other.get("/projects/7", headers=HTML).status_code == 303
    other.set_cookie("hitl", second)
    assert other.get("/projects/7", headers=HTML).status_code == 200


def test_the_store_holds_no_cookie(store_with_projects: Store):
    value = cookie(sign_in(app_of(store_with_projects).test_client(), 2))

    assert store_with_projects.sessions.get_session(value) is None
    assert value not in str(store_with_projects.sessions.get_session.__self__._database.path.read_bytes())  # type: ignore[attr-defined]


def test_signing_out_ends_the_session_everywhere(store_with_projects: Store):
    browser, thief = app_of(store_with_projects).test_client(), app_of(store_with_projects).test_client()
    thief.set_cookie("hitl", cookie(sign_in(browser, 2)))
    page = browser.get("/projects/7", headers=HTML).text

    out = browser.post("/sign-out", data={"key": key_of(page)}, headers=HTML)

    assert out.status_code == 303
    assert browser.get("/projects/7", headers=HTML).status_code == 303
    assert thief.get("/projects/7", headers=HTML).status_code == 303


@pytest.mark.parametrize(("steps", "step_s", "still_in"), [(1, 7201.0, False), (11, 3600.0, True), (13, 3600.0, False)])
def test_a_session_ends_two_hours_after_its_last_use_and_twelve_after_its_beginning(
    store_with_projects: Store, clock: Clock, steps: int, step_s: float, still_in: bool
):
    browser = app_of(store_with_projects, clock=clock).test_client()
    sign_in(browser, 2)

    for _ in range(steps):
        clock.now_s += step_s
        status = browser.get("/projects/7", headers=HTML).status_code

    assert (status == 200) == still_in


def test_a_clock_that_was_set_back_ends_the_session(store_with_projects: Store, clock: Clock):
    browser = app_of(store_with_projects, clock=clock).test_client()
    sign_in(browser, 2)

    clock.now_s -= 3600

    assert browser.get("/projects/7", headers=HTML).status_code == 303


@pytest.mark.parametrize(
    "onward", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_sign_in_never_redirects_to_another_site(store_with_projects: Store, onward: str):
    browser = app_of(store_with_projects).test_client()

    assert sign_in(browser, 2, next_page=onward).location == "/"
    assert onward not in browser.get("/sign-in", query_string={"next": onward}, headers=HTML).text


def test_the_form_itself_needs_its_key(store_with_projects: Store):
    browser, foreign = app_of(store_with_projects).test_client(), app_of(store_with_projects).test_client()
    key = key_of(browser.get("/sign-in", headers=HTML).text)
    fields = {"email": "ann@example.com", "password": "pw-2"}

    assert browser.post("/sign-in", data=fields, headers=HTML).status_code == 403
    assert foreign.post("/sign-in", data={**fields, "key": key}, headers=HTML).status_code == 403  # another browser's
    assert browser.post("/sign-in", data={**fields, "key": key}, headers=HTML).status_code == 303


def test_sign_in_without_a_configured_label_studio_is_explained(store_with_projects: Store):
    config = DashboardConfig(store_with_projects)
    app = create_app(Predictor(FakeRegistry()), mounts=[pages(config)])

    page = app.test_client().get("/sign-in", headers=HTML).text

    assert "LABEL_STUDIO_URL" in page
    assert "<input" not in page


def test_a_session_is_valid_on_all_hosts(store_with_projects: Store, tmp_path, clock: Clock):
    value = cookie(sign_in(app_of(store_with_projects).test_client(), 2))
    again = open_store(f"sqlite:///{tmp_path / 'store.db'}", clock=clock)

    other = app_of(again).test_client()
    other.set_cookie("hitl", value)

    assert other.get("/projects/7", headers=HTML).status_code == 200
    again.close()


def test_programs_use_the_service_login_or_get_401(store_with_projects: Store):
    programs = app_of(store_with_projects, login=("ls", "pw")).test_client()
    right, wrong = ("ls", "pw"), ("ls", "guess")

    assert programs.get("/projects/7", headers=JSON).status_code == 401
    assert programs.get("/projects/7", headers=JSON).headers["WWW-Authenticate"].startswith("Basic")
    assert programs.get("/projects/7", headers=JSON, auth=wrong).status_code == 401
    assert programs.get("/projects/7", headers=JSON, auth=right).json["project"] == "7"
    assert programs.get("/", headers=JSON).json == {"status": "UP"}
    assert programs.post("/projects/7/pause", auth=right).status_code == 403  # it may look


def test_a_role_that_the_policy_removes_ends_at_once(store_with_projects: Store):
    browser = app_of(store_with_projects).test_client()
    sign_in(browser, 3)
    assert browser.get("/projects/7", headers=HTML).status_code == 200

    create_project(store_with_projects, "7", policy(ann="admin"), title="mail")

    assert browser.get("/projects/7", headers=HTML).location == "/projects/7/people"


def test_without_a_service_login_an_authorization_header_gives_no_access(store_with_projects: Store):
    client = app_of(store_with_projects, access_settings=AccessSettings(open=False)).test_client()

    for headers in ({"Authorization": "Basic YTpi"}, {"Authorization": "Bearer x"}):
        assert client.get("/projects/7", headers={**JSON, **headers}).status_code == 401
        assert client.get("/projects/7", headers={**HTML, **headers}).status_code == 303


def test_a_session_is_valid_behind_a_proxy_with_its_own_login(store_with_projects: Store):
    browser = app_of(store_with_projects, login=("ls", "pw")).test_client()
    sign_in(browser, 2)

    assert browser.get("/projects/7", headers=HTML, auth=("proxy", "its own")).status_code == 200


def test_a_slow_label_studio_blocks_at_most_two_threads(store_with_projects: Store, monkeypatch):
    monkeypatch.setattr("feedback.dashboard.sign_in._QUEUE_TIMEOUT_S", 0.05)
    slow, let_go = FakeAccounts(), threading.Event()
    monkeypatch.setattr(slow, "by_password", lambda email, password: let_go.wait(30) and User(2, email))
    app = app_of(store_with_projects, accounts=slow)

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(lambda: sign_in(app.test_client(), 2).status_code) for _ in range(2)]
        time.sleep(0.5)
        third = sign_in(app.test_client(), 2)
        let_go.set()

    assert third.status_code == 503
    assert "Too many people" in third.text
    assert [row.result() for row in waiting] == [303, 303]
    assert sign_in(app.test_client(), 2).status_code == 303


def test_an_erased_person_is_signed_out(store_with_projects: Store):
    browser = app_of(store_with_projects).test_client()
    sign_in(browser, 2)

    store_with_projects.erasure.erase_data("7", person=2)

    assert browser.get("/projects/7", headers=HTML).status_code == 303
