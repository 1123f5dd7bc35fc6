"""E-values: reference values, exact expectations, and alarms counted over many runs that people watched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import binom

from feedback.stats.e_processes import e_bh, e_holm, loss_below, rate_above, rate_below, rate_differs
from feedback.stats.intervals import EvidenceError

RUNS = 1000


def watched(rate: float, n: int, seed: int, runs: int = RUNS):
    """(k, n) after every row of many runs."""
    errors = np.random.default_rng(seed).random((runs, n)) < rate
    return np.cumsum(errors, axis=1), np.arange(1, n + 1)


def test_reference_values():
    assert float(rate_above(12, 30, 0.2)) == pytest.approx(6.29038, abs=5e-6)
    assert float(rate_differs(12, 30, 0.2)) == pytest.approx(5.05448022, abs=1e-8)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.01, 0.6))
def test_the_closed_forms_are_their_integrals(k, fine, p0):
    def ratio(p):
        return (p / p0) ** k * ((1 - p) / (1 - p0)) ** fine

    n, peak = k + fine, k / (k + fine) if k + fine else p0
    above = quad(ratio, p0, 1, points=[max(p0, peak)], limit=200)[0] / (1 - p0)
    below = quad(ratio, 0, p0, points=[min(p0, peak)], limit=200)[0] / p0

    assert float(rate_above(k, n, p0)) == pytest.approx(above, rel=1e-5, abs=1e-12)
    assert float(rate_below(k, n, p0)) == pytest.approx(below, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("n", [1, 10, 50, 150])
@pytest.mark.parametrize("p0", [0.02, 0.2, 0.7])
def test_no_null_rate_gives_more_than_one_on_average(n, p0):
    k = np.arange(n + 1)
    for rate in np.linspace(0.0, p0, 9):
        assert binom.pmf(k, n, rate) @ rate_above(k, n, p0) <= 1 + 1e-9
    for rate in np.linspace(p0, 1.0, 9):
        assert binom.pmf(k, n, rate) @ rate_below(k, n, p0) <= 1 + 1e-9


def test_a_good_segment_hardly_ever_alarms_however_often_people_look():
    k, n = watched(0.01, 1000, seed=0)

    alarmed = (rate_above(k, n, 0.05) >= 20).any(axis=1)
    assert alarmed.mean() <= 0.05


def test_a_segment_on_the_limit_alarms_in_at_most_five_of_a_hundred_runs():
    k, n = watched(0.05, 1000, seed=1)

    alarmed = (rate_above(k, n, 0.05) >= 20).any(axis=1)
    assert 0.0 < alarmed.mean() <= 0.05


def test_a_bad_segment_is_found_soon():
    k, n = watched(0.2, 400, seed=2)

    proof = rate_above(k, n, 0.05) >= 20
    assert proof.any(axis=1).mean() > 0.99
    assert np.median(proof.argmax(axis=1)) < 60


def test_the_untruncated_mixture_would_fire_on_every_good_segment():
    k, n = watched(0.01, 1000, seed=0, runs=300)

    assert (rate_differs(k, n, 0.05) >= 20).any(axis=1).mean() > 0.95


def test_a_rate_at_the_limit_is_hardly_ever_certified_below_it():
    k, n = watched(0.02, 2000, seed=3)

    assert (rate_below(k, n, 0.02) >= 20).any(axis=1).mean() <= 0.05


def test_huge_counts_neither_overflow_nor_lose_the_answer():
    assert float(rate_above(10**6, 10**6, 0.5)) == np.inf
    assert float(rate_above(0, 10**6, 0.5)) == 0.0
    assert float(rate_below(0, 10**6, 0.5)) == np.inf
    assert float(rate_above(0, 0, 0.2)) == pytest.approx(1.0)


def test_losses_at_the_limit_are_hardly_ever_called_below_it():
    rng = np.random.default_rng(4)
    runs = rng.choice([0.0, 0.5, 1.0], p=[0.85, 0.1, 0.05], size=(400, 300))  # mean loss 0.1
    ends = [loss_below(run[:n], 0.1) for run in runs for n in (50, 100, 200, 300)]

    broken = (np.array(ends).reshape(400, 4) >= 20).any(axis=1)
    assert broken.mean() <= 0.05
    assert loss_below(np.zeros(400), 0.1) > 20
    assert loss_below([], 0.1) == 1.0


def many_segments(seed: int, draws: int = 400):
    """(draws, 20) e-values of 15 good and 5 bad segments with 200 rows each."""
    rng = np.random.default_rng(seed)
    rates = np.r_[np.full(15, 0.05), np.full(5, 0.15)]
    return rate_above(rng.binomial(200, rates, size=(draws, 20)), 200, 0.05)


def test_e_bh_keeps_the_share_of_false_alarms_and_finds_the_bad_ones():
    refused = np.array([e_bh(e, alpha=0.05) for e in many_segments(5)])

    false_share = refused[:, :15].sum(axis=1) / np.maximum(1, refused.sum(axis=1))
    assert false_share.mean() <= 0.05
    assert refused[:, 15:].mean() > 0.6


def test_e_holm_hardly_ever_raises_any_false_alarm():
    refused = np.array([e_holm(e, alpha=0.05) for e in many_segments(6)])

    assert refused[:, :15].any(axis=1).mean() <= 0.05
    assert refused[:, 15:].mean() > 0.4


@pytest.mark.parametrize(
    ("e", "refused"),
    [([79.0, 1, 1, 1], 0), ([80.0, 1, 1, 1], 1), ([39.0, 40, 1, 1], 0), ([40.0, 40, 1, 1], 2), ([20.0] * 4, 4)],
)
def test_e_bh_asks_k_values_of_k_for_their_share(e, refused):
    assert e_bh(e, alpha=0.05).sum() == refused


def test_without_a_segment_nothing_is_refused():
    assert e_bh([], alpha=0.05).size == e_holm([], alpha=0.05).size == 0


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=12))
def test_holm_refuses_no_more_than_benjamini_hochberg(e):
    assert (e_holm(e, alpha=0.05) <= e_bh(e, alpha=0.05)).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: rate_above(3, 2, 0.1),
        lambda: rate_below(-1, 2, 0.1),
        lambda: rate_above(1, 2, 5.0),
        lambda: rate_differs(1, 2, 0.0),
        lambda: loss_below([2.0], 0.1),
        lambda: loss_below([0.1], 1.5),
        lambda: e_bh([1.0], alpha=5),
    ],
)
def test_what_cannot_be_is_refused(call):
    with pytest.raises(EvidenceError):
        call()
