"""Servers under test, each really running in processes of its own under the same gunicorn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feedback.app.bootstrap import prepare_store
from feedback.app.web_server import gunicorn_command
from feedback.settings import Settings, read_settings
from tests.support.proof import Process
from tests.support.served import Address, free_address, gunicorn, running


@contextmanager
def peer(folder: Path, *, workers: int = 1, threads: int = 8) -> Iterator[Address]:
    """label-studio-ml 1.0.9 with a trivial model, by the command line of its own Dockerfile."""
    options = ["--preload", "--workers", str(workers), "--threads", str(threads), "--timeout", "0"]
    with gunicorn("tests.benchmarks.peer_model:create()", options, folder, {"PEER_MODEL_DIR": str(folder)}) as address:
        yield address


@contextmanager
def ours(folder: Path, *, workers: int = 2, threads: int = 4) -> Iterator[Address]:
    """`hitl serve` on the data in `folder`: the web half by its own command line, and beside it the worker, which takes
    in what webhooks bring, and learns from it.
    """
    address = free_address()
    environment = {
        "HITL_DATA_DIR": str(folder),
        "HITL_PORT": str(address[1]),
        "HITL_WEB_WORKERS": str(workers),
        "HITL_WEB_THREADS": str(threads),
        "HITL_LOG_LEVEL": "error",
    }
    settings = read_settings(environment)
    prepare_store(settings)
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HITL_")}
    with (
        running(gunicorn_command(settings), address, folder, environment),
        Process("feedback", "worker", env={**inherited, **environment}, log=folder / "worker.log"),
    ):
        yield address


def settings_of(folder: Path) -> Settings:
    """The settings under which `ours` finds its data, to put a model there before."""
    return read_settings({"HITL_DATA_DIR": str(folder)})
