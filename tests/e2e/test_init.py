"""From nothing to a connected project beside a real Label Studio, whose certificate nobody knows at first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_backend.labelstudio.local_server import free_port
from tests.support.label_studio import Project, Site
from tests.support.proxy import Proxy
from tests.support.served import running
from tests.support.unreached import make_certificate, speak_https

pytestmark = pytest.mark.e2e

Hitl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hitl(tmp_path: Path) -> Hitl:
    """The command as a process in an empty folder, whose settings are in its .env alone."""

    def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "feedback", *words]
        ours = ("HITL_", "LABEL_STUDIO_", "SSL_CERT_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        env |= {"PYTHONPATH": str(Path(__file__).parents[2]), "HITL_DATA_DIR": str(tmp_path / "data")}
        return subprocess.run(
            command, cwd=tmp_path, env=env, input=given, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def test_init_writes_what_serve_doctor_and_connect_then_work_with(
    site: Site, project: Project, hitl: Hitl, tmp_path: Path
) -> None:
    token, port = site.process.admin.token, free_port()
    before = project.everything()

    made = hitl(
        "init", "--url", f"{site.url}/", "--token-file", "-", "--public-url", f"http://127.0.0.1:{port}", given=token
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "✓ Label Studio answers, and accepts the access token" in made.stdout
    assert token not in made.stdout + made.stderr

    written = (tmp_path / ".env").read_text()
    dead = hitl("init", "--overwrite", "--url", site.url, "--token-file", "-", given="dead")
    assert dead.returncode != 0
    assert ".env stays as it was" in dead.stderr
    assert (tmp_path / ".env").read_text() == written

    for words in (("connect", project.id, "--dry-run"), ("connect", project.id)):  # nothing serves yet
        refused = hitl(*words)
        assert refused.returncode == 1, refused.stdout + refused.stderr
        assert "service not reached" in refused.stdout
        assert "hitl serve" in refused.stdout
    assert project.everything() == before

    serve = ["sh", "-c", f"cd {tmp_path} && exec {sys.executable} -m feedback serve"]
    env = {"PYTHONPATH": str(Path(__file__).parents[2]), "HITL_DATA_DIR": str(tmp_path / "data")}
    with running(serve, ("127.0.0.1", port), tmp_path, env):
        trial, before_connect = hitl("connect", project.id, "--dry-run"), hitl("doctor", project.id)
        unchanged = project.everything()
        done = hitl("init", project.id, "--overwrite", "--url", site.url, "--token-file", "-", given=token)
        examined = hitl("doctor", project.id)

    assert trial.returncode == 0, trial.stdout + trial.stderr
    assert "these changes would be made" in trial.stdout
    assert unchanged == before
    assert f"It is not connected: run `hitl connect {project.id}`." in before_connect.stdout
    assert "connected, and the only one" not in before_connect.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0.00 %" in done.stdout
    assert examined.returncode == 0, examined.stdout
    assert "✓ the project's settings keep our order" in examined.stdout


def test_a_label_studio_with_a_certificate_of_its_own_is_trusted_by_its_file(
    site: Site, hitl: Hitl, tmp_path: Path
) -> None:
    pair = make_certificate(tmp_path)
    with Proxy(site.url) as front:
        speak_https(front._server, pair)
        url = front.url.replace("http:", "https:")
        refused = hitl("init", "--url", url, "--token-file", "-", given=site.process.admin.token)
        with (tmp_path / ".env").open("a") as file:
            file.write(f"SSL_CERT_FILE={pair[0]}\n")
        trusted = hitl("doctor")

    assert refused.returncode == 1
    assert f"the certificate of {url} is self-signed" in refused.stdout
    assert "set SSL_CERT_FILE to this file" in refused.stdout
    assert "✓ Label Studio answers, and accepts the access token" in trusted.stdout
