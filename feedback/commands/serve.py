"""hitl serve / web / worker: the processes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

Host = Annotated[
    str | None, typer.Option(help="Address to listen on; beyond loopback a secret and a password are required.")
]
Port = Annotated[int | None, typer.Option(help="Port to listen on.")]


def serve(host: Host = None, port: Port = None) -> None:
    """Run the service: web and worker, each restarted when it dies. Needs no Label Studio to start."""
    from rich.console import Console

    from feedback.jobs.supervisor import Supervisor
    from feedback.wiring import first_words, prepare, settings_from_environment

    environ = _environ(host, port)
    settings = settings_from_environment(environ)
    prepare(settings)
    console = Console(stderr=True)
    for line in first_words(settings):
        console.print(line, highlight=False, soft_wrap=True)
    me = [sys.executable, "-m", "feedback"]
    raise SystemExit(Supervisor({"web": [*me, "web"], "worker": [*me, "worker"]}, env=environ).run())


def web(host: Host = None, port: Port = None) -> None:
    """Run the web half alone: ML backend, webhook, pages."""
    from feedback.wiring import empty_metrics, gunicorn_command, prepare, settings_from_environment

    environ = _environ(host, port)
    settings = settings_from_environment(environ)
    prepare(settings)
    # any of the web processes answers /metrics for all of them, through files that a start begins anew
    environ = {"PROMETHEUS_MULTIPROC_DIR": str(empty_metrics(settings)), **environ}
    # one BLAS thread a worker: eight requests at once must not start sixteen threads on two cores
    environ = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **environ}
    command = gunicorn_command(settings)
    os.execve(command[0], command, environ)  # noqa: S606 - our own interpreter, fixed arguments


def worker() -> None:
    """Run the worker half alone: it collects, learns, promotes and writes the queue."""
    from feedback.wiring import prepare, settings_from_environment
    from feedback.working import run_worker

    settings = settings_from_environment()
    prepare(settings)
    os.nice(10)  # serving comes first
    run_worker(settings)


def _environ(host: str | None, port: int | None) -> dict[str, str]:
    given = {"HITL_HOST": host, "HITL_PORT": None if port is None else str(port)}
    return {**os.environ, **{name: value for name, value in given.items() if value is not None}}
