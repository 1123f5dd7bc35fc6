"""How long an annotator waits for us: durable ingest at a fixed load while a training runs, and a real submit.

HITL_BENCH_SECONDS scales the first, HITL_BENCH_SUBMITS the second. Both are figures of one machine; the second is a
difference of medians of submits that take turns, so that a machine that is busy for a while is busy for both.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from feedback.store import open_store
from ml_backend.labelstudio.local_server import LocalLabelStudio
from tests.benchmarks import bodies, machine, servers, training
from tests.benchmarks.load import offer
from tests.support.label_studio import SENTIMENT, DataDirTemplate, Site, StubBackend, choice_result, open_site

SECONDS = float(os.environ.get("HITL_BENCH_SECONDS", "10"))
SUBMITS = int(os.environ.get("HITL_BENCH_SUBMITS", "200"))
PATIENCE_S = float(os.environ.get("HITL_BENCH_PATIENCE", "30"))
PER_S = 1_000
WARM_S = 5.0


def test_ingest_at_a_thousand_events_a_second_while_a_training_runs(tmp_path: Path):
    busy = machine.wait_until_calm(PATIENCE_S)
    rng = random.Random(7)
    numbers = iter(range(1, 1 << 60))

    def events(seconds: float) -> list[bytes]:
        return [bodies.post("/webhook", bodies.event(rng, next(numbers))) for _ in range(int(PER_S * seconds))]

    def check(status: int, _body: bytes) -> str:
        return "" if status == 200 else f"{status}"

    with servers.ours(tmp_path) as address:
        warm = offer(address, events(WARM_S), check, per_s=PER_S)  # imports, first model
        load = offer(address, events(SECONDS), check, per_s=PER_S)
        trained = training.awaited(tmp_path)
    store = open_store(servers.settings_of(tmp_path).store_url)
    found = store.verify()
    votes = len(store.votes.list_votes(str(bodies.PROJECT)))
    store.close()

    p50, p99, worst = (load.percentile_ms(percent) for percent in (50, 99, 100))
    print(  # noqa: T201 - a benchmark is there to be read
        f"\ndurable ingest, {PER_S} distinct events/s for {SECONDS:g} s, open loop"
        f"\n  machine: {machine.describe()}; others used {busy:.0%} of it before"
        f"\n  answered {load.per_s:.0f}/s  p50 {p50:.2f} ms  p99 {p99:.2f} ms  worst {worst:.1f} ms  "
        f"errors {dict(load.problems) or 'none'}; the worker trained {trained} times"
    )
    assert trained
    assert not load.problems + warm.problems
    assert (found["chain"], found["projection"]) == ("ok", "ok")
    assert votes == int(PER_S * WARM_S) + int(PER_S * SECONDS)
    assert p99 < 25.0


def test_a_submit_on_a_real_label_studio_is_hardly_slower(tmp_path: Path):
    """Against a receiver that answers an empty 200 at once; submits to two projects take turns."""
    template = DataDirTemplate(tmp_path / "template")
    with ExitStack() as stack:
        site = stack.enter_context(
            open_site(LocalLabelStudio(template.copy_to(tmp_path / "label-studio"), fast_bulk=False))
        )
        ours = stack.enter_context(servers.ours(tmp_path))
        nothing = stack.enter_context(StubBackend())
        busy = machine.wait_until_calm(PATIENCE_S)
        with (
            _project(site, f"http://{ours[0]}:{ours[1]}/webhook") as real,
            _project(site, f"{nothing.url}/webhook") as empty,
        ):
            took: dict[str, list[float]] = {"ours": [], "empty": []}
            for at, (one, other) in enumerate(zip(real, empty, strict=True)):
                pair = [("ours", one), ("empty", other)]
                for name, task in pair if at % 2 else pair[::-1]:
                    began = time.perf_counter()
                    site.people[0].submit(task, choice_result("good"), lead_time=1.0)
                    took[name].append(1000 * (time.perf_counter() - began))

    medians = {name: statistics.median(times[10:]) for name, times in took.items()}
    slower = medians["ours"] - medians["empty"]
    print(  # noqa: T201 - a benchmark is there to be read
        f"\na submit on a real Label Studio (SQLite), {SUBMITS} each in turns"
        f"\n  machine: {machine.describe()}; others used {busy:.0%} of it before"
        f"\n  median with us {medians['ours']:.1f} ms, with an empty 200 {medians['empty']:.1f} ms: {slower:+.1f} ms"
    )
    assert slower <= 5.0


@contextmanager
def _project(site: Site, receiver: str) -> Iterator[tuple[int, ...]]:
    """The tasks of a project whose events go to a receiver."""
    with site.project(SUBMITS + 10, label_config=SENTIMENT) as project:
        site.admin.create_webhook(project.id, url=receiver, headers={})
        yield project.tasks
