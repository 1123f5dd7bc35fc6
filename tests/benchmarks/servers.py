"""Servers under test, each really running in processes of its own under the same gunicorn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.served import Address, gunicorn


@contextmanager
def peer(folder: Path, *, workers: int = 1, threads: int = 8) -> Iterator[Address]:
    """label-studio-ml 1.0.9 with a trivial model, by the command line of its own Dockerfile."""
    options = ["--preload", "--workers", str(workers), "--threads", str(threads), "--timeout", "0"]
    with gunicorn("tests.benchmarks.peer_model:create()", options, folder, {"PEER_MODEL_DIR": str(folder)}) as address:
        yield address


@contextmanager
def ours(folder: Path, *, workers: int = 2, threads: int = 4) -> Iterator[Address]:
    """Our web half on the store in `folder`, with the options that `hitl serve` gives to gunicorn."""
    options = ["--worker-class", "gthread", "--workers", str(workers), "--threads", str(threads), "--timeout", "120"]
    options += ["--keep-alive", "15"]
    environment = {"HITL_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with gunicorn("tests.benchmarks.our_app:create()", options, folder, environment) as address:
        yield address
