"""hitl serve / web / worker: the processes."""

from __future__ import annotations

import os
import socket
import sys
from typing import Annotated

import typer

Host = Annotated[
    str | None, typer.Option(help="Address to listen on; beyond loopback a secret and a password are required.")
]
Port = Annotated[int | None, typer.Option(help="Port to listen on.")]


def serve(host: Host = None, port: Port = None) -> None:
    """Run the service: web and worker, each restarted when it dies. Needs no Label Studio to start."""
    from feedback.app.bootstrap import first_words, prepare, settings_from_environment
    from feedback.app.supervisor import Supervisor

    environ = _environ(host, port)
    settings = settings_from_environment(environ)
    _refuse_taken(settings.host, settings.port)
    prepare(settings)
    for line in first_words(settings):
        typer.echo(line, err=True)
    me = [sys.executable, "-m", "feedback"]
    raise SystemExit(Supervisor({"web": [*me, "web"], "worker": [*me, "worker"]}, env=environ).run())


def web(host: Host = None, port: Port = None) -> None:
    """Run the web half alone: ML backend, webhook, pages."""
    from feedback.app.bootstrap import empty_metrics, gunicorn_command, prepare, settings_from_environment

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
    from feedback.app.bootstrap import prepare, settings_from_environment
    from feedback.app.worker import run_worker

    settings = settings_from_environment()
    prepare(settings)
    os.nice(10)  # serving comes first
    run_worker(settings)


def _refuse_taken(host: str, port: int) -> None:
    """Say so at once where nobody can listen; the web half would try for a while, and end without a word of advice."""
    from feedback.errors import ServiceError

    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        hint = "Does another `hitl serve` run there? Give another --port, or --host an address of this machine."
        raise ServiceError(f"nobody can listen on {host}:{port}: {error.strerror}.", hint=hint) from error


def _environ(host: str | None, port: int | None) -> dict[str, str]:
    given = {"HITL_HOST": host, "HITL_PORT": None if port is None else str(port)}
    return {**os.environ, **{name: value for name, value in given.items() if value is not None}}
