"""What is said of people: with intervals, against others or gold, and only when it is sure."""

import numpy as np
import pytest

from feedback.annotators.anchoring import anchoring
from feedback.annotators.distance import distances_of_answers, distances_of_numbers, median_of_others
from feedback.annotators.reliability import advise_pause, against_gold, against_others, hits_against_others
from feedback.annotators.speed import accuracy_by_hour, accuracy_by_practice, measure_speed, time_share_by_label
from feedback.consensus import majority_vote
from feedback.errors import VotesError
from feedback.votes import Votes
from ml_backend.codecs import codec
from ml_backend.records import Answer

HOUR = 3600.0


def crowd(right=(0.9, 0.9, 0.9, 0.5), n=300, k=3, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    sees = rng.random((n, len(right))) < right
    other = (truth[:, None] + rng.integers(1, k, sees.shape)) % k
    labels = np.where(sees, truth[:, None], other)
    return Votes(np.repeat(np.arange(n), len(right)), np.tile(np.arange(len(right)), n), labels.ravel()), truth


def test_the_careless_one_is_found_without_gold_and_with_it():
    votes, truth = crowd()

    for records in (against_others(votes), against_gold(votes, truth)):
        assert [one.accuracy.value for one in records] == pytest.approx([0.9, 0.9, 0.9, 0.5], abs=0.05)
        assert records[3].accuracy.high < min(one.accuracy.low for one in records[:3])


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    covered = []
    for seed in range(60):
        votes, truth = crowd(n=120, seed=seed)
        covered += [
            one.accuracy.low <= p <= one.accuracy.high
            for one, p in zip(against_gold(votes, truth), (0.9, 0.9, 0.9, 0.5), strict=True)
        ]

    assert np.mean(covered) == pytest.approx(0.95, abs=0.04)


def test_ones_own_vote_never_confirms_itself():
    # three votes a task: with one's own, even a guesser agrees with the majority three times in four
    votes, _ = crowd(right=(0.5, 0.5, 0.5), k=2, n=2000)
    naive = (majority_vote(votes).labels[votes.tasks] == votes.labels)[votes.people == 0].mean()

    assert naive > 0.7
    assert against_others(votes)[0].accuracy.value < 0.62


def test_someone_alone_on_their_tasks_is_compared_with_nobody():
    votes = Votes([0, 1, 2, 3, 3], [0, 0, 0, 1, 2], [0, 1, 0, 1, 1])

    alone = against_others(votes)[0]

    assert (alone.votes, alone.compared) == (3, 0)
    assert (alone.accuracy.low, alone.accuracy.high) == (0.0, 1.0)


def test_the_label_that_a_person_misses_is_named():
    votes, truth = crowd(right=(0.97,) * 4)
    blind = np.where((votes.people == 1) & (truth[votes.tasks] == 2), 0, votes.labels)

    records = against_others(Votes(votes.tasks, votes.people, blind))

    assert records[1].weakest_label == 2
    assert records[0].weakest_label is None


def test_a_pause_is_advised_only_when_the_upper_bound_is_below():
    votes, truth = crowd()
    few = votes.select(votes.tasks < 20)

    many_answers, few_answers = against_gold(votes, truth)[3], against_gold(few, truth)[3]

    assert "surely below 0.8" in advise_pause(many_answers, below=0.8)
    assert advise_pause(many_answers, below=0.52) == ""
    assert advise_pause(few_answers, below=few_answers.accuracy.high - 1e-6) == ""


def test_who_answers_what_nobody_answered_rightly_is_wrong():
    votes = Votes([0, 1, 2, 2], [0, 0, 0, 1], [0, 1, 1, 0])

    found = against_gold(votes, np.array([0, 1, 2]))  # the right answer to the last task is one that nobody gave

    assert [(one.compared, one.accuracy.value) for one in found] == [(3, pytest.approx(2 / 3)), (1, 0.0)]
    assert [len(one.by_label) for one in found] == [2, 2]


def test_gold_of_another_length_is_refused():
    with pytest.raises(VotesError, match="one per task"):
        against_gold(Votes([0, 1], [0, 0], [0, 1]), np.array([1]))


def test_median_of_others_leaves_the_own_answer_out():
    rng = np.random.default_rng(0)
    tasks, values = rng.integers(0, 30, 120), rng.normal(size=120)

    found = median_of_others(tasks, values)

    for row in range(120):
        others = values[(tasks == tasks[row]) & (np.arange(120) != row)]
        assert found[row] == pytest.approx(np.median(others) if len(others) else np.nan, nan_ok=True)


def test_numbers_are_judged_by_distance_from_others_or_from_gold():
    tasks, people = np.repeat(np.arange(50), 3), np.tile(np.arange(3), 50)
    values = np.tile([10.0, 10.0, 13.0], 50)

    by_others = distances_of_numbers(tasks, people, values)
    by_gold = distances_of_numbers(tasks, people, values, truth=np.where(np.arange(50) < 25, 13.0, np.nan))

    assert [one.distance.value for one in by_others] == [1.5, 1.5, 3.0]
    assert [one.distance.value for one in by_gold] == [3.0, 3.0, 0.0]
    assert [one.compared for one in by_gold] == [25, 25, 25]


def test_regions_are_judged_by_distance_from_others():
    near, far = Answer("labels", ((0, 10, "PER"),)), Answer("labels", ((50, 60, "PER"),))
    found = distances_of_answers(np.zeros(3, dtype=int), np.arange(3), [near, near, far], codec("labels").distance)

    assert [one.distance.value for one in found] == [0.5, 0.5, 1.0]


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
    one = measure_speed(np.zeros(1, dtype=int), np.zeros(1), np.full(1, 30.0))[0].per_hour
    share = time_share_by_label(np.zeros(1, dtype=int), np.zeros(1, dtype=int), np.full(1, 30.0), n_labels=2)[0][0]

    assert (one.value, one.low, one.high) == (120.0, 0.0, np.inf)
    assert (share.value, share.low, share.high) == (1.0, 0.0, 1.0)


def session(right_by_hour, per_hour=200, seed=0):
    rng = np.random.default_rng(seed)
    at_s = np.arange(per_hour * len(right_by_hour)) * HOUR / per_hour
    right = rng.random(len(at_s)) < np.repeat(right_by_hour, per_hour)
    return np.zeros(len(at_s), dtype=int), at_s, right.astype(float)


def test_hours_of_work_that_tire_are_proven_and_luck_is_not():
    tired, fresh = accuracy_by_hour(*session([0.95, 0.85, 0.7]))[0], accuracy_by_hour(*session([0.9, 0.9, 0.9]))[0]

    assert tired.worse
    assert [round(step.value, 1) for step in tired.steps] == pytest.approx([0.9, 0.8, 0.7], abs=0.11)
    assert not fresh.worse


def test_a_new_session_starts_fresh():
    _, at_s, right = session([0.95, 0.7])
    twice = np.concatenate([at_s, at_s + 10 * HOUR])

    found = accuracy_by_hour(np.zeros(800, dtype=int), twice, np.tile(right, 2))[0]

    assert len(found.steps) == 2
    assert found.worse


def test_fatigue_is_seen_through_what_the_others_say():
    rng = np.random.default_rng(2)
    n = 600
    truth, hour = rng.integers(0, 2, n), np.arange(n) // 200
    tired = np.where(rng.random(n) < np.array([0.97, 0.85, 0.7])[hour], truth, 1 - truth)
    fresh = np.where(rng.random((2, n)) < 0.93, truth, 1 - truth)
    votes = Votes(np.tile(np.arange(n), 3), np.repeat([0, 1, 2], n), np.concatenate([tired, *fresh]))
    at_s = np.tile(np.arange(n) * HOUR / 200, 3)
    hits, worth = hits_against_others(votes)

    found = accuracy_by_hour(votes.people, at_s, hits, weights=worth)

    assert found[0].worse
    assert [step.value for step in found[0].steps] == pytest.approx([0.97, 0.85, 0.7], abs=0.08)


def test_practice_shows_in_the_learning_curve():
    people, at_s, right = session([0.6, 0.9, 0.9])

    assert accuracy_by_practice(people, at_s, right, answers_per_step=100)[0].better


def test_people_who_follow_what_they_see_are_found():
    rng = np.random.default_rng(0)
    people, shown = np.repeat([0, 1], 400), np.tile([True, False], 400)
    agrees = rng.random(800) < np.where((people == 1) & shown, 0.95, 0.75)

    everybody, steady, led = anchoring(people, shown, agrees)

    assert everybody.person is None
    assert led.proven
    assert not steady.proven
