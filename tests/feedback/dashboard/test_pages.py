"""The pages: the same figures for people and programs, and explanations where there are no figures yet."""

from __future__ import annotations

import re

from flask.testing import FlaskClient

from feedback.dashboard import AccessSettings
from feedback.errors import StoreError
from feedback.reports.project_status import project_status
from feedback.store import ProjectRow, Store, UncountedAnswer
from tests.support import make_events
from tests.support.pages import HTML, JSON, app_of, sign_in, words
from tests.support.pages import signed_in as browser


def test_a_project_page_shows_its_status(browser: FlaskClient):
    page = words(browser.get("/projects/7", headers=HTML).text)

    assert "30 of 60" in page
    assert "48 answers by 4 people" in page
    assert "alpha 0.71 [0.52, 0.90] on 41 items: 0.6 is within the interval, so it is not known yet." in page
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
    assert "83 % (76 to 88 %) against 85 % (79 to 90 %) of 150 audit tasks that decided this, e-value 1.7" in page
    assert "promoted m1-1eef first · 2026-01-02 00:00 UTC" in page


def test_accuracy_over_time_is_drawn_with_its_band(browser: FlaskClient):
    page = browser.get("/projects/7", headers=HTML).text

    assert page.count("<circle") == 3
    assert page.count("<polygon") == 1
    assert "m2-3dde: 85 % (79 to 90 %) of 150 audit tasks" in page  # the champion stayed, judged on more rows


def test_json_gives_the_same_figures(browser: FlaskClient, store_with_projects: Store):
    figures = browser.get("/projects/7", headers=JSON).json

    row = store_with_projects.projects.get_project("7")
    assert row is not None
    assert {name: figures[name] for name in project_status(store_with_projects, row)} == project_status(
        store_with_projects, row
    )
    assert [entry["challenger"] for entry in figures["verdicts"]] == ["m3-5ccd", "m2-3dde", "m1-1eef"]
    assert figures["queue"]["open"] == 19
    assert figures["policy"]["hash"] == row.policy.hash


def test_an_empty_project_explains_what_comes(store_with_projects: Store):
    browser = app_of(store_with_projects, access_settings=AccessSettings(open=True)).test_client()

    page = words(browser.get("/projects/8", headers=HTML).text)

    assert "No model yet." in page
    assert "No agreement yet. It is measured on tasks drawn at random" in page
    assert "nobody has answered: invite two people" in page
    assert "No queue yet." in page
    assert "Every task is blind for now: no model serves yet." in page
    assert "Nobody has answered" in words(people_of_8(store_with_projects))


def people_of_8(store: Store) -> str:
    browser = app_of(store).test_client()
    sign_in(browser, 1)
    return browser.get("/projects/8/people", headers=HTML).text


def test_a_service_without_projects_explains_how_to_connect(tmp_path, store_with_projects: Store):
    for row in store_with_projects.projects.list_projects():
        store_with_projects.append([_deleted(row.id)])
    browser = app_of(store_with_projects, access_settings=AccessSettings(open=True)).test_client()

    page = words(browser.get("/", headers=HTML).text)

    assert "No project yet" in page
    assert "hitl connect" in page


def _deleted(project: str):
    from feedback.store.log.events import Event

    return Event(project, "project", int(project), "", "deleted", "webhook")


def test_programs_without_credentials_learn_that_the_service_is_up(store_with_projects: Store):
    client = app_of(store_with_projects, login=("ls", "pw")).test_client()

    assert client.get("/").json == {"status": "UP"}
    assert client.get("/health").json == {"status": "UP"}


def test_everybody_who_answered_is_on_the_people_page(browser: FlaskClient):
    figures = browser.get("/projects/7/people", headers=JSON).json

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


def test_a_store_that_fails_gives_an_error_page(store_with_projects: Store, monkeypatch):
    browser = app_of(store_with_projects, access_settings=AccessSettings(open=True)).test_client()

    def fail(*_: object) -> None:
        raise StoreError("the database refused: disk I/O error")

    monkeypatch.setattr(store_with_projects.projects, "list_projects", fail)

    answer = browser.get("/", headers=HTML)

    assert answer.status_code == 503
    assert "disk I/O error" in answer.text
    assert browser.get("/", headers=JSON).status_code == 503


def test_a_project_whose_policy_cannot_be_read_hides_no_other(store_with_projects: Store, browser: FlaskClient):
    store_with_projects.projects.save_project(ProjectRow("8", "of a newer version", options={"policy": {"futures": 9}}))

    page = browser.get("/", headers=HTML)
    broken = browser.get("/projects/8", headers=HTML)

    assert page.status_code == 200
    assert "30 of 60 tasks answered" in words(page.text)
    assert broken.status_code >= 400
    assert "futures is not a key" in words(broken.text)


def test_the_project_page_tells_what_does_not_count_and_names_people_to_admins_only(store_with_projects: Store):
    vote = next(vote for vote in store_with_projects.votes.list_votes("7") if vote.person not in (2, 3))
    why = "is not among the people of L1"
    excluded = UncountedAnswer(vote.annotation, vote.task, vote.person, why)
    store_with_projects.uncounted.replace_excluded("7", [excluded], removed=())
    pages = [browser(store_with_projects, person).get("/projects/7", headers=HTML).text for person in (2, 3)]
    figures = [browser(store_with_projects, person).get("/projects/7", headers=JSON).json for person in (2, 3)]

    assert "Not counted: 1 answer of Person" in words(pages[0])
    assert f"Not counted: 1 answer: {why}" in words(pages[1])
    assert [figure["not_counted"][0]["name"].partition(" ")[0] for figure in figures] == ["Person", ""]
    assert all("person" not in figure["not_counted"][0] for figure in figures)


def test_the_project_page_tells_what_came_with_the_tasks_and_what_gives_no_row(store_with_projects: Store):
    came = make_events.annotation_event(90_001, task=1, person=5, project="7", imported=True, second=40)
    store_with_projects.append([came])
    turn = {"rows": 0, "not_learned": {"several labels at once": 36}, "imports": {"train": 1}}
    store_with_projects.records.create_record("7", "turn", turn)
    page = words(browser(store_with_projects, 2).get("/projects/7", headers=HTML).text)

    assert "1 task came with answers, which are never votes. Training rows: 1. Nobody is asked these tasks." in page
    assert "36 answers lie outside what control 'c' can learn: several labels at once (36)" in page
