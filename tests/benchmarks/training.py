"""A training that never ends, in a process of its own: what the worker does while the web half answers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feedback.app.bootstrap import opened_store
from ml_backend.calibration import Calibrator
from ml_backend.label_config import read_label_config
from ml_backend.models import Model, recipe_for
from ml_backend.registry import Bundle, Registry, pack
from tests.benchmarks import bodies
from tests.benchmarks.servers import settings_of

_ROOT = Path(__file__).resolve().parents[2]


def fit(rows: int) -> Model:
    """The default text model on so many made-up answers."""
    rng = random.Random(rows)
    labels = [rng.choice(bodies.LABELS) for _ in range(rows)]
    data = [{"text": bodies.text(rng, label)} for label in labels]
    control = read_label_config(bodies.CONFIG).control()
    return recipe_for(control).fit(data, labels, field="text", weights=None, seed=0)


def promote(registry: Registry, *, rows: int = 1_000, version: str = "bench-1") -> None:
    """Make a trained text model the champion of the benchmark's project."""
    config = read_label_config(bodies.CONFIG)
    name = recipe_for(config.control()).name
    bundle = Bundle(fit(rows), Calibrator(), config.control(), config.hash, name, version, rows, 0.0, {})
    registry.add(str(bodies.PROJECT), version, pack(bundle), {})
    registry.promote(str(bodies.PROJECT), version)


def awaited(folder: Path, *, within_s: float = 60.0) -> int:
    """How many trainings the worker on the data in `folder` has ended, the one that is under way among them."""
    deadline = time.monotonic() + within_s
    with opened_store(settings_of(folder)) as store:
        before = len(store.records.list_records(str(bodies.PROJECT), "training"))
        while (
            now := len(store.records.list_records(str(bodies.PROJECT), "training"))
        ) == before and time.monotonic() < deadline:
            time.sleep(0.2)
    return now


@contextmanager
def endless() -> Iterator[None]:
    """Train in the background, as nice as the worker is, until the block ends."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.training"],
        cwd=_ROOT, env=environment, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        if not process.stdout or process.stdout.readline() != b"trained\n":
            raise RuntimeError("the training did not start.")
        yield
        if process.poll() is not None:
            raise RuntimeError("the training ended before the measurement did.")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(15)
        if process.stdout:
            process.stdout.close()


if __name__ == "__main__":
    os.nice(10)
    fit(500)
    sys.stdout.write("trained\n")
    sys.stdout.flush()
    while True:
        fit(5_000)
