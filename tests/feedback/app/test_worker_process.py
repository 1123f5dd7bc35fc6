"""The worker process: webhooks in the inbox are read again whatever happens to the store; one BLAS thread."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from feedback.app.worker_process import reading_inbox
from feedback.errors import StoreError


@pytest.mark.parametrize("failure", [StoreError("away"), ZeroDivisionError("of all things")])
def test_a_failure_is_logged_and_the_inbox_is_read_again(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    again = threading.Event()
    failures = [failure]

    def ingest() -> None:
        if failures:
            raise failures.pop()
        again.set()

    with caplog.at_level(logging.WARNING), reading_inbox(ingest, every_s=0.001, retry_s=0.001):
        assert again.wait(10)

    assert "cannot be read now" in caplog.text


def test_it_ends_with_the_block() -> None:
    looks: list[int] = []
    first = threading.Event()

    def ingest() -> None:
        looks.append(1)
        first.set()

    with reading_inbox(ingest, every_s=0.001):
        assert first.wait(10)
    then = len(looks)

    assert not any(thread.name == "inbox" for thread in threading.enumerate())
    assert len(looks) == then


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
