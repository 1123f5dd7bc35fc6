"""hitl agree on the shared crowd data: better than what is published, and sure of no more than it knows."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.feedback.cli.agreeing import run

DATA = Path(os.environ.get("HITL_DATA_SETS", "")) / "crowd_benchmarks"
needs_data = pytest.mark.skipif(not os.environ.get("HITL_DATA_SETS"), reason="HITL_DATA_SETS is not set")


def consensus_of_each(*options):
    """What the command says of each shared set, by method."""
    found = {}
    for votes in sorted(DATA.glob("*.votes.csv")):
        name = votes.name.removesuffix(".votes.csv")
        said = run("--votes", votes, "--gold", DATA / f"{name}.gold.csv", *options, "--json")
        found[name] = json.loads(said)["consensus"]
    return found


@needs_data
@pytest.mark.slow
def test_auto_beats_dawid_skene_on_the_shared_sets_and_is_not_below_the_majority():
    found = consensus_of_each()
    rows = {name: {way: entry["accuracy"] for way, entry in ways.items()} for name, ways in found.items()}

    mean = {way: np.mean([row[way] for row in rows.values()]) for way in ("auto", "dawid_skene", "majority")}
    assert mean["auto"] > max(mean["dawid_skene"], 0.8286)  # crowd-kit 1.4.2's Dawid-Skene on these sets
    assert mean["auto"] > mean["majority"]
    assert min(row["auto"] - row["majority"] for row in rows.values()) > -0.01


@needs_data
@pytest.mark.slow
def test_confidence_is_calibrated_with_fifty_gold_answers():
    found = consensus_of_each("--calibrate-gold", 50)
    errors = {name: ways["auto"]["ece"] for name, ways in found.items()}

    assert max(errors.values()) <= 0.07, errors
