"""`hitl init`: what it writes, what it asks, and what it never shows."""

from __future__ import annotations

import os
import pty
import select
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from feedback.cli import app
from feedback.settings import read_settings

Hitl = Callable[..., Result]

TOKEN = "t0ken-that-nobody-sees"
AWAY = "http://127.0.0.1:9"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ml_backend.labelstudio.transport._MAX_WAIT_S", 0.01)  # between tries
    monkeypatch.setenv("HITL_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def init(folder: Path) -> Hitl:
    """The command without a terminal, with the token at its standard input."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["init", "--url", AWAY, "--token-file", "-", *words], input=f"{TOKEN}\n")

    return run


def test_without_a_terminal_it_writes_what_it_is_given_and_reports_what_is_wrong(init: Hitl, folder: Path):
    done = init()

    settings = read_settings({}, folder)
    assert (settings.label_studio_url, settings.label_studio_api_key) == (AWAY, TOKEN)
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    assert settings.loopback
    assert not settings.secrets  # on loopback one is made in the store
    assert TOKEN not in done.output
    assert done.exit_code == 1
    assert f"nothing listens at {AWAY}" in done.output


def test_an_address_that_others_reach_gets_a_secret_and_a_log_in(init: Hitl, folder: Path):
    done = init("--public-url", "http://hitl.example.org:9191")

    settings = read_settings({}, folder)
    assert (settings.url, settings.host, settings.port) == ("http://hitl.example.org:9191", "0.0.0.0", 9191)  # noqa: S104
    assert len(settings.webhook_secret) > 20
    assert settings.basic_auth_password not in done.output
    assert settings.webhook_secret not in done.output

    init("--public-url", "http://hitl.example.org:9191", "--overwrite")
    assert read_settings({}, folder).webhook_secret == settings.webhook_secret  # Label Studio's webhooks carry it


@pytest.mark.parametrize("url", ["http://localhost:9090", "http://127.0.0.1:9393"])
def test_the_address_that_was_given_last_counts(init: Hitl, folder: Path, url: str):
    init("--public-url", "http://host.docker.internal:9191")
    docker = read_settings({}, folder)
    init("--public-url", "http://hitl.example.org:9191", "--overwrite")
    elsewhere = read_settings({}, folder)

    init("--public-url", url, "--overwrite")

    settings = read_settings({}, folder)
    assert docker.pages_link_url == "http://localhost:9191"  # a browser need not know the name that Docker gives
    assert (elsewhere.pages_link_url, settings.pages_link_url) == ("http://hitl.example.org:9191", url)
    assert (settings.url, settings.host, settings.port) == (url, "127.0.0.1", int(url.rpartition(":")[2]))


def test_a_file_that_exists_is_changed_only_on_demand_and_keeps_its_other_lines(init: Hitl, folder: Path):
    (folder / ".env").write_text("# mine\nHITL_TICK_S=3\nLABEL_STUDIO_URL=http://old:1")
    (folder / ".env").chmod(0o644)

    refused = init()
    assert refused.exit_code != 0
    assert "exists" in str(refused.exception)
    assert "http://old:1" in (folder / ".env").read_text()

    init("--overwrite")
    settings = read_settings({}, folder)
    assert (settings.label_studio_url, settings.tick_s) == (AWAY, 3.0)
    assert (folder / ".env").read_text().startswith("# mine\n")
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--url", "localhost:8080"], "LABEL_STUDIO_URL is 'localhost:8080'; wanted http://host:port"),
        (["--token-file", "/nowhere"], "/nowhere cannot be read"),
        (["--public-url", "hitl:9090"], "HITL_PUBLIC_URL is 'hitl:9090'"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(
    init: Hitl, folder: Path, words: Sequence[str], message: str
):
    done = init(*words)

    assert message in str(done.exception)
    assert not (folder / ".env").exists()


def test_without_a_terminal_nothing_is_asked(folder: Path):
    assert "Give --url" in str(getattr(CliRunner().invoke(app, ["init"]).exception, "hint", ""))
    assert "Give --token-file" in str(getattr(CliRunner().invoke(app, ["init", "--url", AWAY]).exception, "hint", ""))


def test_at_a_terminal_it_asks_and_the_token_is_not_shown(folder: Path):
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "HITL_DATA_DIR": str(folder)}
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "feedback", "init"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True)
    os.close(theirs)
    shown = ""
    try:
        for question, answer in (
            ("The address of Label Studio", f"{AWAY}/projects/12/data"),
            ("Access token", TOKEN),
            ("at which Label Studio reaches this service [", ""),
        ):
            shown = _read_until(ours, question, shown)
            while answer == TOKEN and termios.tcgetattr(ours)[3] & termios.ECHO:
                time.sleep(0.01)  # nobody types before the terminal has stopped to show it
            os.write(ours, f"{answer}\n".encode())
        shown = _read_until(ours, "changes the settings.", shown)
        assert process.wait(30) == 1  # nobody is there
    finally:
        process.kill()
        process.wait()
    os.close(ours)

    settings = read_settings({}, folder)
    assert (settings.label_studio_url, settings.label_studio_api_key) == (AWAY, TOKEN)
    assert TOKEN not in shown
    assert "only you can read" in shown


def _read_until(terminal: int, text: str, shown: str, *, within_s: float = 30.0) -> str:
    until_s = time.monotonic() + within_s
    while text not in shown and time.monotonic() < until_s:
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 4096).decode()
    assert text in shown, shown
    return shown
