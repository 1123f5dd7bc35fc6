"""What consensus is worth on real data: `auto` on the shared crowd sets, and the model as one more voter.

Both need HITL_DATA_SETS. crowd-kit stands in the table where it is installed; it is heavy and no dependency of ours.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.special import stdtrit

from feedback.reports.votes_file import VoteTable, analyse_votes_file, read_gold, read_votes
from tests.support.crowds import gains, handwriting, hate_speech, shared_sets, sms

SEEDS = int(os.environ.get("HITL_BENCH_SEEDS", "24"))
OURS = ("auto", "majority", "dawid_skene", "hierarchical", "one_coin", "weighted")
CROWD_KIT = "crowdkit.aggregation.classification.dawid_skene"
GOLD = 50  # answers for calibration; the rest judges


def show(line: str) -> None:
    print(line)  # noqa: T201 - a benchmark is there to be read


def of_crowd_kit(votes: VoteTable, gold: Path) -> float:
    """The accuracy of crowd-kit's Dawid-Skene; NaN where it is not installed."""
    try:
        peer = importlib.import_module(CROWD_KIT)
    except ImportError:
        return float("nan")
    import pandas as pd

    frame = pd.DataFrame({"task": votes.tasks, "worker": votes.workers, "label": votes.labels})
    fitted = peer.DawidSkene(n_iter=100).fit_predict(frame)
    known, _ = read_gold(gold)
    return float(np.mean([fitted[task] == answer for task, answer in known.items() if task in fitted.index]))


@pytest.mark.filterwarnings("ignore::Warning:crowdkit", "ignore::Warning:pandas")  # crowd-kit is behind pandas
def test_auto_on_the_shared_crowd_sets() -> None:
    folder = shared_sets() / "crowd_benchmarks"
    rows: dict[str, list[float]] = {}
    for file in sorted(folder.glob("*.votes.csv")):
        name = file.name.removesuffix(".votes.csv")
        votes, gold = read_votes(file), folder / f"{name}.gold.csv"
        known, _ = read_gold(gold)
        found = analyse_votes_file(votes, gold=known).consensus
        ece = analyse_votes_file(votes, gold=known, calibrate_gold=GOLD).consensus["auto"].ece
        rows[name] = [found[way].accuracy or 0.0 for way in OURS] + [of_crowd_kit(votes, gold), ece or 0.0]
    table = np.array(list(rows.values()))

    show(f"\n{'accuracy':14}" + "".join(f"{way:>15}" for way in (*OURS, "crowd-kit's DS", f"ECE, {GOLD} gold")))
    for name, row in (*rows.items(), ("mean", table.mean(axis=0).tolist())):
        show(f"{name:14}" + "".join(f"{value:15.4f}" for value in row))
    mean = dict(zip(OURS, table.mean(axis=0), strict=False))
    assert mean["auto"] > max(mean["dawid_skene"], np.nan_to_num(table[:, len(OURS)].mean()))
    assert (table[:, 0] - table[:, 1]).min() > -0.01
    assert table[:, -1].max() <= 0.07


@pytest.mark.parametrize("task", [sms, handwriting, hate_speech])
def test_what_the_model_as_a_voter_gains(task) -> None:
    """Reported, and held to lose nothing on average: 240 rows of mostly single votes, one of four people careless."""
    made = task()
    gained = 100.0 * np.array([gains(made, seed) for seed in range(SEEDS)])  # (seeds, 2), in points
    mean = gained.mean(axis=0)
    reach = stdtrit(SEEDS - 1, 0.975) * gained.std(axis=0, ddof=1) / np.sqrt(SEEDS)

    show(
        f"\n{task.__name__}: the model as a voter gains {mean[1]:+.1f} ± {reach[1]:.1f} points over people's weights "
        f"alone, {mean[0]:+.1f} ± {reach[0]:.1f} over equal weights ({SEEDS} seeds)"
    )
    assert mean[1] + reach[1] > 0.0
