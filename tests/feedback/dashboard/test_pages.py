"""The pages: the same figures for people and programs, and explanations where there are no figures yet."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from feedback.dashboard import AccessSettings
from feedback.errors import StoreError
from feedback.reports.health import ProjectFinding
from feedback.reports.project_status import project_status
from feedback.store import CaseEvent, CaseRow, ProjectRow, Store, UncountedAnswer
from ml_backend.labelstudio.doctor import Finding
from tests.support import make_events, pages
from tests.support.pages import HTML, JSON, Clock, app_of, key_of, sign_in, words
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


@pytest.fixture
def numbers(store_with_projects: Store) -> list[int]:
    """The late case, the blind one, the decided one."""
    chosen = pages.tiers(ann="admin", ben="viewer")
    pages.create_project(store_with_projects, "7", chosen, title="mail")
    return pages.review(store_with_projects, "7", chosen)


def test_open_cases_are_listed_with_their_due_time(store_with_projects: Store, numbers: list[int]):
    ann = browser(store_with_projects, 2)

    figures = ann.get("/projects/7/cases", headers=JSON).json
    page = words(ann.get("/projects/7/cases", headers=HTML).text)

    assert [(row["case"], row["tier"], row["state"]) for row in figures["cases"]] == [
        (numbers[0], "L2", "queued"),
        (numbers[1], "L3", "queued"),
        (numbers[2], "L2", "decided"),
    ]
    assert figures["cases"][0]["remaining_s"] == -20 * 3600.0
    assert figures["cases"][2]["remaining_s"] is None  # decided
    assert f"Case {numbers[0]} task 1 · L2 · queued 20 hours late Open the task ↗ people disagree" in page


def test_tasks_that_only_have_a_clock_are_counted_beside_the_cases(store_with_projects: Store, numbers: list[int]):
    rows = [CaseRow("7", 100 + number, "queued", "L1", why="its clock runs", due_s=1.0) for number in range(250)]
    store_with_projects.cases.create_cases(rows, "open")
    ann = browser(store_with_projects, 2)
    figures = ann.get("/projects/7/cases", headers=JSON).json
    page = words(ann.get("/projects/7/cases", headers=HTML).text)
    clocked = words(ann.get("/projects/7/cases?clocked=1&page=3", headers=HTML).text)

    assert (figures["total"], figures["clocked"], figures["clocked_late"]) == (3, 250, 250)
    assert not any(row["tier"] == "L1" for row in figures["counts"])
    assert "250 tasks of L1 only have a running clock, 250 of them are late. Show them" in page
    assert "← Page 2 · Page 3 of 3, 250 cases" in clocked
    assert ann.get("/projects/7", headers=JSON).json["cases"] == figures["counts"]


def test_cases_are_filtered_by_tier_state_person_and_clock(store_with_projects: Store, numbers: list[int]):
    ann = browser(store_with_projects, 2)

    def found(query: str) -> list[int]:
        return [row["case"] for row in ann.get(f"/projects/7/cases?{query}", headers=JSON).json["cases"]]

    late, blind, decided = numbers
    assert found("tier=L3") == [blind]
    assert found("state=decided") == [decided]
    assert found("state=resolved") == []
    assert found("state=all") == found("") == numbers
    assert found("person=4") == [blind, decided]  # who answered the one's task and decided the other
    assert found("late=1") == [late]
    assert found("tier=L2&person=3&page=9") == [late]
    assert "No case matches." in words(ann.get("/projects/7/cases?tier=L9", headers=HTML).text)
    for wrong in ("state=quued", "person=ann", "tier=%00", "person=" + "9" * 5000):
        assert ann.get(f"/projects/7/cases?{wrong}", headers=HTML).status_code == 400
    assert ann.get("/projects/7/cases?person=" + "9" * 40, headers=HTML).status_code == 200


def test_a_viewer_lists_their_own_cases_and_nobody_elses(store_with_projects: Store, numbers: list[int]):
    ben = browser(store_with_projects, 3)

    assert [row["case"] for row in ben.get("/projects/7/cases?person=3", headers=JSON).json["cases"]] == [numbers[0]]
    assert ben.get("/projects/7/cases?person=4", headers=HTML).status_code == 403
    assert 'name="person" value="3"' in ben.get("/projects/7/cases", headers=HTML).text


def test_a_case_links_to_its_review_task_and_to_its_source(store_with_projects: Store, numbers: list[int]):
    (case,) = store_with_projects.cases.list_cases("7", tasks=[1])
    moved = replace(case, review_project="70", review_task=701)
    assert store_with_projects.cases.update_case(moved, case.version, CaseEvent(1.0, "warn", case.state, case.tier))
    ann = browser(store_with_projects, 2)
    listed = ann.get("/projects/7/cases", headers=HTML).text
    shown = ann.get(f"/projects/7/cases/{case.id}", headers=HTML).text
    first = ann.get("/projects/7/cases", headers=JSON).json["cases"][0]

    review, source = (f"http://labels.example:8080/projects/{end}" for end in ("70/data?task=701", "7/data?task=1"))
    assert f'href="{review}"' in listed
    assert f'href="{source}"' not in listed
    assert f'href="{review}"' in shown
    assert f'href="{source}"' in shown
    assert first["url"] == review


def test_a_case_shows_its_timeline_under_pseudonyms(store_with_projects: Store, numbers: list[int]):
    page = words(browser(store_with_projects, 2).get(f"/projects/7/cases/{numbers[0]}", headers=HTML).text)
    named = words(browser(store_with_projects, 2).get(f"/projects/7/cases/{numbers[0]}?names=shown", headers=HTML).text)

    assert "Proposed spam by model, confidence 61 %" in page
    assert "open again, because the review of Person" in page
    assert "not counted" in page
    assert "Right label, wrong extent" in page  # the reason's words, not its code
    assert "Name of 3" in named
    assert "Name of 3" not in page


def test_a_viewer_may_not_unmask_reviewers(store_with_projects: Store, numbers: list[int]):
    page = browser(store_with_projects, 3).get(f"/projects/7/cases/{numbers[2]}?names=shown", headers=HTML)

    assert page.status_code == 200
    assert "Name of 4" not in page.text


def test_a_blind_case_is_hidden_from_people_who_may_review_it(store_with_projects: Store, numbers: list[int]):
    viewer, admin = browser(store_with_projects, 3), browser(store_with_projects, 2)

    listed = viewer.get("/projects/7/cases", headers=HTML).text
    refused = viewer.get(f"/projects/7/cases/{numbers[1]}", headers=HTML)

    assert "secret reason" not in listed
    assert "1 more is reviewed blind" in words(listed)
    assert refused.status_code == 403
    assert "secret reason" not in refused.text
    assert "secret reason" in admin.get(f"/projects/7/cases/{numbers[1]}", headers=HTML).text


def test_a_case_of_another_project_is_not_found(store_with_projects: Store, numbers: list[int]):
    pages.create_project(store_with_projects, "6", pages.policy(ben="admin"))
    ben = browser(store_with_projects, 3)

    assert ben.get(f"/projects/6/cases/{numbers[0]}", headers=HTML).status_code == 404
    assert ben.get("/projects/7/cases/999999", headers=HTML).status_code == 404
    assert ben.get(f"/projects/7/cases/{'9' * 40}", headers=HTML).status_code == 404


@pytest.mark.parametrize("path", ["cases", "cases/1", "overrides"])
def test_annotators_see_no_review(store_with_projects: Store, numbers: list[int], path: str):
    assert browser(store_with_projects, 4).get(f"/projects/7/{path}", headers=HTML).status_code == 403


def test_overrides_are_told_by_model_and_leave_blind_answers_out(store_with_projects: Store, numbers: list[int]):
    ann = browser(store_with_projects, 2)

    figures = ann.get("/projects/7/overrides", headers=JSON).json
    page = words(ann.get("/projects/7/overrides", headers=HTML).text)

    (row,) = figures["models"]
    assert (row["model"], row["accuracy"], figures["blind"]) == ("m2", None, 20)
    assert (row["changed"]["value"], row["changed"]["n"]) == (0.5, 20)
    assert row["changed"]["low"] < 0.5 < row["changed"]["high"]
    assert figures["pairs"] == [
        {"from": "spam", "to": "people disagree", "count": 10, "reason": "Right label, wrong extent"}
    ]
    assert {row["count"] for row in figures["reasons"]} == {5}
    assert "m2 not measured 50 % (30 to 70 %) 20 answers to predictions that people saw" in page


def test_empty_pages_explain_themselves(store_with_projects: Store):
    ann = browser(store_with_projects, 2)

    assert "No case yet." in ann.get("/projects/7/cases", headers=HTML).text
    assert "No override yet." in ann.get("/projects/7/overrides", headers=HTML).text


def test_thresholds_are_shown_with_their_intervals(store_with_projects: Store, numbers: list[int]):
    empty = words(browser(store_with_projects, 2).get("/projects/7/thresholds", headers=HTML).text)
    error = {"low": 0.01, "high": 0.09, "value": 0.03}
    cost = {"low": 12.0, "value": 14.0, "high": 19.5}
    step = {"threshold": 0.9, "automated": 0.44, "error": error, "checked": 120, "answers": {"L1": 5.0}, "cost": cost}
    sentences = ["1,000 decisions over 10.0 days.", "from 90 %", "Best: 90 %. It saves.", "Errors are.", "Nothing is."]
    body = {"n": 1000, "cost": 20.0, "steps": [step], "best": 0.9, "sentences": sentences, "at_s": 0.0}
    store_with_projects.records.create_record("7", "thresholds", body)
    page = words(browser(store_with_projects, 2).get("/projects/7/thresholds", headers=HTML).text)
    figures = browser(store_with_projects, 2).get("/projects/7/thresholds", headers=JSON).json

    assert "No thresholds yet" in empty
    assert "90 % best 44 % 3.0 % (1.0 to 9.0 %) 120 L1 5.0 12.00 to 19.50" in page
    assert "Best: 90 %. It saves." in page
    assert figures["best"] == 0.9


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


HUNG = Finding("worker", "error", "the worker host:12 hangs: it has done nothing for 37 seconds.", "End it.")
SILENT = ProjectFinding("webhook", "error", "webhooks of project 7 do not arrive.", "Look at the proxy.", project="7")
LATE = Finding("refused requests", "warning", "within a day: 3 requests were refused.", "See the log.")


def test_each_page_shows_what_is_wrong_in_a_strip_and_what_to_do(store_with_projects: Store):
    ann = browser(store_with_projects, 2, problems=lambda: [HUNG, SILENT, LATE])

    for path in ("/", "/projects/7", "/projects/7/people", "/projects/7/cases", "/projects/7/thresholds"):
        page = words(ann.get(path, headers=HTML).text)

        assert "The worker host:12 hangs: it has done nothing for 37 seconds. End it." in page, path
        assert "Webhooks of project 7 do not arrive. Look at the proxy." in page, path
        assert "3 requests were refused" not in page  # no cause for alarm; `hitl status` has it
    assert [row["name"] for row in ann.get("/", headers=JSON).json["problems"]] == ["worker", "webhook"]


def test_who_may_view_no_project_learns_only_that_something_is_wrong(store_with_projects: Store):
    config = {"problems": lambda: [HUNG, SILENT]}
    cleo, stranger = browser(store_with_projects, 4, **config), app_of(store_with_projects, **config).test_client()

    for client, path in ((cleo, "/projects/7/people"), (stranger, "/sign-in"), (cleo, "/projects/none")):
        page = words(client.get(path, headers=HTML).text)

        assert "Something is wrong with this service: answers may not be learned from now." in page, path
        assert "host:12" not in page
    open_to_look = app_of(store_with_projects, access_settings=AccessSettings(open=True), **config).test_client()
    assert "host:12 hangs" in words(open_to_look.get("/", headers=HTML).text)


def test_a_problem_of_a_project_is_shown_to_those_who_may_view_it(store_with_projects: Store):
    pages.create_project(store_with_projects, "9", pages.policy(cleo="viewer"))
    cleo = browser(store_with_projects, 4, problems=lambda: [HUNG, SILENT])

    page = words(cleo.get("/", headers=HTML).text)

    assert "host:12 hangs" in page
    assert "Webhooks of project 7" not in page


def test_a_healthy_service_has_no_strip(browser: FlaskClient):
    assert "Something is wrong" not in browser.get("/", headers=HTML).text
    assert 'class="strip bad"' not in browser.get("/", headers=HTML).text


def test_the_project_page_tells_what_came_with_the_tasks_and_what_gives_no_row(store_with_projects: Store):
    came = make_events.annotation_event(90_001, task=1, person=5, project="7", imported=True, second=40)
    store_with_projects.append([came])
    turn = {"rows": 0, "not_learned": {"several labels at once": 36}, "imports": {"train": 1}}
    store_with_projects.records.create_record("7", "turn", turn)
    page = words(browser(store_with_projects, 2).get("/projects/7", headers=HTML).text)

    assert "1 task came with answers, which are never votes. Training rows: 1. Nobody is asked these tasks." in page
    assert "36 answers lie outside what control 'c' can learn: several labels at once (36)" in page
