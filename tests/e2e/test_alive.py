"""What stops the loop silently on a real Label Studio is said by `status`, `doctor` and every page, with the remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedback.app.bootstrap import find_bot
from feedback.store import open_store
from ml_backend.child_processes import stop_process
from ml_backend.labelstudio.accounts import log_in, sign_up
from ml_backend.labelstudio.local_server import free_port, is_healthy
from tests.support.label_studio import Project, Site, choice_result

pytestmark = pytest.mark.e2e


@dataclass
class Service:
    """`hitl serve` with a token of its own, and the commands beside it."""

    environ: dict[str, str] = field(repr=False)
    url: str

    def hitl(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "feedback", *words]
        env = {**self.environ, **more}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)

    def trouble(self) -> dict[str, str]:
        """Return the errors that the service shows, by name."""
        found = self.health()["findings"]
        return {row["name"]: f"{row['what']} {row['fix']}" for row in found if row["severity"] == "error"}

    def status(self) -> str:
        return self.hitl("status").stdout

    def page(self) -> str:
        return httpx.get(self.url, headers={"Accept": "text/html"}, trust_env=False).text

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/health", trust_env=False).json()
        return found

    def until(self, true: Callable[[], bool], *, within_s: float = 60.0) -> None:
        deadline = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < deadline, self.health()
            time.sleep(0.3)


@pytest.fixture
def service(site: Site, tmp_path: Path) -> Iterator[tuple[Service, str, str]]:
    account = sign_up(site.url, site.admin.invitation(), f"owner-{free_port()}@example.com")
    port = free_port()
    own = {
        "HITL_DATA_DIR": str(tmp_path / "data"),
        "HITL_PORT": str(port),
        "HITL_POLL_S": "1",
        "HITL_TICK_S": "0.5",
        "HITL_WEB_WORKERS": "1",
        "LABEL_STUDIO_URL": site.url,
        "LABEL_STUDIO_API_KEY": account.token,
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("HITL_", "LABEL_STUDIO_"))}
    environ |= own
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "feedback", "serve"], env=environ, stderr=log, stdout=log)
    try:
        assert is_healthy(process, f"http://127.0.0.1:{port}", timeout_s=60)
        yield Service(environ, f"http://127.0.0.1:{port}"), account.email, account.password
    finally:
        stop_process(process, timeout_s=30)


def test_a_wrong_folder_a_blocked_webhook_and_dead_tokens_are_said_everywhere(
    service: tuple[Service, str, str], site: Site, project: Project, tmp_path: Path
) -> None:
    one, email, password = service
    store = str(tmp_path / "data" / "hitl.sqlite3")

    elsewhere = {"HITL_DATA_DIR": str(tmp_path / "elsewhere")}
    refused = one.hitl("connect", project.id, **elsewhere)
    assert refused.returncode == 2
    assert "works on another store than this command" in refused.stderr
    assert str(tmp_path / "elsewhere" / "hitl.sqlite3") in refused.stderr
    assert site.admin.webhooks(project.id) == []
    for command in ("status", "doctor"):
        assert "works on another store than this command" in one.hitl(command, **elsewhere).stdout
    assert f"Its store: {store}" in (tmp_path / "log").read_text()

    connected = one.hitl("connect", project.id)
    assert connected.returncode == 0, connected.stderr
    assert f"Store: {store}" in connected.stdout
    one.until(lambda: bool(one.health()["ready"]))
    assert "Trouble: none." in one.status()
    assert 'class="strip bad"' not in one.page()

    (webhook,) = site.admin.webhooks(project.id)
    site.admin.patch_webhook(webhook["id"], headers={"X-Hitl-Secret": "of another store"})
    site.people[0].submit(project.tasks[0], choice_result("good"))
    one.until(lambda: "other store" in one.trouble())
    for text in (one.status(), one.hitl("doctor", project.id).stdout, one.page()):
        assert "with a secret that this store does not know were refused" in text
    assert one.health()["ready"] is False
    one.hitl("connect", project.id)  # the remedy
    site.people[0].submit(project.tasks[1], choice_result("good"))
    one.until(lambda: one.trouble() == {})

    site.admin.patch_webhook(webhook["id"], is_active=False)
    site.people[0].submit(project.tasks[2], choice_result("good"))
    one.until(lambda: "webhook" in one.trouble())
    for text in (one.status(), one.hitl("doctor", project.id).stdout, one.page()):
        assert f"ebhooks of project {project.id} do not arrive" in text
    assert f"{one.url}/webhook" in one.trouble()["webhook"]
    one.hitl("connect", project.id)  # the remedy
    site.people[0].submit(project.tasks[3], choice_result("good"))
    one.until(lambda: one.trouble() == {})

    with closing(open_store(f"sqlite:///{store}")) as opened:
        bot = find_bot(opened, site.url)
        login = json.loads(opened.secrets.get_secret(f"bot {site.url}") or "")
    assert bot is not None
    renewed = log_in(site.url, email, password, replace_token=True).token  # revokes that of the service
    one.until(lambda: "refuses the token of LABEL_STUDIO_API_KEY" in one.page())
    for text in (one.status(), one.hitl("doctor").stdout, one.trouble()["Label Studio"], one.page()):
        assert "Make a personal access token in Label Studio" in text
    one.environ["LABEL_STUDIO_API_KEY"] = renewed
    log_in(site.url, login["email"], login["password"], replace_token=True)  # revokes that of our account
    assert "the token of our service account" in one.status()
    one.hitl("connect", project.id)  # the remedy
    assert "our service account" not in one.status()
    site.admin.delete_webhook(webhook["id"])
