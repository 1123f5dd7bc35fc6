"""The bootstrap over items: weights of patterns do what copies of rows would."""

from __future__ import annotations

import numpy as np
import pytest

from feedback.stats.bootstrap_intervals import bootstrap, resample
from feedback.stats.estimates import EvidenceError


def share(weights):
    """The weighted share of the first pattern."""
    return weights[:, 0] / weights.sum(axis=1)


@pytest.mark.parametrize("kind", ["multinomial", "poisson"])
def test_the_interval_covers_what_it_says(kind):
    rng = np.random.default_rng(0)
    firsts = rng.binomial(200, 0.3, size=400)
    covered = [0.3 in bootstrap(share, [k, 200 - k], seed=int(k), draws=400, kind=kind) for k in firsts]

    assert 0.91 <= np.mean(covered) <= 0.98


def test_patterns_stand_for_copies_of_rows():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 4, size=500).astype(float)
    patterns, counts = np.unique(values, return_counts=True)

    ours = bootstrap(lambda w: w @ patterns / w.sum(axis=1), counts, seed=2, draws=4000)
    rows = values[rng.integers(0, 500, size=(4000, 500))].mean(axis=1)

    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx(np.quantile(rows, [0.025, 0.975]), abs=0.01)


def test_the_same_seed_gives_the_same_interval():
    item, same, other = (bootstrap(share, [30, 70], seed=seed) for seed in (1, 1, 2))

    assert item == same != other


def test_memory_is_bounded_and_all_draws_arrive():
    blocks = list(resample(np.ones(300_000), draws=30, seed=0, kind="poisson"))

    assert sum(len(block) for block in blocks) == 30
    assert max(block.size for block in blocks) <= 4_000_000


def test_multinomial_draws_keep_the_number_of_items():
    (block,) = resample([3, 0, 7], draws=50, seed=0)

    assert (block.sum(axis=1) == 10).all()
    assert (block[:, 1] == 0).all()


def test_undefined_draws_are_left_out():
    def undefined_without_the_first(weights):
        with np.errstate(invalid="ignore"):
            return np.where(weights[:, 0] > 0, share(weights), np.nan)

    interval = bootstrap(undefined_without_the_first, [1, 3], seed=0)

    assert 0.0 < interval.low <= interval.high <= 1.0
    undefined = bootstrap(lambda w: np.full(len(w), np.nan), [1, 3], seed=0)
    assert (undefined.low, undefined.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("counts", [[], [0, 0], [-1, 2], [0.5, 1.0], [[1, 2]]])
def test_counts_that_are_none_are_refused(counts):
    with pytest.raises(EvidenceError, match="whole numbers"):
        bootstrap(share, counts, seed=0)
