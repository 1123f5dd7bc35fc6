"""Signing in against a real Label Studio: it says who somebody is, and nothing of theirs is changed by the asking."""

from __future__ import annotations

import pytest

from feedback.dashboard import LabelStudioAccounts
from feedback.store import Store, open_store
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.accounts import User, WrongCredentials
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.local_server import free_port
from tests.support import pages
from tests.support.label_studio import Site

pytestmark = pytest.mark.e2e


@pytest.fixture
def accounts(site: Site) -> LabelStudioAccounts:
    return LabelStudioAccounts(site.url, site.process.admin.token)


def test_label_studio_knows_whose_password_and_token_it_is(site: Site, accounts: LabelStudioAccounts):
    ada = site.accounts[0]

    assert accounts.by_password(ada.email, ada.password) == User(ada.id, ada.email)
    assert accounts.by_token(ada.token) == User(ada.id, ada.email)
    with Client(site.url, ada.token) as hers:
        assert hers.me()["id"] == ada.id  # her one token still works


@pytest.mark.parametrize("password", ["guess", "", "x" * 5000, "pässwort", "a\nb"])
def test_a_wrong_password_is_nobodys(site: Site, accounts: LabelStudioAccounts, password: str):
    with pytest.raises(WrongCredentials):
        accounts.by_password(site.accounts[0].email, password)


@pytest.mark.parametrize(
    "token", ["guess", "x" * 40, "eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjoxfQ.", "a b", "é", "a\r\nX: y"]
)
def test_a_wrong_token_is_nobodys(accounts: LabelStudioAccounts, token: str):
    with pytest.raises(WrongCredentials):
        accounts.by_token(token)


def test_only_the_user_of_our_token_is_the_owner(site: Site, accounts: LabelStudioAccounts):
    admin = site.process.admin

    assert accounts.is_owner(User(admin.id, admin.email))
    assert not accounts.is_owner(User(site.accounts[0].id, admin.email))  # by number: addresses can be changed
    assert not LabelStudioAccounts(site.url, "").is_owner(User(admin.id, admin.email))


def test_people_have_the_names_that_label_studio_knows(site: Site, accounts: LabelStudioAccounts):
    assert accounts.names()[site.accounts[0].id] == site.accounts[0].email


def test_where_nobody_answers_nobody_is_called_wrong():
    unreachable = LabelStudioAccounts(f"http://127.0.0.1:{free_port()}", "some-token")

    for ask in (lambda: unreachable.by_password("ada@example.com", "pw"), lambda: unreachable.by_token("token")):
        with pytest.raises(LabelStudioError) as raised:
            ask()
        assert not isinstance(raised.value, WrongCredentials)
    assert unreachable.names() == {}
    assert not unreachable.is_owner(User(1, "ada@example.com"))


def test_a_person_signs_in_to_the_pages_with_label_studios_password(site: Site, tmp_path):
    store: Store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    pages.create_project(store, "7")
    admin = site.process.admin
    accounts = LabelStudioAccounts(site.url, admin.token)
    browser = pages.app_of(store, accounts=accounts).test_client()  # type: ignore[arg-type]

    refused = pages.sign_in(browser, 1, email=admin.email, password="guess")
    answer = pages.sign_in(browser, 1, email=admin.email, password=admin.password, next_page="/projects/7")

    assert refused.status_code == 401
    assert answer.location == "/projects/7"
    assert "/projects/7/pause" in browser.get("/projects/7", headers=pages.HTML).text  # the owner of our token rules
    store.close()
