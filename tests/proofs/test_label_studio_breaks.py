"""Proof 4, its other half: Label Studio is down, broken, slow or has revoked our token; and no secret is revealed."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from feedback.labelling_platform.service_account import find_bot
from feedback.project import connect
from feedback.settings import Settings, read_settings
from feedback.store import Store, open_store
from tests.support.label_studio import Project, Site, choice_result
from tests.support.proof import Process, Web, status, trouble, until, whole
from tests.support.proxy import Mode, Proxy

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]
LOGIN = {"HITL_BASIC_AUTH_USER": "studio", "HITL_BASIC_AUTH_PASSWORD": "pass-of-ours-4711"}


class Loop:
    """Web and worker around a project whose Label Studio stands behind a proxy."""

    def __init__(self, site: Site, project: Project, proxy: Proxy, web: Web, worker: Process, store: Store) -> None:
        self.site, self.project, self.proxy = site, project, proxy
        self.web, self.worker, self.store = web, worker, store

    def check_alive(self) -> None:
        for _ in range(10):
            began = time.monotonic()
            assert self.web.ask("GET", "/health")[0] == 200
            headers = {"Authorization": "Basic c3R1ZGlvOnBhc3Mtb2Ytb3Vycy00NzEx"}
            body = {"tasks": [{"id": 1, "data": {"text": "x"}}], "project": f"{self.project.id}.1"}
            body["label_config"] = self.project.body()["label_config"]
            assert self.web.ask("POST", "/predict", body, headers=headers)[0] == 200
            assert time.monotonic() - began < 3.0
            time.sleep(0.1)

    def trouble(self) -> str:
        return trouble(self.worker.env)


@pytest.fixture
def loop(site: Site, tmp_path: Path) -> Iterator[Loop]:
    with site.project(12) as project, Proxy(site.url) as proxy:
        env = {
            "HITL_DATA_DIR": str(tmp_path / "data"),
            "HITL_WEB_WORKERS": "1",
            "HITL_TICK_S": "0.2",
            "HITL_POLL_S": "0.5",
            "HITL_SWEEP_S": "3600",
            "HITL_LOG_LEVEL": "debug",
            "LABEL_STUDIO_URL": proxy.url,
            "LABEL_STUDIO_API_KEY": site.process.admin.token,
            **LOGIN,
        }
        with Web(env=env, log=tmp_path / "web.log") as web:
            settings = read_settings({**env, "HITL_PORT": str(web.port)})
            with closing(open_store(settings.store_url)) as store:
                connect.connect(settings, store, site.admin, project.id, now_s=time.time())
                with Process("feedback", "worker", env=web.env, log=tmp_path / "worker.log") as worker:
                    yield Loop(site, project, proxy, web, worker, store)
                connect.disconnect(store, site.admin, project.id)


def test_label_studio_breaks_and_the_loop_goes_on_when_it_is_well_again(loop: Loop) -> None:
    modes: dict[Mode, str] = {
        "down": "without an answer",
        "500": "HTTP 500",
        "html": "page",
        "revoked": "token",
        "slow": "",
    }
    for number, (mode, named_cause) in enumerate(modes.items()):
        until(lambda: "not collected" not in loop.trouble(), "it was not well before", loop.worker, within_s=120.0)
        loop.web.kill()  # what is said now is found by polling only
        loop.site.people[0].submit(loop.project.tasks[number], choice_result("good"), lead_time=1.0)
        loop.proxy.mode = mode
        loop.web.start()
        loop.check_alive()
        if named_cause:
            until(lambda: named_cause in loop.trouble(), f"{mode}: nobody says it", loop.worker, within_s=120.0)  # noqa: B023
            loop.proxy.mode = "well"

        wanted = number + 1
        until(
            lambda: len(loop.store.votes.list_votes(loop.project.id)) == wanted,  # noqa: B023 - called at once
            f"{mode}: lost",
            loop.worker,
            within_s=120.0,
        )
        loop.proxy.mode = "well"
    whole(loop.store)
    assert loop.worker.running


def test_no_secret_stands_in_any_output(loop: Loop, tmp_path: Path) -> None:
    """A short run with everything that fails, then a search through all that it wrote and said."""
    loop.site.admin.patch_project(loop.project.id, task_data_login="someone", task_data_password="data-password-77")
    project = loop.project.body()
    for number, task in enumerate(loop.project.tasks[:4]):
        loop.site.people[number % 3].submit(task, choice_result("bad" if number % 2 else "good"), lead_time=1.0)
    loop.site.people[0].submit(loop.project.tasks[5], [], skip=True)
    loop.web.ask("POST", "/webhook", {"action": "x"}, headers={"X-Hitl-Secret": "guess-1234"})
    loop.web.ask("POST", "/webhook", {"action": "x"}, headers={"Authorization": "Basic Z3Vlc3M6Z3Vlc3M="})
    for mode in ("500", "revoked", "html", "down"):
        loop.proxy.mode = mode  # type: ignore[assignment]
        asked = loop.proxy.asked
        until(lambda: loop.proxy.asked > asked, "the worker does not ask", loop.worker, within_s=60.0)  # noqa: B023
        time.sleep(1.0)
    loop.proxy.mode = "well"
    until(
        lambda: len(loop.store.votes.list_votes(loop.project.id)) == 4,
        "answers are missing",
        loop.worker,
        within_s=120.0,
    )

    settings = read_settings(loop.web.env)
    outputs = _outputs(loop, settings, tmp_path)
    secrets = _secrets(loop, settings, project)
    assert min(map(len, outputs.values())) > 10, {name: len(text) for name, text in outputs.items()}
    assert len(secrets) >= 9
    leaked = [(secret, where) for secret, value in secrets.items() for where, text in outputs.items() if value in text]
    assert leaked == []
    assert not [where for where, text in outputs.items() if "Traceback (most recent call last)" in text]


def _secrets(loop: Loop, settings: Settings, project: dict[str, object]) -> dict[str, str]:
    bot = find_bot(loop.store, settings.label_studio_url)
    found = {
        "webhook secret": connect.webhook_secrets(settings, loop.store)[0],
        "our password": LOGIN["HITL_BASIC_AUTH_PASSWORD"],
        "administrator's token": loop.site.process.admin.token,
        "administrator's password": loop.site.process.password,
        "task data password": "data-password-77",
        "draw key": loop.store.secrets.get_or_create_secret("draws"),
        "guess": "guess-1234",
        **{f"annotator {one.email}": one.token for one in loop.site.accounts},
    }
    if bot is not None:
        found["bot's token"] = bot.token
    if project.get("token"):
        found["project token"] = str(project["token"])
    return found


def _outputs(loop: Loop, settings: Settings, folder: Path) -> dict[str, str]:
    """All that the run wrote and said: logs, pages, metrics, reports, and every row but those kept as secrets."""
    headers = {"Authorization": "Basic c3R1ZGlvOnBhc3Mtb2Ytb3Vycy00NzEx"}
    pages = {
        path: str(loop.web.ask("GET", path, headers=headers)[1]) for path in ("/metrics", "/openapi.json", "/health")
    }
    pages["/"] = str(loop.web.ask("GET", "/", headers={**headers, "Accept": "text/html"})[1])
    errors = [loop.web.ask("POST", path, {"project": []}, headers=headers)[1] for path in ("/predict", "/setup")]
    logs = {path.name: path.read_text(errors="replace") for path in folder.glob("*.log")}
    with closing(sqlite3.connect(settings.store_url.removeprefix("sqlite:///"))) as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {
            f"table {name}": "\n".join(
                " ".join(value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in row)
                for row in database.execute(f'SELECT * FROM "{name}"')  # noqa: S608 - names of the schema
            )
            for name in names
            if name != "secret" and re.fullmatch(r"[a-z_]+", name)
        }
    stored = {"stored": "\n".join(rows.values())}
    return {**pages, **logs, **stored, "errors": str(errors) * 2, "status": str(status(loop.worker.env))}
