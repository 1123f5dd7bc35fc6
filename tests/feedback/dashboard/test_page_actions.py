"""What a page changes: pause, resume, turn and retry, for admins with the key of their browser only."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from feedback.dashboard import AccessSettings
from feedback.store import Store
from tests.support.pages import HTML, Clock, app_of, key_of, sign_in

CHANGES = ["/projects/7/pause", "/projects/7/resume", "/projects/7/turn", "/projects/7/unpark/turn", "/sign-out"]


def signed_in(store: Store, person: int = 2, **config: object) -> tuple[FlaskClient, str]:
    browser = app_of(store, **config).test_client()
    sign_in(browser, person)
    return browser, key_of(browser.get("/projects/7/people", headers=HTML).text)


def test_pause_and_resume_are_recorded_with_the_person(store_with_projects: Store):
    browser, key = signed_in(store_with_projects)

    paused = browser.post("/projects/7/pause", data={"key": key}, headers=HTML)
    row = store_with_projects.projects.get_project("7")
    resumed = browser.post("/projects/7/resume", data={"key": key}, headers=HTML)

    assert row is not None
    assert row.paused
    assert paused.location == "/projects/7?did=pause"
    assert "nothing is written to Label Studio" in browser.get(paused.location, headers=HTML).text
    assert resumed.status_code == 303
    assert not store_with_projects.projects.get_project("7").paused  # type: ignore[union-attr]
    assert [entry.body for entry in reversed(store_with_projects.records.list_records("7", "action"))] == [
        {"action": "pause", "person": 2},
        {"action": "resume", "person": 2},
    ]
    assert [work.state for work in store_with_projects.jobs.list_jobs() if work.kind == "turn"] == ["wanted"]


def test_a_turn_is_requested_at_once(store_with_projects: Store):
    work = store_with_projects.jobs.claim_job("worker", lease_s=60)
    assert work is not None
    store_with_projects.jobs.finish_job(work)
    browser, key = signed_in(store_with_projects)

    assert browser.post("/projects/7/turn", data={"key": key}, headers=HTML).status_code == 303

    assert [(work.kind, work.state) for work in store_with_projects.jobs.list_jobs()] == [("turn", "wanted")]


def test_a_parked_job_is_shown_with_its_reason_and_retried(store_with_projects: Store, clock: Clock):
    store_with_projects.jobs.request_job("7", "sweep")
    for _ in range(5):
        work = store_with_projects.jobs.claim_job("worker", lease_s=60, kinds=("sweep",))
        assert work is not None
        store_with_projects.jobs.fail_job(work, "Label Studio answered 500")
        clock.now_s += 4000
    browser, key = signed_in(store_with_projects, clock=clock)
    page = browser.get("/projects/7", headers=HTML).text

    first = browser.post("/projects/7/unpark/sweep", data={"key": key}, headers=HTML)
    again = browser.post("/projects/7/unpark/sweep", data={"key": key}, headers=HTML)

    assert "Label Studio answered 500" in page
    assert "/projects/7/unpark/sweep" in page
    assert first.location.endswith("did=unpark")
    assert again.location.endswith("did=unparked")
    assert [work.state for work in store_with_projects.jobs.list_jobs() if work.kind == "sweep"] == ["wanted"]
    assert len(store_with_projects.records.list_records("7", "action")) == 1


@pytest.mark.parametrize("path", CHANGES)
def test_nothing_changes_without_the_key_of_this_browser(store_with_projects: Store, path: str):
    browser, key = signed_in(store_with_projects)
    _, foreign = signed_in(store_with_projects)
    before = store_with_projects.projects.get_project("7")

    refused = [
        browser.post(path, headers=HTML),
        browser.post(path, data={"key": ""}, headers=HTML),
        browser.post(path, data={"key": foreign}, headers=HTML),
        browser.post(path, data={"key": "é" * 64}, headers=HTML),
        browser.post(path, data={"key": key}, headers={**HTML, "Sec-Fetch-Site": "cross-site"}),
        browser.post(path, data={"key": key}, headers={**HTML, "Sec-Fetch-Site": "same-site"}),
        browser.post(path, data={"key": key}, headers={**HTML, "Origin": "https://evil.example"}),
        browser.post(path, json={"key": key}, headers=HTML),
        browser.post(path, data={"key": key, "more": "x" * 20_000}, headers=HTML),
        browser.post(path, data={"key": key, **{f"field{n}": "" for n in range(50)}}, headers=HTML),
    ]

    assert {answer.status_code for answer in refused} <= {400, 403, 413, 415}
    assert store_with_projects.projects.get_project("7") == before
    assert store_with_projects.records.list_records("7", "action") == []
    assert browser.get("/projects/7", headers=HTML).status_code == 200  # and nobody was signed out


def test_forms_with_the_headers_of_browsers_are_accepted(store_with_projects: Store):
    browser, key = signed_in(store_with_projects)
    proxied, proxied_key = signed_in(store_with_projects, access_settings=AccessSettings(public="hitl.example"))
    ours = {**HTML, "Sec-Fetch-Site": "same-origin"}

    assert browser.post("/projects/7/turn", data={"key": key}, headers={**ours, "Origin": "null"}).status_code == 303
    here = {**ours, "Origin": "http://localhost"}
    assert browser.post("/projects/7/turn", data={"key": key}, headers=here).status_code == 303
    public = {**ours, "Origin": "https://hitl.example"}  # a proxy calls us by another name
    assert proxied.post("/projects/7/turn", data={"key": proxied_key}, headers=public).status_code == 303
    assert browser.post("/projects/7/turn", data={"key": key}, headers=public).status_code == 403


@pytest.mark.parametrize("path", CHANGES[:-1])
@pytest.mark.parametrize("person", [3, 4])
def test_viewers_and_annotators_change_nothing(store_with_projects: Store, path: str, person: int):
    browser, key = signed_in(store_with_projects, person)

    assert browser.post(path, data={"key": key}, headers=HTML).status_code == 403
    assert store_with_projects.records.list_records("7", "action") == []


@pytest.mark.parametrize("path", CHANGES)
def test_a_link_changes_nothing(store_with_projects: Store, path: str):
    browser, _ = signed_in(store_with_projects)

    assert browser.get(path, headers=HTML).status_code == 405


def test_a_form_key_is_invalid_after_a_new_sign_in(store_with_projects: Store):
    browser, old = signed_in(store_with_projects)
    sign_in(browser, 2)

    assert browser.post("/projects/7/pause", data={"key": old}, headers=HTML).status_code == 403
