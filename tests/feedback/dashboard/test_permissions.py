"""Rights: who sees what, and whose address is whose."""

from __future__ import annotations

import pytest

from feedback.dashboard import AccessSettings
from feedback.dashboard.permissions import Visitor, role_of
from feedback.policy import Policy
from feedback.store import Store
from tests.support.pages import HTML, JSON, PEOPLE, app_of, policy, sign_in


def who(email: str, *, owner: bool = False) -> Visitor:
    return Visitor("person", 9, email, owner=owner)


def test_roles_come_from_the_policy_by_case_insensitive_address():
    rules = policy(ann="approver", ben="admin", cleo="viewer")

    assert [role_of(who(f"{name}@Example.com"), rules) for name in ("Ann", "ben", "cleo", "dan")] == [
        "approver",
        "admin",
        "viewer",
        "annotator",
    ]


def test_the_owner_of_our_token_is_admin_only_while_nobody_else_is():
    owner = who("root@example.com", owner=True)

    assert role_of(owner, Policy()) == "admin"
    assert role_of(owner, policy(cleo="viewer")) == "admin"
    assert role_of(owner, policy(ann="admin")) == "annotator"
    assert role_of(owner, policy(ann="approver", root="viewer")) == "viewer"
    assert role_of(who("dan@example.com"), Policy()) == "annotator"


@pytest.mark.parametrize(
    ("listed", "claimed"),
    [
        ("kate@example.com", "\N{KELVIN SIGN}ate@example.com"),  # lower case of the Kelvin sign is k
        ("strasse@example.com", "straße@example.com"),
        ("straße@example.com", "strasse@example.com"),
        ("ann@example.com", "ann@example.com "),
        ("ann@example.com", ""),
    ],
)
def test_an_address_that_only_looks_alike_has_no_role(listed: str, claimed: str):
    rules = Policy.model_validate({"people": {listed: {"role": "admin"}}})

    assert role_of(who(claimed), rules) == "annotator"
    assert role_of(who(listed), rules) == "admin"


def test_an_annotator_sees_only_own_figures(store_with_projects: Store):
    browser = app_of(store_with_projects).test_client()
    sign_in(browser, 4)

    people = browser.get("/projects/7/people", headers=JSON).json

    assert [row["name"] for row in people["people"]] == ["You"]
    assert people["everybody"] is False
    assert browser.get("/projects/7", headers=HTML).location == "/projects/7/people"
    assert browser.get("/projects/7/people?names=shown", headers=HTML).text.count('scope="row"') == 1


def test_a_project_is_not_found_by_people_who_never_worked_in_it(store_with_projects: Store):
    browser = app_of(store_with_projects).test_client()
    sign_in(browser, 4)

    there = browser.get("/projects/8", headers=HTML)
    nowhere = browser.get("/projects/99", headers=HTML)

    assert (there.status_code, there.text) == (nowhere.status_code, nowhere.text) == (404, nowhere.text)
    assert [row["project"] for row in browser.get("/", headers=JSON).json["projects"]] == ["7"]
    assert "tasks" not in browser.get("/", headers=JSON).json["projects"][0]


def test_a_viewer_sees_the_project_but_of_people_only_themself(store_with_projects: Store):
    browser = app_of(store_with_projects).test_client()
    sign_in(browser, 3)

    assert browser.get("/projects/7", headers=JSON).json["verdicts"]
    assert [row["name"] for row in browser.get("/projects/7/people", headers=JSON).json["people"]] == ["You"]
    assert "/projects/7/pause" not in browser.get("/projects/7", headers=HTML).text


def test_an_admin_sees_all_under_pseudonyms_and_names_when_asked_for(store_with_projects: Store):
    browser = app_of(store_with_projects).test_client()
    sign_in(browser, 2)

    hidden = browser.get("/projects/7/people", headers=JSON)
    shown = browser.get("/projects/7/people?names=shown", headers=JSON)

    assert len(hidden.json["people"]) == len(shown.json["people"]) == 4
    assert all("person" not in row for row in hidden.json["people"])
    assert not any(f"Name of {number}" in hidden.text for number in PEOPLE)
    assert {row["name"] for row in shown.json["people"]} == {"You", "Name of 3", "Name of 4", "Name of 5"}
    assert hidden.json == browser.get("/projects/7/people", headers=JSON).json  # pseudonyms stay


def test_open_access_lets_everybody_view_and_nobody_change(store_with_projects: Store):
    browser = app_of(store_with_projects, access_settings=AccessSettings(open=True)).test_client()

    page = browser.get("/projects/7", headers=HTML)

    assert page.status_code == 200
    assert "You are not signed in" in page.text
    assert "<form" not in page.text
    assert browser.post("/projects/7/pause", headers=HTML).status_code == 403
    assert browser.get("/projects/7/people", headers=JSON).json["people"] == []


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:9090", "evil.example:9090"])
def test_open_access_is_refused_under_a_foreign_host_name(store_with_projects: Store, host: str):
    browser = app_of(store_with_projects, access_settings=AccessSettings(open=True)).test_client()

    assert browser.get("/projects/7", headers={**JSON, "Host": host}).status_code == 401
    assert browser.get("/projects/7", headers={**JSON, "Host": "localhost:9090"}).status_code == 200
    assert browser.get("/projects/7", headers={**JSON, "Host": "[::1]:9090"}).status_code == 200
