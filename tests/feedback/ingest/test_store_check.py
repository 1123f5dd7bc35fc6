"""A command and the service at its public address prove to each other that they work on one store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from flask import Flask, redirect

from feedback.app.web_app import make_application
from feedback.errors import NotConnected
from feedback.ingest import store_check
from feedback.project.connect import require_own_store
from feedback.settings import Settings, read_settings
from feedback.store import ProjectRow, Store
from ml_backend.labelstudio.local_server import free_port
from tests.support import stores
from tests.support.everything import where
from tests.support.make_events import annotation_event
from tests.support.served import served_in_thread

Serve = Callable[..., str]
_UNKNOWN = "http://hitl.invalid:9090"  # no machine knows this name


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start the web application on the store in a folder; gives its address."""
    with ExitStack() as stack:

        def start(folder: str, **more: str) -> str:
            (tmp_path / folder).mkdir(exist_ok=True)
            settings = _settings(tmp_path / folder, "http://127.0.0.1:9", **more)
            stores.fresh(settings.data_dir / "hitl.sqlite3").close()
            return stack.enter_context(served_in_thread(make_application(settings)))

        yield start


def _settings(folder: Path, url: str, **more: str) -> Settings:
    return read_settings({"HITL_DATA_DIR": str(folder), "HITL_PUBLIC_URL": url, **more})


@pytest.fixture
def own(store: Store, tmp_path: Path) -> Callable[..., list[str]]:
    """What is wrong between the store in the folder of the test and the service at an address."""

    def ask(url: str, **more: str) -> list[str]:
        found = store_check.check_store_of_service(_settings(tmp_path, url, **more), store)
        assert all(finding.severity == "error" and finding.fix for finding in found)
        return [f"{finding.name}: {finding.what}" for finding in found]

    return ask


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_check, "_SECRETS_AGE_S", 0.0)


def test_a_service_with_the_same_store_proves_it_before_and_after_the_first_secret(
    own: Callable[..., list[str]], store: Store, tmp_path: Path
):
    with served_in_thread(make_application(_settings(tmp_path, "http://127.0.0.1:9"))) as url:
        before = own(url)
        require_own_store(_settings(tmp_path, url), store)
        after = own(url)

    assert (before, after) == ([], [])


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({}, {}),  # neither was ever connected
        ({"HITL_WEBHOOK_SECRET": "a"}, {"HITL_WEBHOOK_SECRET": "a"}),
        ({"HITL_WEBHOOK_SECRET": "a"}, {}),
        ({"HITL_BASIC_AUTH_USER": "u", "HITL_BASIC_AUTH_PASSWORD": "p"}, {}),
    ],
)
def test_a_service_with_another_store_is_refused_whatever_the_secrets(
    own: Callable[..., list[str]],
    serve: Serve,
    store: Store,
    tmp_path: Path,
    theirs: dict[str, str],
    ours: dict[str, str],
):
    url = serve("other", **theirs)

    (found,) = own(url, **ours)
    with pytest.raises(NotConnected, match="works on another store") as refused:
        require_own_store(_settings(tmp_path, url, **ours), store)

    assert found.startswith("other store: ")
    assert str(tmp_path / "hitl.sqlite3") in found
    counted = httpx.get(f"{url}/metrics", auth=("u", "p"), trust_env=False).text
    assert 'event="webhook_secret_unknown"' not in counted  # a command that asks is no webhook that was refused
    assert "hitl_ready" in counted
    assert "HITL_DATA_DIR" in refused.value.hint


@pytest.mark.usefixtures("quick")
def test_the_same_store_with_another_webhook_secret_would_refuse_each_webhook(
    own: Callable[..., list[str]], tmp_path: Path
):
    with served_in_thread(make_application(_settings(tmp_path, "http://127.0.0.1:9", HITL_WEBHOOK_SECRET="a"))) as url:
        (found,) = own(url, HITL_WEBHOOK_SECRET="b")

    assert found.startswith("other store: ")
    assert "or with another HITL_WEBHOOK_SECRET" in found  # as in a folder without the .env of the service


