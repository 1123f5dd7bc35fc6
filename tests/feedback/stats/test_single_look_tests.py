"""Tests for one look: published values, and why they are no triggers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from feedback.stats.errors import EvidenceError
from feedback.stats.single_look_tests import binomial_tail, mcnemar_chi2, mcnemar_exact


def test_published_values():
    statistic, p_value = mcnemar_chi2(86, 150)  # Agresti, Categorical Data Analysis, 10.1

    assert statistic == pytest.approx(17.3559322, abs=1e-7)
    assert p_value == pytest.approx(3.099293441045215e-05)
    assert mcnemar_exact(9, 21) == pytest.approx(0.04277395, abs=1e-8)
    assert binomial_tail(12, 120, 0.05) == pytest.approx(0.0173026, abs=1e-7)


@given(st.integers(0, 200), st.integers(0, 200), st.sampled_from([0.01, 0.2, 0.5]))
def test_they_are_scipys_exact_binomial(a, b, p0):
    assert binomial_tail(a, a + b, p0) == pytest.approx(binomtest(a, a + b, p0, "greater").pvalue if a + b else 1.0)
    assert mcnemar_exact(a, b) == pytest.approx(binomtest(a, a + b).pvalue if a + b else 1.0)


def test_looking_again_and_again_makes_the_one_look_test_fire_on_good_segments():
    rng = np.random.default_rng(0)
    totals = np.cumsum(rng.random((300, 400)) < 0.05, axis=1)
    looks = range(20, 400, 20)
    fired = np.mean([any(binomial_tail(int(run[n - 1]), n, 0.05) <= 0.05 for n in looks) for run in totals])

    assert fired > 0.12


def test_impossible_counts_are_refused():
    for call in (lambda: binomial_tail(3, 2, 0.1), lambda: mcnemar_exact(-1, 2), lambda: mcnemar_chi2(0, 0)):
        with pytest.raises(EvidenceError):
            call()
