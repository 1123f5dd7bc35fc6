"""Our web half against label-studio-ml 1.0.9, both really running, driven in turns in one run.

Each figure is the median over rounds of the ratio within a round, so that a machine that is busy for a while is busy
for both. HITL_BENCH_ROUNDS, _SECONDS and _PATIENCE scale it. The peer's model does nothing; ours is asked untrained
(the same nothing, which is what is gated) and with a trained text model (reported beside it). Ours is the whole of
`hitl serve`: while webhooks come, its worker takes them in and trains on them; beside the peer a training of ours runs.
"""

from __future__ import annotations

import os
import random
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from functools import partial
from importlib.metadata import version

import orjson
import pytest

from feedback.app.bootstrap import opened_store
from tests.benchmarks import bodies, machine, servers, training
from tests.benchmarks.load import Load, drive
from tests.support.served import Address

ROUNDS = int(os.environ.get("HITL_BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("HITL_BENCH_SECONDS", "3"))
PATIENCE_S = float(os.environ.get("HITL_BENCH_PATIENCE", "30"))  # for others to leave the machine alone
EVENTS_PER_S = 8_000  # distinct events prepared; faster than any of the servers
DEFAULT, EQUAL = "default deployments", "equal workers (1 x 8)"

Drive = Callable[[Address], Load]


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Address]]:
    """The peer and ours, untrained: the peer's default is 1 worker of 8 threads, ours 2 of 4."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp
        yield {
            "peer": stack.enter_context(servers.peer(folder("peer"))),
            DEFAULT: stack.enter_context(servers.ours(folder("default"))),
            EQUAL: stack.enter_context(servers.ours(folder("equal"), workers=1, threads=8)),
        }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Address]]:
    """The same, where ours serves a trained text model."""
    with ExitStack() as stack:
        folders = {name: tmp_path_factory.mktemp("trained") for name in (DEFAULT, EQUAL)}
        for folder in folders.values():
            with opened_store(servers.settings_of(folder)) as store:
                training.promote(store.registry)
        yield {
            "peer": stack.enter_context(servers.peer(tmp_path_factory.mktemp("peer"))),
            DEFAULT: stack.enter_context(servers.ours(folders[DEFAULT])),
            EQUAL: stack.enter_context(servers.ours(folders[EQUAL], workers=1, threads=8)),
        }


@pytest.mark.parametrize(("tasks", "wanted", "wanted_equal"), [(1, 1.3, 0.9), (100, 1.5, None)])
def test_predict(cold: dict[str, Address], tasks: int, wanted: float, wanted_equal: float | None):
    ratios = compare(cold, lambda address: predict(address, tasks), f"predict, {tasks} task(s), untrained")

    assert ratios[DEFAULT] >= wanted
    if wanted_equal is not None:
        assert ratios[EQUAL] >= wanted_equal


@pytest.mark.parametrize("tasks", [1, 100])
def test_predict_with_a_trained_model(trained: dict[str, Address], tasks: int):
    """Reported, not gated: the peer's model does nothing, ours reads the text."""
    compare(trained, lambda address: predict(address, tasks), f"predict, {tasks} task(s), trained text model")


