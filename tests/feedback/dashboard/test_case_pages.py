"""The pages of review: cases with their filters and links, one case, overrides and thresholds."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from feedback.policy.threshold_costs import Costs, ThresholdRow, ThresholdTable
from feedback.stats.intervals import Interval
from feedback.store import CaseEvent, CaseRow, Store
from tests.support import pages
from tests.support.pages import HTML, JSON, words
from tests.support.pages import signed_in as browser


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
    step = ThresholdRow(0.9, 0.44, Interval(0.01, 0.09, 0.03), 120, {"L1": 5.0}, Costs(12.0, 14.0, 19.5))
    table = ThresholdTable(1000, 10.0, "decisions", "per day", {"L1": 9.0}, 20.0, (step,), 0.9, "It saves.")
    body = asdict(table) | {"sentences": table.sentences, "at_s": 0.0}
    store_with_projects.records.create_record("7", "thresholds", body)
    page = words(browser(store_with_projects, 2).get("/projects/7/thresholds", headers=HTML).text)
    figures = browser(store_with_projects, 2).get("/projects/7/thresholds", headers=JSON).json

    assert "No thresholds yet" in empty
    assert "90 % best 44 % 3.0 % (1.0 to 9.0 %) 120 L1 5.0 12.00 to 19.50" in page
    assert (
        "1,000 decisions over 10 days. If people decide everything: L1 9.0 answers per day, cost 20.00 per day." in page
    )
    assert "Best: 90 %. It saves. Confidence from" in page
    assert "Errors are those on audited tasks" in page
    assert figures["best"] == 0.9
