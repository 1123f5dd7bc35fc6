"""Speed, time shares and trends have intervals that cover the truth."""

import numpy as np
import pytest

from feedback.annotators.accuracy import hits_against_others
from feedback.annotators.speed import accuracy_trends, measure_speed, time_share_by_label
from feedback.votes import Votes

HOUR = 3600.0


def session(right_by_hour, per_hour=200, seed=0):
    rng = np.random.default_rng(seed)
    at_s = np.arange(per_hour * len(right_by_hour)) * HOUR / per_hour
    right = rng.random(len(at_s)) < np.repeat(right_by_hour, per_hour)
    return np.zeros(len(at_s), dtype=int), at_s, right.astype(float)


def test_pauses_are_not_work():
    at_s = np.concatenate([np.arange(61) * 60.0, 5 * HOUR + np.arange(61) * 60.0])

    found = measure_speed(np.zeros(122, dtype=int), at_s, np.full(122, 60.0))[0]

    assert found.hours == pytest.approx(2 + 2 / 60)
    assert found.per_hour.value == pytest.approx(60.0)


def test_the_median_time_has_an_interval_that_covers():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        lead_s = rng.lognormal(3.0, 1.0, 60)
        found = measure_speed(np.zeros(60, dtype=int), np.arange(60) * 100.0, lead_s)[0].median_s
        hits += found.low <= np.exp(3.0) <= found.high

    assert hits / 300 == pytest.approx(0.95, abs=0.04)


def test_time_that_was_not_measured_is_no_time():
    shares = time_share_by_label(
        np.zeros(3, dtype=int), np.array([0, 1, 1]), np.array([30.0, 10.0, np.nan]), n_labels=2
    )

    assert [share.value for share in shares[0]] == [0.75, 0.25]


def test_throughput_and_time_shares_have_intervals_that_cover():
    rng = np.random.default_rng(5)
    hits = [0, 0]
    for _ in range(300):
        spent = rng.gamma(2.0, 20.0, 80)  # 40 s an answer: 90 an hour
        labels = (rng.random(80) < 0.3).astype(int)
        took = np.where(labels, 2.0, 1.0) * spent
        people = np.zeros(80, dtype=int)
        pace_of = measure_speed(people, np.cumsum(spent), spent)[0]
        hits[0] += pace_of.per_hour.low <= 90 <= pace_of.per_hour.high
        share = time_share_by_label(people, labels, took, n_labels=2)[0][1]
        hits[1] += share.low <= 0.6 / 1.3 <= share.high

    assert 0.91 <= hits[0] / 300 <= 0.99
    assert 0.91 <= hits[1] / 300 <= 1.0


def test_few_answers_leave_throughput_and_shares_open():
    item = measure_speed(np.zeros(1, dtype=int), np.zeros(1), np.full(1, 30.0))[0].per_hour
    share = time_share_by_label(np.zeros(1, dtype=int), np.zeros(1, dtype=int), np.full(1, 30.0), n_labels=2)[0][0]

    assert (item.value, item.low, item.high) == (120.0, 0.0, np.inf)
    assert (share.value, share.low, share.high) == (1.0, 0.0, 1.0)


def test_hours_of_work_that_tire_are_proven_and_luck_is_not():
    tired, fresh = (accuracy_trends(*session(right), by="hour")[0] for right in ([0.95, 0.85, 0.7], [0.9, 0.9, 0.9]))

    assert tired.change.high < 0.0
    assert [round(step.value, 1) for step in tired.steps] == pytest.approx([0.9, 0.8, 0.7], abs=0.11)
    assert fresh.change.high >= 0.0


def test_a_new_session_starts_fresh():
    _, at_s, right = session([0.95, 0.7])
    twice = np.concatenate([at_s, at_s + 10 * HOUR])

    found = accuracy_trends(np.zeros(800, dtype=int), twice, np.tile(right, 2), by="hour")[0]

    assert len(found.steps) == 2
    assert found.change.high < 0.0


def test_fatigue_is_found_by_comparison_with_the_others():
    rng = np.random.default_rng(2)
    n = 600
    truth, hour = rng.integers(0, 2, n), np.arange(n) // 200
    tired = np.where(rng.random(n) < np.array([0.97, 0.85, 0.7])[hour], truth, 1 - truth)
    fresh = np.where(rng.random((2, n)) < 0.93, truth, 1 - truth)
    votes = Votes(np.tile(np.arange(n), 3), np.repeat([0, 1, 2], n), np.concatenate([tired, *fresh]))
    at_s = np.tile(np.arange(n) * HOUR / 200, 3)
    hits, worth = hits_against_others(votes)

    found = accuracy_trends(votes.people, at_s, hits, by="hour", weights=worth)

    assert found[0].change.high < 0.0
    assert [step.value for step in found[0].steps] == pytest.approx([0.97, 0.85, 0.7], abs=0.08)


def test_practice_shows_in_the_learning_curve():
    people, at_s, right = session([0.6, 0.9, 0.9])

    assert accuracy_trends(people, at_s, right, by="practice")[0].change.low > 0.0


def test_of_thousands_of_labels_those_that_take_most_time_have_a_share():
    labels = np.repeat(np.arange(4_000), 2)
    lead_time_s = np.where(labels == 7, 900.0, 10.0)

    (shares,) = time_share_by_label(np.zeros(8_000, dtype=int), labels, lead_time_s, n_labels=4_000).values()

    known = [label for label, share in enumerate(shares) if share.value > 0]
    assert (len(shares), len(known)) == (4_000, 50)
    assert max(known, key=lambda label: shares[label].value) == 7
