"""What stops the loop silently is said by `status`, `doctor`, each page, /health and /metrics, in the same words.

One row for each trouble; tests/e2e/test_alive.py and tests/feedback/app/test_serving.py make some of them for real.
"""

from __future__ import annotations

import html
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from feedback.app.web_app import make_application
from feedback.app.worker_process import ask_label_studio
from feedback.ingest.incidents import IncidentRecorder
from feedback.jobs.heartbeat import Pulse, beating
from feedback.settings import read_settings
from feedback.store import Heartbeat, ProjectRow, Store
from ml_backend.labelstudio.local_server import free_port
from tests.support import stores
from tests.support.pages import HTML, words
from tests.support.served import served_in_thread
from tests.support.unreached import make_certificate, serving

Environ = dict[str, str]


@dataclass(frozen=True)
class World:
    """The folder and the store of a service whose project 7 is connected, and where it will be served."""

    folder: Path
    store: Store
    stack: ExitStack
    url: str


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = stores.fresh(tmp_path / "hitl.sqlite3")
    store.projects.save_project(ProjectRow("7", title="mail", label_config="<View/>", connected=True))
    store.secrets.save_secret("webhook", "ours")
    with ExitStack() as stack:
        stack.callback(store.close)
        yield World(tmp_path, store, stack, f"http://127.0.0.1:{free_port()}")


def hang(world: World) -> Environ:
    now_s = time.time()
    stuck = Heartbeat("host:12", now_s - 90, now_s, "turn of project 7: write queue", now_s - 60, now_s - 60)
    world.store.liveness.save_heartbeat(stuck)
    return {}


def refuse_token(world: World) -> Environ:
    return {"LABEL_STUDIO_URL": f"http://127.0.0.1:{world.stack.enter_context(serving())}/refusing"}


def send_webhooks_of_another_store(world: World) -> Environ:
    refused = IncidentRecorder(world.store, clock=time.time)
    refused.count("webhook_secret_unknown", 2)
    refused.stop()
    return {}


def block_webhooks(world: World) -> Environ:
    world.store.liveness.record_polled_answers("7", 3, began_s=time.time() - 60)
    return {}


def sign_the_certificate_oneself(world: World) -> Environ:
    port = world.stack.enter_context(serving(make_certificate(world.folder)))
    return {"LABEL_STUDIO_URL": f"https://127.0.0.1:{port}"}


def stop_the_proxy(_world: World) -> Environ:
    return {"LABEL_STUDIO_URL": "http://studio.invalid", "HTTP_PROXY": "http://127.0.0.1:9"}


def letters(text: str) -> str:
    """A text without spaces, marks of commands, and how long ago something was, which changes while the test runs."""
    return re.sub(r"[\s`]|[\d.]+ (seconds?|minutes?)", "", html.unescape(text))


TROUBLES: Mapping[str, tuple[Callable[[World], Environ], str, str, str]] = {
    "hung worker": (hang, "worker", "hangs: it has done nothing for 1 minute in “turn of project 7", "kill -9 12"),
    "dead token": (refuse_token, "Label Studio", "refuses the token of LABEL_STUDIO_API_KEY", "Restart `hitl serve`"),
    "wrong folder": (send_webhooks_of_another_store, "other store", "a secret that this store does", "hitl.sqlite3"),
    "webhook blocked": (block_webhooks, "webhook", "webhooks of project 7 do not arrive", "proxy and firewall"),
    "certificate": (sign_the_certificate_oneself, "Label Studio", "is self-signed, and this mach", "SSL_CERT_FILE"),
    "proxy": (stop_the_proxy, "Label Studio", "nothing listens at the proxy http://127.0.0.1:9", "NO_PROXY"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_is_said_everywhere_in_one_sentence_with_its_remedy(
    trouble: str,
    world: World,
    run_main: Callable[..., subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
):
    cause, name, what, fix = TROUBLES[trouble]
    environ = {"HITL_DATA_DIR": str(world.folder), "HITL_PORT": world.url.rpartition(":")[2]}
    app = make_application(read_settings(environ))
    world.stack.enter_context(served_in_thread(app, int(environ["HITL_PORT"])))
    more = {"LABEL_STUDIO_API_KEY": "a" * 40, **cause(world)}
    for variable in ("SSL_CERT_FILE", "HTTP_PROXY"):
        monkeypatch.setenv(variable, more.get(variable, ""))
    pulse = Pulse()
    ask_label_studio(read_settings({**environ, **more}), world.store, pulse)
    if not world.store.liveness.list_heartbeats():
        world.stack.enter_context(beating(world.store, "host:12", pulse))

    browser = httpx.Client(base_url=world.url, trust_env=False, headers=HTML)
    health = browser.get("/health", headers={"Accept": "application/json"}).json()
    (found,) = [row for row in health["findings"] if row["severity"] == "error"]
    status, doctor = (
        run_main(world.folder, word, HITL_PORT=environ["HITL_PORT"], **more) for word in ("status", "doctor")
    )

    assert (found["name"], health["ready"]) == (name, False)
    assert what in found["what"]
    assert fix in found["fix"]
    sentence = letters(f"{found['what']} {found['fix']}")
    assert sentence in letters(status.stdout)
    assert sentence in letters(doctor.stdout.replace("→", ""))
    assert doctor.stdout.count(what) == 1
    assert (status.returncode, doctor.returncode) == (1, 1)
    for page in ("/", "/projects/7", "/projects/7/people"):
        assert sentence[1:] in letters(words(browser.get(page).text)), page  # there it begins with a capital
    metrics = browser.get("/metrics").text.splitlines()
    assert "hitl_ready 0.0" in metrics
    assert f"hitl_findings_{name.lower().replace(' ', '_')} 1.0" in metrics
