"""The worker process: it has one BLAS thread, and reads a new token of our account."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from feedback.app.worker_process import _Jobs
from feedback.settings import Settings
from feedback.store import Store


def test_a_new_token_of_our_account_is_used_without_a_restart(store: Store, tmp_path: Path):
    settings = Settings(data_dir=tmp_path, label_studio_url="http://studio.invalid", label_studio_api_key="a" * 40)
    jobs = _Jobs(settings, store)
    made = []
    for token in ("b", "b", "c"):
        store.secrets.save_secret("bot http://studio.invalid", json.dumps({"id": 5, "token": token * 40}))
        made.append((jobs._loop(), jobs._platform()))

    assert made[0] == made[1]
    assert not {*made[1]} & {*made[2]}


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
