"""Agreement and consensus against the libraries of the field, in turns in one run, and the whole of `hitl agree`.

The peers (krippendorff, crowd-kit) are GPL or heavy and no dependency of ours: without them their comparison is
skipped by name. Each ratio is the median over rounds of the ratio within a round.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from feedback.agreement import krippendorff_alpha
from feedback.consensus import dawid_skene, majority_vote, select_method
from feedback.votes import Votes
from tests.benchmarks import machine

ROUNDS = int(os.environ.get("HITL_BENCH_ROUNDS", "5"))
PATIENCE_S = float(os.environ.get("HITL_BENCH_PATIENCE", "30"))
AGREE = "import typer; from feedback.cli.agree import agree; typer.run(agree)"


def crowd(n_tasks: int, n_people: int, *, per_task: int = 5, k: int = 5, seed: int = 0) -> Votes:
    """Votes of people whose skill differs; every task has `per_task` of them."""
    rng = np.random.default_rng(seed)
    truth, skill = rng.integers(0, k, n_tasks), rng.beta(6, 2, n_people)
    # consecutive places on a circle: no person twice on a task
    first = rng.integers(0, n_people, (n_tasks, 1))
    people = (first + rng.integers(1, n_people // per_task, (1, per_task)).cumsum(axis=1)) % n_people
    sees = rng.random(people.shape) < skill[people]
    labels = np.where(sees, truth[:, None], rng.integers(0, k, people.shape))
    return Votes(np.repeat(np.arange(n_tasks), per_task), people.ravel(), labels.ravel(), n_tasks, n_people, k)


def show(line: str) -> None:
    print(line)  # noqa: T201 - a benchmark is there to be read


def seconds(work: Callable[[], object]) -> float:
    """How long one run takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name: str, ours: Callable[[], object], peer: Callable[[], object]) -> float:
    """How many times faster ours is; both are run once before, and in turns."""
    busy = machine.wait_until_calm(PATIENCE_S)
    ours(), peer()
    rounds = [(seconds(ours), seconds(peer)) for _ in range(ROUNDS)]
    ratio = statistics.median(theirs / own for own, theirs in rounds)
    own, theirs = (statistics.median(times) * 1000 for times in zip(*rounds, strict=True))
    show(f"\n{name}: {own:.1f} ms against {theirs:.1f} ms, {ratio:.1f} times ({machine.describe()}, {busy:.0%} busy)")
    return ratio


def test_alpha_is_five_times_faster_than_krippendorff() -> None:
    krippendorff = pytest.importorskip("krippendorff", reason="krippendorff (GPL) is not installed")
    votes = crowd(100_000, 50)
    table = np.full((5, 100_000), np.nan)
    table[np.tile(np.arange(5), 100_000), votes.tasks] = votes.labels

    ratio = compare(
        "alpha with its interval, 100,000 items x 5",
        lambda: krippendorff_alpha(Votes(votes.tasks, votes.people, votes.labels)),
        lambda: krippendorff.krippendorff_alpha(reliability_data=table, level_of_measurement="nominal"),
    )

    theirs = krippendorff.krippendorff_alpha(reliability_data=table, level_of_measurement="nominal")
    assert krippendorff_alpha(votes).value == pytest.approx(theirs, abs=1e-9)
    assert ratio >= 5


@pytest.mark.filterwarnings("ignore::Warning:crowdkit", "ignore::Warning:pandas")  # crowd-kit is behind pandas
def test_dawid_skene_is_four_times_faster_than_crowd_kit_with_the_same_labels() -> None:
    module = "crowdkit.aggregation.classification.dawid_skene"
    crowdkit = pytest.importorskip(module, reason="crowd-kit is not installed", exc_type=ImportError)
    import pandas as pd

    votes = crowd(100_000, 50)
    frame = pd.DataFrame({"task": votes.tasks, "worker": votes.people, "label": votes.labels})

    ratio = compare(
        "Dawid-Skene, 100,000 tasks x 5",
        lambda: dawid_skene(Votes(votes.tasks, votes.people, votes.labels)),
        lambda: crowdkit.DawidSkene(n_iter=100).fit_predict(frame),
    )

    theirs = crowdkit.DawidSkene(n_iter=100).fit_predict(frame).sort_index().to_numpy()
    assert (dawid_skene(votes).labels == theirs).mean() > 0.999
    assert ratio >= 4


def test_a_million_votes_take_less_than_two_seconds_each() -> None:
    votes = crowd(200_000, 2000)
    busy = machine.wait_until_calm(PATIENCE_S)

    spent = {
        work.__name__: min(seconds(lambda work=work: work(votes)) for _ in range(3))
        for work in (krippendorff_alpha, dawid_skene)
    }

    show(f"\n1,000,000 votes: {', '.join(f'{name} {took:.2f} s' for name, took in spent.items())} ({busy:.0%} busy)")
    assert max(spent.values()) < 2


def test_a_million_votes_through_hitl_agree_take_less_than_ten_seconds(tmp_path: Path) -> None:
    votes = crowd(200_000, 2000)
    names = np.array(["spam", "ham", "hate", "offensive", "other"])[votes.labels]
    rows = zip(votes.people.tolist(), votes.tasks.tolist(), names.tolist(), strict=True)
    file = tmp_path / "votes.csv"
    file.write_text("worker,task,label\n" + "".join(f"w{who},t{task},{label}\n" for who, task, label in rows))
    busy = machine.wait_until_calm(PATIENCE_S)

    took = min(
        seconds(lambda: subprocess.run([sys.executable, "-c", AGREE, "--votes", file], check=True, capture_output=True))
        for _ in range(2)
    )

    show(f"\n1,000,000 votes through hitl agree, process and file included: {took:.1f} s ({busy:.0%} busy)")
    assert took < 10


@pytest.mark.parametrize("careless", [0.5, 0.3, 0.2])
def test_what_weighing_gains_over_majority_with_three_people(careless: float) -> None:
    """Reported, and held to lose nothing on average: of three people two decide, so there is little to gain."""
    gains = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 2, 56)
        answers = np.array([np.where(rng.random(56) < skill, truth, 1 - truth) for skill in (0.97, 0.88, careless)]).T
        votes = Votes(np.repeat(np.arange(56), 3), np.tile([0, 1, 2], 56), answers.ravel())
        right = (select_method(votes).consensus.labels == truth).mean() - (majority_vote(votes).labels == truth).mean()
        gains.append(float(right))
    show(f"\nskills .97, .88, {careless}: auto is {100 * statistics.mean(gains):+.1f} points from majority on 56 items")

    assert statistics.mean(gains) > -0.01
