"""hitl serve, hitl web, hitl worker: the processes of the service."""

from __future__ import annotations

import os
import socket
import sys
from typing import Annotated

import typer

from feedback.app.bootstrap import load_settings, prepare_store
from feedback.cli.terminal import echo
from feedback.errors import ServiceError

# one BLAS thread per process: eight concurrent requests must not start sixteen threads on two cores, and a second
# thread of the worker mostly waits
_ONE_BLAS_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Host = Annotated[
    str | None,
    typer.Option(
        help="The address to listen on. One that other machines reach needs HITL_WEBHOOK_SECRET and a password."
    ),
]
Port = Annotated[int | None, typer.Option(help="The port to listen on.")]


def serve(host: Host = None, port: Port = None) -> None:
    """Run the service: web and worker, each restarted if it dies. It starts without Label Studio, too."""
    from feedback.app.supervisor import Supervisor
    from feedback.store import describe_store

    environ = _environ(host, port)
    settings = load_settings(environ)
    check_port(settings.host, settings.port)
    prepare_store(settings)
    echo(f"hitl serves {settings.url}. Its store: {describe_store(settings.store_url)}", errors=True)
    if not settings.has_label_studio:
        echo(
            "No Label Studio: LABEL_STUDIO_URL or LABEL_STUDIO_API_KEY is not set. Predictions and learning from "
            "webhooks work; polling, the queue and `hitl connect` do not.",
            errors=True,
        )
    me = [sys.executable, "-m", "feedback"]
    raise SystemExit(Supervisor({"web": [*me, "web"], "worker": [*me, "worker"]}, env=environ).run())


def web(host: Host = None, port: Port = None) -> None:
    """Run only the web process: ML backend, webhook, pages."""
    from feedback.app.web_server import empty_metrics_directory, gunicorn_command

    environ = _environ(host, port)
    settings = load_settings(environ)
    prepare_store(settings)
    # each web process answers /metrics for all, through files that are emptied at the start
    environ = {"PROMETHEUS_MULTIPROC_DIR": str(empty_metrics_directory(settings.data_dir)), **environ}
    command = gunicorn_command(settings)
    os.execve(command[0], command, _ONE_BLAS_THREAD | environ)  # noqa: S606 - our own interpreter, fixed arguments


def worker() -> None:
    """Run only the worker process: it collects answers, trains models and writes the queue."""
    os.environ |= _ONE_BLAS_THREAD | os.environ  # before anything imports numpy
    from feedback.app.worker_process import run_worker

    settings = load_settings()
    prepare_store(settings)
    os.nice(10)  # web requests come first
    run_worker(settings)


def check_port(host: str, port: int) -> None:
    """Raise ServiceError if the port is taken; the web process would only retry for a while and exit."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        hint = "Stop the other `hitl serve`, or give another --port or a --host of this machine."
        raise ServiceError(f"cannot listen on {host}:{port}: {error.strerror}.", hint=hint) from error


def _environ(host: str | None, port: int | None) -> dict[str, str]:
    given = {"HITL_HOST": host, "HITL_PORT": None if port is None else str(port)}
    return {**os.environ, **{name: value for name, value in given.items() if value is not None}}
