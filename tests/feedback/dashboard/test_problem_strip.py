"""The strip on each page that says what is wrong and what to do."""

from __future__ import annotations

from flask.testing import FlaskClient

from feedback.dashboard import AccessSettings
from feedback.reports.health import ProjectFinding
from feedback.store import Store
from ml_backend.labelstudio.doctor import Finding
from tests.support import pages
from tests.support.pages import HTML, JSON, app_of, words
from tests.support.pages import signed_in as browser

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
