"""A page says why Label Studio is not reached, and what to do, in the words of the worker that met it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from feedback.app.worker_process import ask_label_studio
from feedback.jobs.heartbeat import Pulse
from feedback.reports.health import worker_findings
from feedback.settings import Settings
from feedback.store import Heartbeat, Store
from tests.support.pages import HTML, signed_in, words
from tests.support.unreached import make_certificate, serving


@pytest.mark.parametrize("wrong", ["certificate", "proxy"])
def test_a_page_names_a_certificate_or_a_proxy_with_the_remedy(
    store_with_projects: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
):
    pulse, now_s = Pulse(), time.time()
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with serving(make_certificate(tmp_path)) as port:
        url = f"https://127.0.0.1:{port}" if wrong == "certificate" else "http://studio.example"
        settings = Settings(label_studio_url=url, label_studio_api_key="a" * 40)
        ask_label_studio(settings, store_with_projects, pulse)
    what, fix = pulse.label_studio
    beat = Heartbeat("host:12", now_s, now_s, "", now_s, now_s, what, fix)
    problems = list(worker_findings([beat], now_s=now_s))
    ann = signed_in(store_with_projects, 2, problems=lambda: problems)

    page = words(ann.get("/", headers=HTML).text)

    assert {"certificate": "is self-signed", "proxy": "nothing listens at the proxy"}[wrong] in page
    assert {"certificate": "set SSL_CERT_FILE to this file", "proxy": "correct HTTP_PROXY"}[wrong] in page
