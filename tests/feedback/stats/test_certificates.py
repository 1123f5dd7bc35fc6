"""Certificates: false ones are rarer than promised, and "N more rows" means N and not one less."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.stats.certificates import (
    COVERAGES,
    CertifyRows,
    certify_monitored,
    certify_scheduled,
    error_free_rows,
    threshold_grid,
)
from feedback.stats.intervals import EvidenceError, upper_bound
from tests.support.hypothesis_profiles import examples

GRID = tuple(round(t, 3) for t in np.linspace(0.7, 0.0, 10).tolist())
EPOCHS = 300


def certify_rows(n: int, errors: int = 0, confidence: float = 0.99) -> CertifyRows:
    return CertifyRows(np.full(n, confidence), np.arange(n) < errors)


def more(rows: CertifyRows, n: int) -> CertifyRows:
    """The same with n further rows that every threshold accepts, none wrong."""
    return CertifyRows(np.r_[rows.confidence, np.full(n, 1.0)], np.r_[rows.wrong, np.zeros(n, dtype=bool)])


def test_the_published_numbers_of_error_free_rows():
    assert [error_free_rows(limit, alpha=0.05) for limit in (0.05, 0.02, 0.01)] == [59, 149, 299]
    assert error_free_rows(0.02, alpha=0.05 / 10) == 263
    assert upper_bound(0, 263, alpha=0.005) <= 0.02 < upper_bound(0, 262, alpha=0.005)


@given(st.integers(0, 300), st.integers(0, 6), st.sampled_from([0.02, 0.05, 0.1]))
@settings(max_examples=examples(60))
def test_the_monitored_certificate_comes_after_exactly_the_rows_it_named(n, errors, max_error):
    rows = certify_rows(n, min(errors, n))
    missing = certify_monitored(rows, GRID, max_error=max_error).missing

    assert certify_monitored(more(rows, missing), GRID, max_error=max_error).threshold is not None
    if missing:
        assert certify_monitored(more(rows, missing - 1), GRID, max_error=max_error).threshold is None


@given(st.integers(0, 500), st.integers(0, 6), st.lists(st.integers(1, 400), max_size=3), st.sampled_from([0.02, 0.1]))
@settings(max_examples=examples(60))
def test_the_scheduled_certificate_comes_after_exactly_the_rows_it_named(n, errors, looks, max_error):
    rows, looks = certify_rows(n, min(errors, n)), sorted(looks)
    first = certify_scheduled(rows, GRID, looks=looks, max_error=max_error)
    taken = [*looks, n] if first.looked else looks
    if first.threshold is not None:
        assert first.missing == 0
        return

    enough, one_less = (
        certify_scheduled(more(rows, first.missing - less), GRID, looks=taken, max_error=max_error) for less in (0, 1)
    )
    assert enough.looked
    assert enough.threshold is not None
    assert one_less.threshold is None


def test_without_an_error_the_named_numbers_are_the_constructions_own():
    assert certify_monitored(certify_rows(0), GRID, max_error=0.02).missing == 224
    assert (
        certify_scheduled(certify_rows(0), GRID, looks=(), max_error=0.02).missing
        == error_free_rows(0.02, alpha=0.05 / 10 / 2)
        == 297
    )


def test_a_certificate_explains_what_is_missing():
    half_sure = CertifyRows(np.r_[np.full(100, 0.9), np.full(100, 0.1)], np.zeros(200, dtype=bool))
    certificate = certify_monitored(half_sure, (0.8, 0.0), max_error=0.02)

    assert certificate.threshold is None
    assert certificate.reason == (
        "cannot certify at most 2 % wrong at 95 % confidence: 124 more error-free accepted rows "
        "(about 248 audit tasks); now 0 wrong of 100"
    )


def test_below_peoples_own_disagreement_nothing_is_certified():
    certificate = certify_monitored(certify_rows(5000), GRID, max_error=0.02, people_error=0.06)

    assert certificate.threshold is None
    assert certificate.reason == "cannot certify below people's own disagreement of 6.0 %"


def test_a_monitored_certificate_stops_at_the_first_threshold_that_fails():
    # the surest rows are wrong now and then, the rest never: no later threshold may jump over the first
    confidence = np.r_[np.full(60, 0.95), np.full(3000, 0.5)]
    rows = CertifyRows(confidence, np.arange(3060) < 12)

    assert certify_monitored(rows, (0.9, 0.4), max_error=0.02).threshold is None
    assert certify_monitored(rows, (0.4,), max_error=0.02).threshold == 0.4


def test_the_largest_proven_coverage_is_taken():
    confidence = np.r_[np.full(400, 0.95), np.full(400, 0.6), np.full(200, 0.2)]
    wrong = np.r_[np.zeros(800, dtype=bool), np.ones(200, dtype=bool)]
    for certificate in (
        certify_monitored(CertifyRows(confidence, wrong), (0.9, 0.5, 0.0), max_error=0.02),
        certify_scheduled(CertifyRows(confidence, wrong), (0.9, 0.5, 0.0), looks=(), max_error=0.02),
    ):
        assert certificate.threshold == 0.5
        assert certificate.coverage == 0.8
        assert (certificate.accepted, certificate.errors, certificate.missing) == (800, 0, 0)


def test_a_look_that_must_fail_does_not_count_as_one():
    certificate = certify_scheduled(certify_rows(100), GRID, looks=(), max_error=0.02)

    assert not certificate.looked


def test_a_scheduled_look_waits_for_a_quarter_more_rows():
    early, due = (certify_scheduled(certify_rows(n), GRID, looks=(1000,), max_error=0.02) for n in (1249, 1250))

    assert not early.looked
    assert early.missing == 1
    assert due.threshold is not None


def test_the_grid_comes_from_tune_rows_strictest_first_and_ties_once():
    tune = np.random.default_rng(0).random(1000).round(1)
    grid = threshold_grid(tune)

    assert list(grid) == sorted(set(grid), reverse=True)
    assert grid[-1] == 0.0
    spread = np.linspace(0, 1, 1000)
    accepted = [(spread >= threshold).mean() for threshold in threshold_grid(spread)]
    assert accepted == pytest.approx(list(COVERAGES), abs=0.001)


def simulated(limit: float, seed: int):
    """Epochs of a model whose error exceeds `limit` at some coverages and not at others."""
    rng = np.random.default_rng(seed)
    confidence = rng.random((EPOCHS, 1500))
    # the true error of a threshold is the mean above it: within the limit down to 0.5, just beyond it from 0.467 on
    chance = np.where(confidence > 0.65, limit * 0.3, limit * 2.5)
    return confidence, rng.random((EPOCHS, 1500)) < chance


def true_error(threshold: float, limit: float) -> float:
    above, below = 0.35, max(0.0, 0.65 - threshold)
    return (above * limit * 0.3 + below * limit * 2.5) / (above + below)


@pytest.mark.parametrize("looks", [tuple(range(100, 1501, 100)), (150, 300, 600, 1200)])
def test_monitored_certificates_are_hardly_ever_false_at_any_time_of_an_epoch(looks):
    limit = 0.1
    confidence, wrong = simulated(limit, seed=1)
    false, found = 0, 0
    for sure, bad in zip(confidence, wrong, strict=True):
        given = [certify_monitored(CertifyRows(sure[:n], bad[:n]), GRID, max_error=limit).threshold for n in looks]
        false += any(t is not None and true_error(t, limit) > limit for t in given)
        found += any(t is not None for t in given)

    assert false / EPOCHS <= 0.05
    assert found / EPOCHS > 0.5


def test_scheduled_certificates_are_hardly_ever_false_at_any_look_of_an_epoch():
    limit = 0.1
    confidence, wrong = simulated(limit, seed=2)
    false, found = 0, 0
    for sure, bad in zip(confidence, wrong, strict=True):
        taken, given = [], []
        for n in range(100, 1501, 100):
            certificate = certify_scheduled(CertifyRows(sure[:n], bad[:n]), GRID, looks=taken, max_error=limit)
            taken += [n] if certificate.looked else []
            given.append(certificate.threshold)
        false += any(t is not None and true_error(t, limit) > limit for t in given)
        found += any(t is not None for t in given)

    assert false / EPOCHS <= 0.05
    assert found / EPOCHS > 0.5


@pytest.mark.slow
def test_a_model_just_over_the_limit_everywhere_is_hardly_ever_certified():
    rng = np.random.default_rng(3)
    sure, bad = rng.random((EPOCHS, 2000)), rng.random((EPOCHS, 2000)) < 0.0501
    false = sum(
        any(
            certify_monitored(CertifyRows(s[:n], b[:n]), GRID, max_error=0.05).threshold is not None
            for n in range(50, 2001, 50)
        )
        for s, b in zip(sure, bad, strict=True)
    )

    assert false / EPOCHS <= 0.05


def test_trusting_the_observed_error_would_break_the_promise():
    """What most tools do: the largest threshold whose observed error is within the limit."""
    limit = 0.1
    confidence, wrong = simulated(limit, seed=1)
    false = 0
    for sure, bad in zip(confidence[:, :500], wrong[:, :500], strict=True):
        fine = [t for t in GRID if bad[sure >= t].mean() <= limit]
        false += bool(fine) and true_error(fine[-1], limit) > limit

    assert false / EPOCHS > 0.3


@pytest.mark.parametrize(
    "call",
    [
        lambda: CertifyRows(np.zeros(3), np.zeros(2)),
        lambda: CertifyRows(np.array([1.2]), np.zeros(1)),
        lambda: CertifyRows(np.array([np.nan]), np.zeros(1)),
        lambda: CertifyRows(np.zeros(1), np.array([2])),
        lambda: certify_monitored(certify_rows(5), (), max_error=0.1),
        lambda: certify_monitored(certify_rows(5), (0.1, 0.9), max_error=0.1),
        lambda: certify_monitored(certify_rows(5), GRID, max_error=2),
        lambda: certify_scheduled(certify_rows(5), GRID, looks=(), max_error=0.1, confidence=95),
        lambda: threshold_grid([]),
        lambda: threshold_grid([0.5], coverages=(0.5, 0.3)),
    ],
)
def test_what_cannot_be_is_refused(call):
    with pytest.raises(EvidenceError):
        call()
