"""Hostile text: whatever annotators, labels, names and reason codes hold, a page shows it and never runs it."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from feedback.dashboard import AccessSettings
from feedback.store import Store
from ml_backend.app.security import CSP
from tests.support import pages
from tests.support.pages import EVIL, HTML, JSON, FakeAccounts, app_of, sign_in

PAGES = [
    "/",
    "/sign-in",
    "/projects/9",
    "/projects/9/people",
    "/projects/9/people?names=shown",
    "/projects/9/cases",
    "/projects/9/cases/1?names=shown",
    "/projects/9/overrides",
    "/projects/404",
]
NESTED = (EVIL, "</script><svg onload=alert(3)>", "javascript:alert(4)")


class Seen(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


@pytest.fixture
def store_with_hostile_text(store_with_projects: Store) -> Store:
    """A project in which everything that somebody else can write is hostile."""
    pages.create_hostile_project(store_with_projects, "9", EVIL, labels=NESTED)
    return store_with_projects


@pytest.mark.parametrize("path", PAGES)
def test_hostile_text_stays_text(store_with_hostile_text: Store, path: str):
    accounts = FakeAccounts(called=dict.fromkeys(range(1, 9), EVIL), emails={2: "ann@example.com"})
    browser = app_of(store_with_hostile_text, accounts=accounts).test_client()
    sign_in(browser, 2)

    page = browser.get(path, headers=HTML)
    seen = Seen()
    seen.feed(page.text)

    assert not {"script", "img", "iframe", "object", "base"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert not [
        value for name, value in seen.attributes if name in ("href", "src", "action") and "javascript:" in value
    ]
    assert str(7 * 1234567) not in page.text  # no template ran what was written
    assert page.headers["Content-Security-Policy"] == CSP
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "no-store"


def test_hostile_text_is_shown_as_it_is(store_with_hostile_text: Store):
    browser = app_of(store_with_hostile_text).test_client()
    sign_in(browser, 2)

    page = browser.get("/projects/9", headers=HTML).text

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<title>&#34;&gt;&lt;script&gt;" in page


def test_json_is_never_served_as_html(store_with_hostile_text: Store):
    browser = app_of(store_with_hostile_text, access_settings=AccessSettings(open=True)).test_client()

    answer = browser.get("/projects/9", headers=JSON)

    assert answer.content_type == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.json["title"] == EVIL


def test_the_address_in_the_sign_in_form_is_escaped(store_with_hostile_text: Store):
    page = sign_in(app_of(store_with_hostile_text).test_client(), 2, email=EVIL).text
    seen = Seen()
    seen.feed(page)

    assert ("value", EVIL) in seen.attributes
    assert "script" not in seen.tags


@pytest.mark.parametrize(
    "path", ["/projects/%00", "/projects/..%2f..", "/projects/" + "9" * 500, "/projects/<script>", "/projects/é"]
)
def test_a_path_that_can_be_no_project_is_not_found(store_with_hostile_text: Store, path: str):
    browser = app_of(store_with_hostile_text, access_settings=AccessSettings(open=True)).test_client()

    assert browser.get(path, headers=HTML).status_code == 404


@pytest.mark.parametrize("cookie", ["", "x", "é" * 40, "a" * 5000, "' OR 1=1 --'" * 4, "\x7f" * 40])
def test_an_invented_cookie_signs_nobody_in(store_with_hostile_text: Store, cookie: str):
    browser = app_of(store_with_hostile_text).test_client()

    answer = browser.get("/projects/9", headers={**HTML, "Cookie": f"hitl={cookie}".encode().decode("latin-1")})

    assert answer.status_code == 303
