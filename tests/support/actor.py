"""Processes of the kill proofs: `python -m tests.support.actor ROLE URL FOLDER`; each prints what it has done."""

from __future__ import annotations

import os
import sys
import time
from itertools import count
from pathlib import Path

from feedback.app import bootstrap
from feedback.errors import StoreError
from feedback.jobs import worker
from feedback.jobs.worker import PollingWaiter
from feedback.settings import read_settings
from feedback.store import ProjectRow, Store, open_store
from tests.support.proof import CONFIG


def work(store: Store, folder: Path) -> None:
    """The worker's own loop: turns that train at each few answers. Only the lease is shorter, to be soon free again."""
    worker.LEASE_S = 1.0
    loop = bootstrap.make_loop(read_settings({"HITL_DATA_DIR": str(folder)}), store)
    project = store.projects.get_project("1") or ProjectRow("1")
    policy = {"train": {"min_rows": 4, "min_new": 1, "growth": 0.0}, "audit": {"start": 0}}
    store.projects.save_project(
        ProjectRow("1", title="proof", label_config=CONFIG, options={**project.options, "policy": policy})
    )
    store.jobs.unpark_job("1", "turn")

    def turn(project: str, held: object) -> None:
        done = loop.turn(project, held=held, poll=False)  # type: ignore[arg-type]
        print(f"turn {done.version} {done.verdict}", flush=True)  # noqa: T201

    def report(project: str, held: object) -> None:
        loop.report(project, held=held)  # type: ignore[arg-type]

    due = PollingWaiter(lambda: any(row.state != "idle" for row in store.jobs.list_jobs()), every_s=0.05)
    worker.Worker(store, {"turn": turn, "report": report}, owner=f"actor {time.time()}", tick_s=0.2, waiter=due).run()


def serve() -> None:
    """`hitl worker` as it is, by the environment's settings; only the lease is shorter, to be soon free again."""
    from feedback.app.worker_process import run_worker

    worker.LEASE_S = 2.0
    run_worker(read_settings(os.environ))


def promote(store: Store, folder: Path) -> None:
    """Add and promote one small model after another."""
    from ml_backend.calibration import Calibrator
    from ml_backend.label_config import read_label_config
    from ml_backend.models import recipe_for
    from ml_backend.registry import Bundle, pack

    control = read_label_config(CONFIG).control()
    recipe = recipe_for(control)
    model = recipe.fit([{"text": "apple"}, {"text": "hammer"}], ["fruit", "tool"], field=control.field)
    for number in count(len(store.registry.versions("2")) + 1):
        version = f"m{number}"
        bundle = Bundle(model, Calibrator(), control, "h", recipe.name, version, 2, float(number), {"n": number})
        store.registry.add("2", version, pack(bundle), {"n": number})
        store.registry.promote("2", version, verdict={"promote": True, "challenger": version})
        print(f"promoted {number}", flush=True)  # noqa: T201


def main(role: str, url: str = "", folder: str = "") -> None:
    if role == "serve":
        serve()
        return
    if role == "migrate":
        print("begun", flush=True)  # noqa: T201
        open_store(url).close()
        return
    while True:  # as a service does: PostgreSQL may just be coming back
        try:
            store = open_store(url)
            break
        except StoreError:
            time.sleep(0.2)
    {"work": work, "promote": promote}[role](store, Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
