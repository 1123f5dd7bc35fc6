"""The pages: the same figures for people and programs, and explanations where there are no figures yet."""

from __future__ import annotations

import re

from flask.testing import FlaskClient

from feedback.dashboard import AccessSettings
from feedback.errors import StoreError
from feedback.reports.project_status import project_status
from feedback.store import ProjectRow, Store
from feedback.store.repositories.policies import policy_of
from tests.support.pages import HTML, JSON, app_of, sign_in, words


def test_a_project_page_shows_its_status(browser: FlaskClient):
    page = words(browser.get("/projects/7", headers=HTML).text)

    assert "30 of 60" in page
    assert "48 answers by 4 people" in page
    assert "kappa 0.71 [0.52, 0.90] on 41 items: people understand the task alike." in page
    assert "People confuse spam and unsure most: 64 % of all disagreement" in page
    assert "Look at these tasks first: 5 , 10 ." in page
    assert "19 of 30 rows of" in page
    assert "Reason for this queue: model m5 serves" in page
    assert "not trained: ham stands alone" in page
    assert "15 % of all tasks are audit tasks" in page
    assert "10 % of all tasks are drawn for several people" in page


def test_every_verdict_is_shown_with_its_reason_and_intervals(browser: FlaskClient):
    page = words(browser.get("/projects/7", headers=HTML).text)

    assert "rejected m3-5ccd against m2-3dde refresh · 2026-01-04 00:00 UTC e-value 31: proven worse" in page
    assert "83 % (76 to 88 %) against 85 % (79 to 90 %) on 150 audit rows, e-value 1.70" in page
    assert "promoted m1-1eef first · 2026-01-02 00:00 UTC" in page


def test_accuracy_over_time_is_drawn_with_its_band(browser: FlaskClient):
    page = browser.get("/projects/7", headers=HTML).text

    assert page.count("<circle") == 3
    assert page.count("<polygon") == 1
    assert "m2-3dde: 85 % on 150 audit rows, 2026-01-04" in page  # the champion stayed, judged on more rows


def test_json_gives_the_same_figures(browser: FlaskClient, store: Store):
    figures = browser.get("/projects/7", headers=JSON).json

    row = store.projects.get_project("7")
    assert row is not None
    assert {name: figures[name] for name in project_status(store, row)} == project_status(store, row)
    assert [entry["challenger"] for entry in figures["verdicts"]] == ["m3-5ccd", "m2-3dde", "m1-1eef"]
    assert figures["queue"]["open"] == 19
    assert figures["policy"]["hash"] == policy_of(row).hash


def test_an_empty_project_explains_what_comes(store: Store):
    browser = app_of(store, access_settings=AccessSettings(open=True)).test_client()

    page = words(browser.get("/projects/8", headers=HTML).text)

    assert "No model yet." in page
    assert "No agreement yet. It is measured on tasks drawn at random" in page
    assert "nobody has answered: invite two people" in page
    assert "No queue yet." in page
    assert "Every task is blind for now: no model serves yet." in page
    assert "Nobody has answered" in words(people_of_8(store))


def people_of_8(store: Store) -> str:
    browser = app_of(store).test_client()
    sign_in(browser, 1)
    return browser.get("/projects/8/people", headers=HTML).text


def test_a_service_without_projects_says_how_to_get_one(tmp_path, store: Store):
    for row in store.projects.list_projects():
        store.append([_deleted(row.id)])
    browser = app_of(store, access_settings=AccessSettings(open=True)).test_client()

    page = words(browser.get("/", headers=HTML).text)

    assert "No project yet" in page
    assert "hitl connect" in page


def _deleted(project: str):
    from feedback.store.log.events import Event

    return Event(project, "project", int(project), "", "deleted", "webhook")


def test_programs_without_credentials_learn_that_the_service_is_up(store: Store):
    client = app_of(store, login=("ls", "pw")).test_client()

    assert client.get("/").json == {"status": "UP"}
    assert client.get("/health").json == {"status": "UP"}


def test_people_are_compared_on_drawn_tasks_only(browser: FlaskClient):
    figures = browser.get("/projects/7/people", headers=JSON).json

    assert figures["tasks_compared"] < 6  # of the six tasks with several answers, the tenth that was drawn
    assert [entry["answers"] for entry in figures["people"]] == [12, 12, 12, 12]


def test_the_style_sheet_is_local_and_cached_by_browsers(browser: FlaskClient):
    page = browser.get("/", headers=HTML).text
    address = re.findall(r'rel="stylesheet" href="([^"]+)"', page)

    assert len(address) == 1
    with browser.get(address[0]) as sheet:
        assert sheet.headers["Cache-Control"].startswith("public")
        assert sheet.content_type.startswith("text/css")
        assert not re.findall(r"https?://", sheet.text)
    assert not re.findall(r'(?:src|href)="https?://(?!labels\.example)', page)  # nothing comes from elsewhere


def test_responses_vary_by_cookie_and_accept_header(browser: FlaskClient):
    assert browser.get("/projects/7", headers=HTML).headers["Vary"] == "Accept, Cookie"


def test_a_store_that_fails_gives_an_error_page(store: Store, monkeypatch):
    browser = app_of(store, access_settings=AccessSettings(open=True)).test_client()

    def fail(*_: object) -> None:
        raise StoreError("the database refused: disk I/O error")

    monkeypatch.setattr(store.projects, "list_projects", fail)

    answer = browser.get("/", headers=HTML)

    assert answer.status_code == 503
    assert "disk I/O error" in answer.text
    assert browser.get("/", headers=JSON).status_code == 503


def test_a_project_whose_policy_cannot_be_read_hides_no_other(store: Store, browser: FlaskClient):
    store.projects.save_project(ProjectRow("8", "of a newer version", options={"policy": {"futures": 9}}))

    page = browser.get("/", headers=HTML)
    broken = browser.get("/projects/8", headers=HTML)

    assert page.status_code == 200
    assert "30 of 60 tasks answered" in words(page.text)
    assert broken.status_code >= 400
    assert "futures is not a key" in words(broken.text)
