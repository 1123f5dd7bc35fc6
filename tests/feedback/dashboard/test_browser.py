"""In a real browser: pages are laid out, nothing is refused by the security policy, nothing complains, nothing runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import flask
import pytest
from flask import Flask
from PIL import Image

from feedback.dashboard.authentication import AccessSettings, Authenticator
from feedback.store import Store
from ml_backend.app.security import Guard, Security
from ml_backend.labelstudio.accounts import User
from tests.support import browser, pages
from tests.support.served import served_in_thread

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(browser.program() is None, reason="no chromium on this machine"),
]


@pytest.fixture
def site(store_with_projects: Store, clock: pages.Clock) -> Iterator[str]:
    """The pages on a port, with a way in that needs no typing, and a page that breaks the policy."""
    chosen = pages.tiers(ann="admin")
    pages.create_project(store_with_projects, "9", chosen, title=pages.EVIL)
    pages.review(store_with_projects, "9", chosen, text=pages.EVIL)
    pages.add_answers(store_with_projects, "9", labels=(pages.EVIL, "ham", "x"))
    pages.add_model_history(store_with_projects, "9", [0.8, 0.9, 0.85], labels=(pages.EVIL, "ham", "x"))
    app = pages.app_of(store_with_projects, clock=clock)
    authenticator = Authenticator(store_with_projects, Guard(Security()), AccessSettings(), clock=clock)
    _add_ways_in(app, authenticator)
    with served_in_thread(app) as address:
        yield address


def _add_ways_in(app: Flask, authenticator: Authenticator) -> None:
    @app.get("/test/enter")
    def enter() -> flask.Response:
        answer = flask.make_response(flask.redirect(flask.request.args["to"]))
        authenticator.sign_in(flask.request, answer, User(2, "ann@example.com"), owner=False)
        return answer

    @app.get("/test/careless")
    def careless() -> str:
        return "<!doctype html><title>before</title><script>document.title = 'script ran'</script><p>careless</p>"


def test_a_script_that_runs_is_detected(site: str, tmp_path: Path):
    page = browser.render(f"{site}/test/careless", tmp_path)

    assert "script ran" not in page.dom.split("</title>")[0]
    assert any("Content Security Policy" in row for row in page.complaints)


PAGES = ["/", "/sign-in", "/projects/7", "/projects/7/people", "/projects/7/cases", "/projects/8", "/projects/9"]
PAGES += ["/projects/9/people", "/projects/9/cases", "/projects/9/cases/1", "/projects/9/overrides"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_layout_error(site: str, tmp_path: Path, path: str):
    page = browser.render(f"{site}/test/enter?to={path}", tmp_path)

    assert page.complaints == ()
    assert "<footer>" in page.dom
    picture = Image.open(tmp_path / "page.png").convert("RGB")
    colours = picture.getcolors(1 << 24) or []
    assert picture.getpixel((0, 0)) == (0xFB, 0xFB, 0xFA)  # the paper of the style sheet: it was loaded and applied
    assert len(colours) > 50  # and there is something on it


def test_hostile_text_never_runs(site: str, tmp_path: Path):
    page = browser.render(f"{site}/test/enter?to=/projects/9", tmp_path)

    assert "<script" not in page.dom
    assert "onerror=" not in page.dom.replace("onerror=alert(2)&gt;", "")
    assert "&lt;script&gt;alert(1)" in page.dom


def test_a_page_is_dark_in_dark_mode(site: str, tmp_path: Path):
    browser.render(f"{site}/test/enter?to=/projects/7", tmp_path, dark=True)

    picture = Image.open(tmp_path / "page.png").convert("RGB")
    assert picture.getpixel((0, 0)) == (0x16, 0x19, 0x1C)