def test_webhook_while_a_training_runs(tmp_path_factory: pytest.TempPathFactory):
    """Each alone on the machine: a worker that has not yet learned all it was told would count against the others."""
    numbers = iter(range(1, 1 << 60))
    trained: Counter[str] = Counter()

    def submits(address: Address) -> Load:
        rng = random.Random(7)
        count = int(EVENTS_PER_S * SECONDS)
        sent = [bodies.post("/webhook", bodies.event(rng, next(numbers))) for _ in range(count)]
        return drive(address, sent, lambda status, body: "" if status in (200, 201) else f"{status}", seconds=SECONDS)

    def alone(name: str) -> Load:
        folder = tmp_path_factory.mktemp("webhook")
        serve = {"peer": servers.peer, DEFAULT: servers.ours, EQUAL: partial(servers.ours, workers=1, threads=8)}[name]
        with serve(folder) as address, training.endless() if name == "peer" else nullcontext():
            set_up(address)
            submits(address)  # imports, and the first model
            load = submits(address)
            if name != "peer":
                trained[name] += training.awaited(folder)
        return load

    busy = machine.wait_until_calm(PATIENCE_S)
    rounds = [{name: alone(name) for name in ("peer", DEFAULT, EQUAL)} for _ in range(ROUNDS)]
    ratios = judged("webhook, one annotation each, while a training runs", rounds, busy)

    print(f"  trainings of our own workers meanwhile: {dict(trained)}")  # noqa: T201
    assert min(trained[DEFAULT], trained[EQUAL]) >= ROUNDS
    assert ratios[DEFAULT] >= 10
    assert ratios[EQUAL] >= 5


def predict(address: Address, tasks: int) -> Load:
    """Distinct bodies in turn; an answer of another length, which Label Studio drops, is an error."""
    rng = random.Random(7)
    requests = [bodies.post("/predict", bodies.predict(rng, tasks)) for _ in range(64)]

    def check(status: int, body: bytes) -> str:
        if status != 200:
            return f"{status}"
        return "" if len(orjson.loads(body)["results"]) == tasks else "another length"

    return drive(address, requests, check, seconds=SECONDS)


def compare(targets: dict[str, Address], run: Drive, title: str) -> dict[str, float]:
    """Drive all servers in turns; print what each did, give the median ratio of each of ours to the peer."""
    busy = machine.wait_until_calm(PATIENCE_S)
    for address in targets.values():
        set_up(address)
        run(address)
    return judged(title, [{name: run(address) for name, address in targets.items()} for _ in range(ROUNDS)], busy)


def set_up(address: Address) -> None:
    """1.0.9 refuses predictions before a setup; ours needs none."""
    setup = [bodies.post("/setup", bodies.setup())]
    drive(address, setup, lambda status, body: "" if status == 200 else f"{status}", connections=1, seconds=0.2)


def judged(title: str, rounds: list[dict[str, Load]], busy: float) -> dict[str, float]:
    """Print the rounds; the median over them of each of ours to the peer. An error of ours is a failure."""
    ours = [name for name in rounds[0] if name != "peer"]
    ratios = {name: statistics.median(one[name].per_s / one["peer"].per_s for one in rounds) for name in ours}
    report(title, rounds, ratios, busy)
    assert not [dict(one[name].problems) for one in rounds for name in ours if one[name].problems]
    return ratios


def report(title: str, rounds: list[dict[str, Load]], ratios: dict[str, float], busy: float) -> None:
    """What a reader needs to judge the figures."""
    lines = [
        "",
        title,
        f"  machine: {machine.describe()}; others used {busy:.0%} of it before",
        f"  peer: {peers()}; {len(rounds)} rounds of {SECONDS:g} s, in turns",
    ]
    for name in rounds[0]:
        rates = sorted(one[name].per_s for one in rounds)
        median = statistics.median
        p50, p99 = (median(one[name].percentile_ms(percent) for one in rounds) for percent in (50, 99))
        errors = sum((one[name].problems for one in rounds), start=type(rounds[0][name].problems)())
        ratio = f"ratio {ratios[name]:.2f}" if name in ratios else "ratio 1"
        lines.append(
            f"  {name:>22}: {median(rates):8.0f} req/s ({rates[0]:.0f}-{rates[-1]:.0f})  p50 {p50:6.2f} ms  "
            f"p99 {p99:6.2f} ms  {ratio}  errors {dict(errors) or 'none'}"
        )
    print("\n".join(lines))  # noqa: T201 - a benchmark is there to be read


def peers() -> str:
    """The peer and what both stand on."""
    return ", ".join(f"{name} {version(name)}" for name in ("label-studio-ml", "flask", "gunicorn"))
