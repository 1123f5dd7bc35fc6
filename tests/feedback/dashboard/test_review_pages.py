"""Review pages: open and late cases, one case, hidden blind cases, overrides and thresholds."""

from __future__ import annotations

import pytest

from feedback.store import Store
from tests.support import pages
from tests.support.pages import HTML, JSON, words
from tests.support.pages import signed_in as browser


@pytest.fixture
def numbers(store: Store) -> list[int]:
    """The late case, the blind one, the decided one."""
    chosen = pages.tiers(ann="admin", ben="viewer")
    pages.create_project(store, "7", chosen, title="mail")
    return pages.review(store, "7", chosen)


def test_open_cases_are_listed_with_their_due_time(store: Store, numbers: list[int]):
    ann = browser(store, 2)

    figures = ann.get("/projects/7/cases", headers=JSON).json
    page = words(ann.get("/projects/7/cases", headers=HTML).text)

    assert [(row["case"], row["tier"], row["state"]) for row in figures["cases"]] == [
        (numbers[0], "L2", "queued"),
        (numbers[1], "L3", "queued"),
        (numbers[2], "L2", "decided"),
    ]
    assert figures["cases"][0]["remaining_s"] == -20 * 3600.0
    assert figures["cases"][2]["remaining_s"] is None  # decided
    assert f"Case {numbers[0]} task 1 · L2 · queued 20 hours late people disagree" in page


def test_a_case_shows_its_timeline_under_pseudonyms(store: Store, numbers: list[int]):
    page = words(browser(store, 2).get(f"/projects/7/cases/{numbers[0]}", headers=HTML).text)
    named = words(browser(store, 2).get(f"/projects/7/cases/{numbers[0]}?names=shown", headers=HTML).text)

    assert "Proposed spam by model, confidence 61 %" in page
    assert "open again, because the review of Person" in page
    assert "not counted" in page
    assert "Right label, wrong extent" in page  # the reason's words, not its code
    assert "Name of 3" in named
    assert "Name of 3" not in page


def test_a_viewer_may_not_unmask_reviewers(store: Store, numbers: list[int]):
    page = browser(store, 3).get(f"/projects/7/cases/{numbers[2]}?names=shown", headers=HTML)

    assert page.status_code == 200
    assert "Name of 4" not in page.text


def test_a_blind_case_is_hidden_from_people_who_may_review_it(store: Store, numbers: list[int]):
    viewer, admin = browser(store, 3), browser(store, 2)

    listed = viewer.get("/projects/7/cases", headers=HTML).text
    refused = viewer.get(f"/projects/7/cases/{numbers[1]}", headers=HTML)

    assert "secret reason" not in listed
    assert "1 more is reviewed blind" in words(listed)
    assert refused.status_code == 403
    assert "secret reason" not in refused.text
    assert "secret reason" in admin.get(f"/projects/7/cases/{numbers[1]}", headers=HTML).text


def test_a_case_of_another_project_is_not_found(store: Store, numbers: list[int]):
    pages.create_project(store, "6", pages.policy(ben="admin"))
    ben = browser(store, 3)

    assert ben.get(f"/projects/6/cases/{numbers[0]}", headers=HTML).status_code == 404
    assert ben.get("/projects/7/cases/999999", headers=HTML).status_code == 404
    assert ben.get(f"/projects/7/cases/{'9' * 40}", headers=HTML).status_code == 404


@pytest.mark.parametrize("path", ["cases", "cases/1", "overrides"])
def test_annotators_see_no_review(store: Store, numbers: list[int], path: str):
    assert browser(store, 4).get(f"/projects/7/{path}", headers=HTML).status_code == 403


def test_overrides_separate_shown_and_blind_answers(store: Store, numbers: list[int]):
    ann = browser(store, 2)

    figures = ann.get("/projects/7/overrides", headers=JSON).json
    page = words(ann.get("/projects/7/overrides", headers=HTML).text)

    assert (figures["shown"]["changed"], figures["shown"]["answers"]) == (10, 20)
    assert (figures["blind"]["changed"], figures["blind"]["answers"]) == (0, 20)
    assert figures["shown"]["low"] < 0.5 < figures["shown"]["high"]
    assert figures["pairs"] == [
        {"from": "spam", "to": "people disagree", "count": 10, "reason": "Right label, wrong extent"}
    ]
    assert {row["count"] for row in figures["reasons"]} == {5}
    assert "50 % 30 to 70 %, 10 of 20" in page


def test_empty_pages_explain_themselves(store: Store):
    ann = browser(store, 2)

    assert "No case yet." in ann.get("/projects/7/cases", headers=HTML).text
    assert "No override yet." in ann.get("/projects/7/overrides", headers=HTML).text


def test_thresholds_are_shown_with_their_intervals(store: Store, numbers: list[int]):
    empty = words(browser(store, 2).get("/projects/7/thresholds", headers=HTML).text)
    error = {"low": 0.01, "high": 0.09, "value": 0.03}
    cost = {"low": 12.0, "value": 14.0, "high": 19.5}
    step = {"threshold": 0.9, "automated": 0.44, "error": error, "checked": 120, "answers": {"L1": 5.0}, "cost": cost}
    sentences = ["1,000 decisions over 10.0 days.", "from 90%", "Best: 90%. It saves.", "Errors are.", "Nothing is."]
    body = {"n": 1000, "cost": 20.0, "steps": [step], "best": 0.9, "sentences": sentences, "at_s": 0.0}
    store.records.create_record("7", "thresholds", body)
    page = words(browser(store, 2).get("/projects/7/thresholds", headers=HTML).text)
    figures = browser(store, 2).get("/projects/7/thresholds", headers=JSON).json

    assert "No thresholds yet" in empty
    assert "90 % best 44 % 3 % 1 to 9 % 120 L1 5.0 12.00 to 19.50" in page
    assert "Best: 90%. It saves." in page
    assert figures["best"] == 0.9
