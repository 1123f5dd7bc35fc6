"""The worker process: it has one BLAS thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


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
