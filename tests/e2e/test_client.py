"""The client against a real Label Studio: tokens, people, path prefixes, and errors that say what to do."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.accounts import create_bot, log_in, make_bot_login, sign_up
from ml_backend.labelstudio.changed_tasks import get_task_page, poll_tasks
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.local_server import LocalLabelStudio
from tests.support.label_studio import Project, Site, choice_result

pytestmark = pytest.mark.e2e


@pytest.fixture
def prefixed(site: Site) -> Iterator[str]:
    """Label Studio behind a proxy, below /labels."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            request = urllib.request.Request(  # noqa: S310 - our own Label Studio
                site.url + self.path.removeprefix("/labels"),
                data=self.rfile.read(length) if length else None,
                headers={k: v for k, v in self.headers.items() if k in ("Authorization", "Content-Type")},
                method=self.command,
            )
            try:
                answer = urllib.request.urlopen(request)  # noqa: S310
            except urllib.error.HTTPError as error:
                answer = error
            body = answer.read() if self.path.startswith("/labels/") else b"<html>no such page</html>"
            self.send_response(answer.status if self.path.startswith("/labels/") else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/labels"
        server.shutdown()


def test_legacy_tokens_are_off_and_a_personal_access_token_works(site: Site) -> None:
    assert not site.admin.legacy_token
    assert site.admin.version().startswith("1.23.")
    assert site.admin.me()["email"] == "admin@example.com"


def test_annotators_sign_up_by_invitation_and_act_as_themselves(site: Site, project: Project) -> None:
    saved = [
        person.submit(task, choice_result("good")) for person, task in zip(site.people, project.tasks, strict=False)
    ]

    assert [row["completed_by"] for row in saved] == [account.id for account in site.accounts]
    assert len({account.id for account in site.accounts}) == 3


def test_a_bot_is_made_by_invitation_and_writes_as_itself(site: Site, project: Project) -> None:
    bot = create_bot(site.url, site.admin.invitation, make_bot_login())
    with Client(site.url, bot.token) as client:
        saved = client.submit(project.tasks[0], choice_result("good"))

    assert saved["completed_by"] == bot.id
    assert bot.token not in repr(bot)
    assert bot.password not in repr(bot)


def test_a_wrong_invitation_is_refused_in_words(site: Site) -> None:
    with pytest.raises(LabelStudioError, match="invitation is no longer valid"):
        sign_up(site.url, "/user/signup/?token=wrong", "eve@example.com")


def test_an_email_that_is_taken_is_refused_in_words(site: Site) -> None:
    with pytest.raises(LabelStudioError, match=r"refused the sign-up of ada@example\.com"):
        sign_up(site.url, site.admin.invitation(), "ada@example.com")


def test_a_second_token_needs_leave_to_replace_the_first(site: Site) -> None:
    made = sign_up(site.url, site.admin.invitation(), "frank@example.com")

    with pytest.raises(LabelStudioError, match="already has a personal access token"):
        log_in(site.url, made.email, made.password)
    again = log_in(site.url, made.email, made.password, replace_token=True)
    with Client(site.url, made.token) as old, pytest.raises(LabelStudioError, match="does not accept the access token"):
        old.me()
    with Client(site.url, again.token) as new:
        assert new.me()["email"] == "frank@example.com"


def test_a_dead_token_is_named_with_what_to_do_and_never_shown(site: Site) -> None:
    key = "0123456789abcdef0123456789abcdef01234567"
    with Client(site.url, key) as client, pytest.raises(LabelStudioError) as caught:
        client.me()

    assert client.legacy_token
    assert caught.value.status == 401
    assert "personal access token" in caught.value.hint
    assert key not in str(caught.value)


def test_a_path_prefix_is_kept(prefixed: str, site: Site, project: Project) -> None:
    token = site.process.admin.token
    with Client(prefixed, token) as client:
        assert client.project(project.id)["id"] == int(project.id)

    with Client(prefixed.removesuffix("/labels"), token) as lost, pytest.raises(LabelStudioError) as caught:
        lost.project(project.id)
    assert "LABEL_STUDIO_URL" in caught.value.hint
    assert "<html>" not in str(caught.value)


def test_what_is_not_there_is_one_short_sentence(site: Site) -> None:
    with pytest.raises(LabelStudioError) as caught:
        site.admin.project("999999")

    assert caught.value.status == 404
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("hostile", ["", "1/../2", "1?x=1", "-1", "１"])
def test_a_hostile_project_id_never_reaches_a_path(site: Site, hostile: str) -> None:
    with pytest.raises(LabelStudioError, match="not a project id"):
        site.admin.project(hostile)


def test_deleting_what_is_gone_is_no_error(site: Site, project: Project) -> None:
    made = site.admin.create_prediction(project.tasks[0], result=[], score=0.5, model_version="m1")

    site.admin.delete_prediction(made["id"])
    site.admin.delete_prediction(made["id"])

    assert site.admin.prediction(made["id"]) is None
    assert site.admin.predictions(task=project.tasks[0]) == []


def test_changing_a_webhook_keeps_its_events(site: Site, project: Project) -> None:
    hook = site.admin.create_webhook(
        project.id,
        url=f"{site.url}/nowhere",
        headers={},
        send_for_all_actions=False,
        actions=["ANNOTATION_CREATED", "ANNOTATION_UPDATED"],
    )

    site.admin.patch_webhook(hook["id"], url=hook["url"], is_active=False)

    (now,) = site.admin.webhooks(project.id)
    assert sorted(now["actions"]) == ["ANNOTATION_CREATED", "ANNOTATION_UPDATED"]
    assert not now["is_active"]


def test_pages_of_tasks_lose_none_when_tasks_vanish_between_them(site: Site, project: Project) -> None:
    seen = []
    for task in site.admin.each_task(project.id, include=("id",), page_size=4):
        seen.append(task["id"])
        if len(seen) == 4:
            site.admin.delete_task(project.tasks[0])

    assert seen == list(project.tasks)


def test_a_task_that_label_studio_cannot_show_is_left_out_and_the_others_are_read(site: Site, project: Project) -> None:
    since = site.admin.task(project.tasks[0])["updated_at"]
    imported = httpx.post(
        f"{site.url}/api/projects/{project.id}/import?return_task_ids=true",
        content=json.dumps([{"data": {"text": "half of a pair: \ud800"}}, {"data": {"text": "fine"}}]),
        headers={"Authorization": site.admin.authorization(), "Content-Type": "application/json"},
        timeout=60,
    )
    hidden, fine = imported.json()["task_ids"]
    answer = site.people[0].send("POST", f"api/tasks/{fine}/annotations/", body={"result": choice_result("good")})
    skipped: list[str] = []

    with pytest.raises(LabelStudioError, match="HTTP 500"):
        site.admin.tasks(project.id, include=("id", "data"))
    page = get_task_page(site.admin, project.id, above=0, size=500)
    changed = [task.id for task, _ in poll_tasks(site.admin, project.id, since, skipped=skipped)]

    assert [task.id for task, _ in page.tasks] == [*project.tasks, fine]
    assert page.annotation_ids == {number: frozenset() for number in (*project.tasks, hidden)} | {
        fine: frozenset({answer["id"]})
    }
    assert [reason.split(":")[0] for reason in (*page.skipped, *skipped)] == [f"task {hidden}"] * 2
    assert fine in changed
    assert hidden not in changed


def test_a_taken_port_is_refused_instead_of_moved(site: Site, tmp_path: Path) -> None:
    with pytest.raises(LabelStudioError, match=f"port {site.process.port} is taken"):
        LocalLabelStudio(tmp_path, port=site.process.port).start()


def test_label_studio_gets_none_of_our_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_NAME", "elsewhere")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "secret")

    environment = site.process._environment()

    assert "secret" not in environment.values()
    assert "DATABASE_NAME" not in environment
    assert site.process.password not in " ".join(httpx.get(f"{site.url}/health").headers.values())
