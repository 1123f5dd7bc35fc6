"""Accuracy against other people: the intervals hold for everybody, nobody is wrongly named, and doubt is told."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest

from feedback.annotators.accuracy import Reliability, advise_pause, against_others, compare_people
from feedback.annotators.accuracy_intervals import accuracy_intervals
from feedback.consensus.dawid_skene_profile import fit_modes
from feedback.errors import VotesError
from feedback.votes import Floats, Ints, Votes
from tests.support.proof import size

N_RUNS = size(ci=2, full=300)
GOOD = ((0.97, 0.97),) * 5
# accuracy on the frequent and on the rare label of each person
CROWDS = {
    "good": (*GOOD, (0.97, 0.97)),
    "one of .90": ((0.90, 0.90), *GOOD),
    "mixed": ((0.99, 0.80), (0.98, 0.85), (0.95, 0.95), (0.93, 0.97), (0.60, 0.60), *GOOD),
}
SETTINGS = tuple(itertools.product((0.7, 0.9, 0.95), (2, 3), (300, 1500)))


def binary(rates: tuple[tuple[float, float], ...]) -> Floats:
    """Return error matrices (n_people, true, given)."""
    return np.array([[[first, 1.0 - first], [1.0 - second, second]] for first, second in rates])


def crowd(errors: Floats, shares: list[float], per_task: int, n_tasks: int, seed: int) -> Votes:
    """Return votes of people drawn at random for each task."""
    rng = np.random.default_rng(seed)
    n_people, k = errors.shape[:2]
    truth = rng.choice(k, size=n_tasks, p=shares)
    people = np.argsort(rng.random((n_tasks, n_people)), axis=1)[:, :per_task]
    above = rng.random(people.shape)[:, :, None] > errors.cumsum(axis=2)[people, truth[:, None]]
    labels = np.minimum(above.sum(axis=2), k - 1)
    tasks = np.repeat(np.arange(n_tasks), per_task)
    return Votes(tasks, people.ravel(), labels.ravel(), n_tasks, n_people, k)


def pairs(*rows: tuple[int, int, int, int], n: int) -> Votes:
    """Return n tasks for each row (person, other person, whether they agree, label of the first)."""
    tasks = np.repeat(np.arange(n * len(rows)), 2)
    people = np.repeat(np.array([row[:2] for row in rows]), n, axis=0).ravel()
    first = np.tile(np.arange(n) % 2, len(rows))
    agree = np.repeat([row[2] for row in rows], n)
    return Votes(tasks, people, np.stack([first, np.where(agree, first, 1 - first)], axis=1).ravel())


def truths(errors: Floats, shares: list[float]) -> Floats:
    """Return the accuracy by label and overall, (n_people, k + 1)."""
    by_label = np.diagonal(errors, axis1=1, axis2=2)
    return np.column_stack([by_label, by_label @ np.array(shares)])


def judge(votes: Votes, truth: Floats) -> tuple[Floats, bool]:
    """Return which figures (n_people, k + 1) are in their intervals, and whether anybody is wrongly named.

    Wrong is a label on which a person is not worse than overall, or a pause of somebody who is good enough.
    """
    records = against_others(votes)
    intervals = [(*record.by_label, record.accuracy) for record in records]
    held = [[own in interval for own, interval in zip(*row, strict=True)] for row in zip(truth, intervals, strict=True)]
    return np.array(held, dtype=np.float64), any(is_wrongly_named(record, truth[record.person]) for record in records)


def is_wrongly_named(record: Reliability, own: Floats) -> bool:
    weakest = record.weakest_label
    wrong_label = weakest is not None and own[weakest] >= own[-1]
    return wrong_label or bool(advise_pause(record, below=0.9) and own[-1] >= 0.9)


@pytest.mark.parametrize("name", CROWDS)
def test_intervals_hold_for_everybody_and_nobody_is_wrongly_named(name: str):
    errors = binary(CROWDS[name])
    covered, n_wrong = [], []
    for share, per_task, n_tasks in SETTINGS:
        truth, shares = truths(errors, [share, 1.0 - share]), [share, 1.0 - share]
        hits = np.zeros(truth.shape)
        n_wrong.append(0)
        for seed in range(N_RUNS):
            held, wrong = judge(crowd(errors, shares, per_task, n_tasks, seed), truth)
            hits += held
            n_wrong[-1] += wrong
        covered.append(hits / N_RUNS)

    if N_RUNS < 100:  # a few runs tell about all settings together
        covered, n_wrong = [np.mean(covered, axis=0)], [sum(n_wrong) / len(SETTINGS)]
    assert np.min(covered) >= (0.90 if N_RUNS >= 100 else 0.80)
    assert np.mean(covered) >= 0.95
    assert max(n_wrong) <= 0.05 * N_RUNS


def test_three_and_four_labels_hold_too():
    rng = np.random.default_rng(0)
    covered, n_wrong, n = [], 0, max(N_RUNS // 3, 1)
    for shares in ([0.85, 0.1, 0.05], [0.5, 0.3, 0.15, 0.05]):
        k = len(shares)
        right = rng.choice([0.85, 0.9, 0.97], (6, k))
        errors = np.repeat(((1.0 - right) / (k - 1))[:, :, None], k, axis=2)
        errors[:, np.arange(k), np.arange(k)] = right
        truth = truths(errors, shares)
        for per_task, seed in itertools.product((2, 3), range(n)):
            held, wrong = judge(crowd(errors, shares, per_task, 1000, seed), truth)
            covered.append(held.mean())
            n_wrong += wrong

    assert np.mean(covered) >= 0.93
    assert n_wrong <= 0.05 * len(covered)


def test_who_is_surely_bad_or_misses_the_rare_label_is_named():
    careless = binary(((0.55, 0.55), *GOOD))
    blind = binary(((0.99, 0.40), *GOOD))

    pause = [advise_pause(row, below=0.7) for row in against_others(crowd(careless, [0.7, 0.3], 2, 1500, 1))]
    weakest = [row.weakest_label for row in against_others(crowd(blind, [0.8, 0.2], 3, 1500, 1))]

    assert [bool(text) for text in pause] == [True, *[False] * 5]
    assert weakest == [1, *[None] * 5]


@pytest.mark.parametrize("agree", [0, 1])
def test_of_two_people_nobody_knows_who_is_right(agree: int):
    records, note = compare_people(pairs((0, 1, agree, 0), n=200), gold=None)

    assert note == ""
    for record in records:
        assert (record.compared, record.accuracy.low, record.accuracy.high) == (0, 0.0, 1.0)
        assert math.isnan(record.accuracy.value)
        assert "only two people" in record.reason
        assert record.weakest_label is None
        assert advise_pause(record, below=0.99) == ""


def test_a_third_person_with_few_tasks_does_not_settle_who_is_right():
    votes = pairs((0, 1, 0, 0), n=200)
    few = Votes([*votes.tasks, 0, 1, 2], [*votes.people, 2, 2, 2], [*votes.labels, 0, 1, 1])

    first, second, _ = against_others(few)

    for record in (first, second):
        assert record.accuracy.high - record.accuracy.low > 0.5
        assert "do not tell" in record.reason
        assert advise_pause(record, below=0.9) == ""


def test_people_in_a_chain_are_not_known_better_than_their_pairs():
    votes = pairs((0, 1, 1, 0), (1, 2, 1, 0), n=300)
    wrong = np.where((votes.people == 0) & (votes.tasks % 4 == 0), 1 - votes.labels, votes.labels)

    records = against_others(Votes(votes.tasks, votes.people, wrong))

    assert not any(advise_pause(record, below=0.9) for record in records[1:])
    assert all(record.weakest_label is None for record in records)


def test_two_votes_a_task_do_not_tell_about_a_rare_label_and_say_so():
    for record in against_others(crowd(binary(CROWDS["good"]), [0.95, 0.05], 2, 1500, 2)):
        assert record.unclear_labels == (1,)
        assert math.isnan(record.by_label[1].value)
        assert record.accuracy.high - record.accuracy.low < 0.15


def test_one_answer_that_everybody_gives_tells_nothing():
    votes = Votes(np.repeat(np.arange(50), 3), np.tile([0, 1, 2], 50), np.zeros(150, dtype=int))

    assert all(math.isnan(record.accuracy.value) for record in against_others(votes))


def test_the_order_of_votes_changes_nothing():
    votes = crowd(binary(CROWDS["mixed"]), [0.9, 0.1], 2, 300, 3)
    mixed = votes.select(np.random.default_rng(0).permutation(len(votes)))

    first, second = accuracy_intervals(votes), accuracy_intervals(mixed)

    assert first.low == pytest.approx(second.low, abs=1e-6)
    assert first.family_high == pytest.approx(second.family_high, abs=1e-6)


def test_em_runs_to_convergence():
    votes = crowd(binary(CROWDS["good"]), [0.95, 0.05], 2, 1500, 5)

    fit = fit_modes(votes, slack=3.84)

    assert fit.converged.all()
    assert accuracy_intervals(votes).converged


def test_thousands_of_labels_are_left_out_with_a_sentence():
    labels: Ints = np.arange(6000) // 2
    votes = Votes(np.arange(6000) // 2, np.arange(6000) % 5, labels)

    with pytest.raises(VotesError, match="3,000 different answers are too many"):
        accuracy_intervals(votes)
    records, note = compare_people(votes, gold=None)
    assert records == ()
    assert "too many" in note


@pytest.mark.timed
def test_a_hundred_thousand_tasks_take_seconds():
    k, n_people = 10, 50
    errors = np.full((n_people, k, k), 0.05 / (k - 1))
    errors[:, np.arange(k), np.arange(k)] = 0.95
    votes = crowd(errors, [1.0 / k] * k, 3, 100_000, 0)
    began_s = time.process_time()

    found = accuracy_intervals(votes)

    assert time.process_time() - began_s < 20.0
    assert found.converged
    assert (found.high[:, -1] - found.low[:, -1]).max() < 0.3
