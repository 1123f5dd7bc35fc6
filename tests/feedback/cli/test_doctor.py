"""What `hitl doctor` and `hitl connect` say where Label Studio is not reached, and that they end with an error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from feedback.cli import main
from feedback.store import ProjectRow
from tests.support import stores
from tests.support.unreached import make_certificate, serving


class Result(NamedTuple):
    """How a command ended, and all that it printed."""

    exit_code: int
    output: str


Hitl = Callable[..., Result]


@pytest.fixture
def hitl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hitl:
    """The command in an empty folder, with a token and whatever else is given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ml_backend.labelstudio.transport._MAX_WAIT_S", 0.01)  # between tries

    def run(*words: str, **env: str) -> Result:
        given = {"HITL_DATA_DIR": str(tmp_path / "data"), "HITL_PORT": "9", "LABEL_STUDIO_API_KEY": "a" * 40, **env}
        with monkeypatch.context() as patch:
            for name in os.environ:
                patch.delenv(name)
            for name, value in given.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["hitl", *words])
            with pytest.raises(SystemExit) as ended:
                main()
        return Result(int(ended.value.code or 0), "".join(capsys.readouterr()))

    return run


def test_the_doctor_names_a_certificate_that_nobody_here_trusts(hitl: Hitl, tmp_path: Path):
    pair = make_certificate(tmp_path)
    with serving(pair) as port:
        url = f"https://127.0.0.1:{port}"
        plain, found = hitl("doctor", LABEL_STUDIO_URL=url), hitl("doctor", "--json", LABEL_STUDIO_URL=url)
        trusted = hitl("doctor", LABEL_STUDIO_URL=url, SSL_CERT_FILE=str(pair[0]))
        connecting = hitl("connect", "12", LABEL_STUDIO_URL=url)
        status = hitl("status", LABEL_STUDIO_URL=url)

    (sentence,) = [row["what"] for row in json.loads(found.output)["findings"] if "certificate" in row["what"]]
    assert f"the certificate of {url} is self-signed, and this machine does not trust it" in sentence
    assert sentence in plain.output
    assert "set SSL_CERT_FILE to this file" in plain.output
    assert "certificate of" not in trusted.output
    assert sentence in connecting.output
    assert "set SSL_CERT_FILE" in status.output
    assert (plain.exit_code, connecting.exit_code, status.exit_code) == (1, 1, 1)


def test_the_doctor_works_without_label_studio_and_without_a_project(hitl: Hitl):
    done = hitl("doctor", LABEL_STUDIO_API_KEY="")

    assert done.exit_code == 1
    assert "✓ no other package has the name of one of ours" in done.output
    assert "LABEL_STUDIO_URL, LABEL_STUDIO_API_KEY not set" in done.output
    assert "hitl init" in done.output


def test_the_doctor_names_a_store_that_cannot_be_opened(hitl: Hitl, tmp_path: Path):
    (tmp_path / "file").touch()
    done = hitl("doctor", HITL_DATA_DIR=str(tmp_path / "file"))

    assert done.exit_code == 1
    assert "error  store" in done.output
    assert "HITL_DATA_DIR" in done.output


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"LABEL_STUDIO_URL": "http://studio.invalid"}, "there is no host named studio.invalid"),
        ({"ALL_PROXY": "socks5://ann:s3cr3t@127.0.0.1:9"}, "needs the package socksio"),
        ({"HTTP_PROXY": "http://ann:s3cr3t@127.0.0.1:9"}, "nothing listens at the proxy http://127.0.0.1:9"),
        ({"LABEL_STUDIO_URL": "http://127.0.0.1:9"}, "nothing listens at http://127.0.0.1:9 (connection refused)"),
    ],
)
def test_a_dry_run_fails_where_connecting_would_with_the_same_sentence(hitl: Hitl, env: dict[str, str], said: str):
    env = {"LABEL_STUDIO_URL": "http://studio.invalid", **env}
    trial, real = hitl("connect", "12", "--dry-run", **env), hitl("connect", "12", **env)

    assert (trial.exit_code, real.exit_code) == (1, 1)
    assert said in trial.output
    assert said in real.output
    assert "s3cr3t" not in trial.output + real.output


def test_the_reason_why_label_studio_is_not_reached_stands_in_the_status(hitl: Hitl, tmp_path: Path):
    (tmp_path / "data").mkdir()
    store = stores.fresh(tmp_path / "data" / "hitl.sqlite3")
    store.projects.save_project(ProjectRow("1", title="t", label_config="<View/>"))
    store.close()

    found = hitl("status", LABEL_STUDIO_URL="http://studio.invalid", HTTP_PROXY="http://127.0.0.1:9")

    assert "nothing listens at the proxy http://127.0.0.1:9 (HTTP_PROXY)" in found.output
    assert "What needs no proxy stands in NO_PROXY" in found.output
