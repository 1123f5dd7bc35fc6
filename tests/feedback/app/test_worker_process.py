"""The worker process: it has one BLAS thread, and pages show what it meets at Label Studio."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from feedback.app.worker_process import ask_label_studio
from feedback.dashboard import AccessSettings
from feedback.ingest.incidents import IncidentCounts
from feedback.jobs.heartbeat import Pulse, beating
from feedback.reports.health import find_problems
from feedback.settings import Settings
from feedback.store import Store
from tests.support import pages
from tests.support.unreached import make_certificate, serving


def test_the_worker_has_one_blas_thread(tmp_path: Path):
    program = """
import os, sys
from feedback.cli.serve import worker

def stop(_increment):
    from threadpoolctl import threadpool_info
    print({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
    sys.exit(0)

os.nice = stop  # called when everything is imported
worker()
"""
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environ |= {"HITL_DATA_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}

    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)

    assert ran.stdout.strip() == "{1}", ran.stderr


@pytest.mark.parametrize("broken", ["certificate", "proxy"])
def test_what_the_worker_meets_at_label_studio_stands_on_the_pages(
    broken: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serving(make_certificate(tmp_path)) as port:
        url = f"https://127.0.0.1:{port}" if broken == "certificate" else "http://studio.invalid"
        settings = Settings(data_dir=tmp_path, label_studio_url=url, label_studio_api_key="a" * 40)
        pulse = Pulse()
        ask_label_studio(settings, store, pulse)
    with beating(store, "host:1", pulse):
        config = {"problems": lambda: find_problems(settings, store, IncidentCounts(store), inbox_only=True)}
        page = pages.app_of(store, access_settings=AccessSettings(open=True), **config).test_client()
        shown = pages.words(page.get("/", headers=pages.HTML).text)

    assert {"certificate": "is self-signed", "proxy": "http://127.0.0.1:9"}[broken] in shown
    assert {"certificate": "SSL_CERT_FILE", "proxy": "HTTP_PROXY"}[broken] in shown