def test_nobody_or_another_program_at_the_address_is_no_proof_of_anything(
    own: Callable[..., list[str]], store: Store, tmp_path: Path
):
    nobody = f"http://127.0.0.1:{free_port()}"

    (silent,) = own(nobody)
    with served_in_thread(Flask("another program")) as url:
        (strange,) = own(url)

    assert silent.startswith(f"service not reached: the web process does not answer at {nobody}")
    assert strange == f"service not reached: {url}/webhook does not answer as this service does (HTTP 404)."
    assert [one.name for one in require_own_store(_settings(tmp_path, nobody), store)] == ["service not reached"]


def test_an_address_that_redirects_is_told_with_its_target(own: Callable[..., list[str]]):
    moved = Flask("a proxy before https")
    moved.add_url_rule("/webhook", view_func=lambda: redirect("https://hitl.example/webhook"), methods=["POST"])
    with served_in_thread(moved) as url:
        (found,) = own(url)

    assert found == f"service not reached: {url}/ redirects to https://hitl.example/ (HTTP 302)."


@pytest.mark.usefixtures("quick")
def test_a_copy_of_the_store_is_another_store(own: Callable[..., list[str]], store: Store, tmp_path: Path):
    (tmp_path / "copy").mkdir()
    store.secrets.get_or_create_secret("webhook")
    store.backup(tmp_path / "copy" / "hitl.sqlite3")
    with served_in_thread(make_application(_settings(tmp_path / "copy", "http://127.0.0.1:9"))) as url:
        (found,) = own(url)

    assert found.startswith("other store: ")


@pytest.mark.parametrize("question", [None, "", "a" * 32, "A" * 32, "\x00" * 32, ["a"], "a" * 10_000])
def test_only_a_question_that_stands_in_the_store_is_answered(store: Store, question: object):
    store.secrets.save_secret(f"{store_check.ACTION} {'b' * 32}", "key")

    assert store_check.answer_store_check(store, {"question": question}) == {"status": "other store"}
    assert store_check.answer_store_check(store, {"question": "b" * 32})["status"] == "ok"
    assert "key" not in str(store_check.answer_store_check(store, {"question": "b" * 32}))


def test_a_question_leaves_nothing_in_the_store_nor_does_one_of_a_command_that_was_killed(
    own: Callable[..., list[str]], store: Store
):
    asked_s = int(time.time())
    old, running = (f"{store_check.ACTION} {at_s:08x}{'0' * 24}" for at_s in (asked_s - 7200, asked_s))
    for name in (old, running):
        store.secrets.save_secret(name, "key")

    own(f"http://127.0.0.1:{free_port()}")

    assert (store.secrets.get_secret(old), store.secrets.get_secret(running)) == (None, "key")
    store.secrets.delete_secrets(running, running)
    assert where(store, store_check.ACTION) == []


def test_a_name_that_only_label_studio_knows_is_no_trouble_once_a_webhook_came_by_it(store: Store, tmp_path: Path):
    with served_in_thread(make_application(_settings(tmp_path, "http://127.0.0.1:9"))) as url:
        settings = _settings(tmp_path, _UNKNOWN, HITL_PORT=str(urlsplit(url).port))
        (before,) = store_check.check_store_of_service(settings, store)
        store.projects.save_project(ProjectRow("7", connected=True))
        store.receive([annotation_event(5, "A", project="7")])
        store.ingest_inbox()
        after = store_check.check_store_of_service(settings, store)

    assert (before.name, before.severity) == ("name not known here", "warning")
    assert f"{_UNKNOWN}; the service answers here, at {url}" in before.what
    assert "HITL_PUBLIC_URL" in before.fix
    assert after == []


@pytest.mark.usefixtures("quick")
def test_an_unknown_name_is_trouble_where_no_service_of_this_machine_has_the_store(
    own: Callable[..., list[str]], serve: Serve
):
    nobody, another = str(free_port()), str(urlsplit(serve("other")).port)

    for port in (nobody, another):
        (found,) = own(_UNKNOWN, HITL_PORT=port)
        assert found.startswith(f"service not reached: the web process does not answer at {_UNKNOWN}: ")
        assert f"and no service with this store answers at http://127.0.0.1:{port}." in found
