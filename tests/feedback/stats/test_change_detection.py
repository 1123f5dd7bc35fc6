"""The alarm of a running certificate: rare when all is well, quick when it is not, even after a long clean run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.stats.change_detection import safe_bets, start_monitor
from feedback.stats.e_processes import rate_above
from feedback.stats.intervals import EvidenceError

RUNS = 400
RUN_LENGTH = 1000.0


def simulate_statistic(errors, p0):
    """(runs, n) the statistic after every row of many runs, computed for all runs at once."""
    x = np.asarray(errors, dtype=np.float64)
    sums = np.zeros((x.shape[0], safe_bets(p0).size))
    statistic = np.empty(x.shape)
    for row in range(x.shape[1]):
        sums = (sums + 1.0) * (1.0 + safe_bets(p0) * (x[:, row, None] - p0))
        statistic[:, row] = sums.mean(axis=1)
    return statistic


def first(crossed):
    """(runs,) the first row that crossed, counted from 1; the length where none did."""
    return np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, crossed.shape[1])


@pytest.mark.parametrize("p0", [0.02, 0.05, 0.2])
def test_rows_between_false_alarms_are_as_many_as_promised(p0):
    errors = np.random.default_rng(0).random((RUNS, 6000)) < p0

    rows = first(simulate_statistic(errors, p0) >= RUN_LENGTH)  # runs cut at 6,000 rows only make the mean smaller
    assert rows.mean() >= RUN_LENGTH


def after_a_clean_run(rate: float):
    rng = np.random.default_rng(1)
    return np.hstack([np.zeros((RUNS, 1000)), rng.random((RUNS, 400)) < rate])


def test_a_broken_model_is_found_within_forty_audits_after_a_thousand_clean_ones():
    rows = first(simulate_statistic(after_a_clean_run(0.2), 0.02) >= RUN_LENGTH) - 1000

    assert rows.min() > 0
    assert np.median(rows) <= 40


def test_a_plain_e_process_would_have_needed_far_longer():
    errors = after_a_clean_run(0.2)
    plain = rate_above(np.cumsum(errors, axis=1), np.arange(1, errors.shape[1] + 1), 0.02) >= 20

    assert np.median(first(plain) - 1000) > 80


@given(st.lists(st.booleans(), max_size=80), st.integers(0, 80), st.sampled_from([0.02, 0.3, 0.9]))
def test_a_stored_state_goes_on_as_if_nobody_had_stopped(errors, cut, p0):
    whole = start_monitor(p0, run_length=50.0).update(errors)
    halves = start_monitor(p0, run_length=50.0).update(errors[:cut]).update(errors[cut:])

    assert whole == halves
    if errors:
        statistic = simulate_statistic(np.array([errors]), p0)[0]
        assert np.mean(whole.sums) == pytest.approx(statistic[-1])
        assert whole.alarm == bool((statistic >= 50.0).any())


def test_an_alarm_stays_on_with_its_time():
    rung = start_monitor(0.02, run_length=1000).update([0] * 50 + [1] * 6)

    assert rung.alarm
    assert 51 <= rung.alarm_at <= 56
    assert rung.update([0] * 500).alarm_at == rung.alarm_at


@pytest.mark.parametrize("p0", [0.001, 0.1, 0.5, 0.99])
def test_no_bet_can_go_bankrupt(p0):
    assert safe_bets(p0).size
    assert (1.0 - safe_bets(p0) * p0 > 0).all()


def test_what_cannot_be_is_refused():
    for call in (
        lambda: start_monitor(0.0, run_length=9),
        lambda: start_monitor(0.1, run_length=1),
        lambda: start_monitor(0.1, run_length=9).update([2]),
    ):
        with pytest.raises(EvidenceError):
            call()
