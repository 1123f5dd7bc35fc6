"""Intervals: published values, exact coverage, and no figure outside its range."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from feedback.stats.intervals import (
    EvidenceError,
    Interval,
    binomial_tail,
    clopper_pearson,
    lower_bound,
    mean,
    newcombe,
    upper_bound,
    wilson,
)


@st.composite
def counts(draw):
    n = draw(st.integers(1, 2000))
    return draw(st.integers(0, n)), n


def test_wilson_gives_newcombes_table():
    interval = wilson(81, 263)  # Newcombe (1998), table I

    assert (interval.low, interval.high) == pytest.approx((0.25528852, 0.36620958), abs=1e-8)
    assert interval.value == 81 / 263


@given(counts(), st.sampled_from([0.8, 0.95, 0.99]))
def test_both_intervals_of_a_share_are_scipys(kn, confidence):
    k, n = kn
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = binomtest(k, n).proportion_ci(confidence, method=method)
        interval = ours(k, n, confidence=confidence)

        assert (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
        assert 0.0 <= interval.low <= interval.value <= interval.high <= 1.0


@pytest.mark.parametrize("n", [5, 30, 120])
def test_clopper_pearson_never_covers_less_than_its_confidence(n):
    bounds = [clopper_pearson(k, n) for k in range(n + 1)]
    for p in np.linspace(0.001, 0.999, 201):
        covered = sum(binom.pmf(k, n, p) for k, interval in enumerate(bounds) if p in interval)

        assert covered >= 0.95 - 1e-9


def test_wilson_covers_its_confidence_on_average():
    bounds = [wilson(k, 50) for k in range(51)]
    shares = np.linspace(0.02, 0.98, 97)
    covered = [sum(binom.pmf(k, 50, p) for k, interval in enumerate(bounds) if p in interval) for p in shares]

    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)


def test_without_rows_the_interval_is_everything():
    for interval in (wilson(0, 0), clopper_pearson(0, 0)):
        assert (interval.low, interval.high) == (0.0, 1.0)
        assert math.isnan(interval.value)
    assert (newcombe(0, 0, 3, 4).low, newcombe(0, 0, 3, 4).high) == (-1.0, 1.0)
    assert all((mean(rows).low, mean(rows).high) == (-math.inf, math.inf) for rows in ([], [3.0]))


@pytest.mark.parametrize(
    ("k", "wanted"),
    [
        (0, {0.05: 59, 0.02: 149, 0.01: 299}),
        (1, {0.05: 93, 0.02: 236, 0.01: 473}),
        (2, {0.05: 124, 0.02: 313, 0.01: 628}),
    ],
)
def test_so_many_rows_with_so_few_errors_prove_a_limit_and_not_one_less(k, wanted):
    for limit, n in wanted.items():
        assert upper_bound(k, n, alpha=0.05) <= limit < upper_bound(k, n - 1, alpha=0.05)


def test_one_sided_bounds_are_halves_of_the_interval():
    interval = clopper_pearson(3, 40, confidence=0.9)

    assert interval.low == pytest.approx(lower_bound(3, 40, alpha=0.05))
    assert interval.high == pytest.approx(upper_bound(3, 40, alpha=0.05))


@pytest.mark.parametrize(
    ("arguments", "low", "high"),
    [((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090), ((10, 10, 0, 10), 0.6075, 1.0)],
)
def test_newcombe_gives_his_own_table_of_differences(arguments, low, high):
    interval = newcombe(*arguments)

    assert (interval.low, interval.high) == pytest.approx((low, high), abs=6e-5)


def test_means_are_covered_by_student():
    rng = np.random.default_rng(0)
    rows = rng.normal(2.0, 3.0, size=(1000, 8))
    covered = np.mean([2.0 in mean(row) for row in rows])

    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(EvidenceError, match="cannot be"):
        wilson(k, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_in_per_cent_is_refused(confidence):
    for interval in (wilson, clopper_pearson):
        with pytest.raises(EvidenceError, match="share between 0 and 1"):
            interval(1, 2, confidence=confidence)


def test_an_interval_contains_the_values_between_its_bounds():
    interval = Interval(0.44, 0.6, 0.52)

    assert 0.5 in interval
    assert 0.7 not in interval


@given(st.integers(0, 200), st.integers(0, 200), st.sampled_from([0.01, 0.2, 0.5]))
def test_the_binomial_tail_is_scipys_exact_binomial(a, b, p0):
    assert binomial_tail(12, 120, 0.05) == pytest.approx(0.0173026, abs=1e-7)
    assert binomial_tail(a, a + b, p0) == pytest.approx(binomtest(a, a + b, p0, "greater").pvalue if a + b else 1.0)


def test_looking_again_and_again_makes_the_one_look_test_fire_on_good_segments():
    rng = np.random.default_rng(0)
    totals = np.cumsum(rng.random((300, 400)) < 0.05, axis=1)
    looks = range(20, 400, 20)
    fired = np.mean([any(binomial_tail(int(run[n - 1]), n, 0.05) <= 0.05 for n in looks) for run in totals])

    assert fired > 0.12


def test_the_binomial_tail_refuses_impossible_counts():
    with pytest.raises(EvidenceError):
        binomial_tail(3, 2, 0.1)
