"""Dawid-Skene against the paper of 1979, and the guards of what is built on it."""

import numpy as np
import pytest

from feedback.consensus import (
    dawid_skene,
    hierarchical_dawid_skene,
    majority_vote,
    one_coin_dawid_skene,
    sparse_votes,
    weighted_vote,
)
from feedback.consensus.sparse_votes import LabelSums, TaskGroups, VoteMatrix
from feedback.errors import VotesError
from feedback.votes import Votes
from tests.support.published import DAWID_SKENE_1979

LABELS_1979 = [
    *(1, 4, 2, 2, 2, 2, 1, 3, 2, 2, 4, 3, 1, 2, 1, 1, 1, 1, 2, 2, 2, 2, 2),
    *(2, 1, 1, 2, 1, 1, 1, 1, 3, 1, 2, 2, 4, 2, 3, 3, 1, 1, 1, 2, 1, 2),
]


def votes_1979():
    rows = [
        (patient, observer, int(label) - 1)
        for patient, answers in enumerate(DAWID_SKENE_1979)
        for observer, labels in enumerate(answers)
        for label in labels
    ]
    return Votes(*np.transpose(rows))


def crowd(right, n=400, k=3, per_task=None, seed=0):
    """Votes of people with these chances to see the truth; the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    people = np.array([rng.choice(len(right), per_task or len(right), replace=False) for _ in range(n)])
    sees = rng.random(people.shape) < np.array(right)[people]
    labels = np.where(sees, truth[:, None], rng.integers(0, k, people.shape))
    tasks = np.repeat(np.arange(n), people.shape[1])
    return Votes(tasks, people.ravel(), labels.ravel(), n, len(right), k), truth


def test_the_paper_of_1979_is_reproduced():
    fit = dawid_skene(votes_1979(), tolerance=1e-9, max_rounds=500)

    assert (fit.labels + 1).tolist() == LABELS_1979
    assert fit.prior == pytest.approx([0.3996, 0.4217, 0.112, 0.0667], abs=5e-4)
    assert fit.errors[0] == pytest.approx(
        np.array([[0.8895, 0.1105, 0, 0], [0.0706, 0.8764, 0.053, 0], [0, 0.3401, 0.6599, 0], [0, 0, 0.5556, 0.4444]]),
        abs=2e-3,
    )
    assert fit.proba[6] == pytest.approx([0.981, 0.019, 0, 0], abs=1e-2)
    assert fit.proba[34] == pytest.approx([0, 0.9395, 0.0605, 0], abs=1e-2)
    assert fit.proba[37] == pytest.approx([0, 0.0183, 0.9817, 0], abs=1e-2)


def test_few_good_people_outvote_many_careless_ones():
    votes, truth = crowd([0.95, 0.95, 0.1, 0.1, 0.1, 0.1, 0.1])

    plain, learnt = majority_vote(votes), dawid_skene(votes)

    assert (learnt.labels == truth).mean() > 0.95 > (plain.labels == truth).mean()


def test_someone_who_always_mistakes_one_label_for_another_still_teaches():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 300)
    answers = np.stack([np.where(rng.random(300) < 0.7, truth, 1 - truth), truth, 1 - truth, 1 - truth, truth], axis=1)
    votes = Votes(np.repeat(np.arange(300), 5), np.tile(np.arange(5), 300), answers.ravel())

    fit = dawid_skene(votes)

    assert max((fit.labels == truth).mean(), (fit.labels != truth).mean()) > 0.99


def test_pooling_helps_where_people_give_few_votes():
    gains = []
    for seed in range(5):
        votes, truth = crowd([0.75] * 120, n=300, k=4, per_task=3, seed=seed)
        gains.append(
            (hierarchical_dawid_skene(votes).labels == truth).mean() - (dawid_skene(votes).labels == truth).mean()
        )

    assert np.mean(gains) > 0.02


def test_known_answers_are_kept_and_teach_about_people():
    votes, truth = crowd([0.6, 0.6, 0.6, 0.2, 0.2], seed=2)
    known = np.where(np.arange(400) < 200, truth, -1)

    fit = dawid_skene(votes, gold=known)

    assert (fit.labels[:200] == truth[:200]).all()
    assert (fit.labels[200:] == truth[200:]).mean() >= (dawid_skene(votes).labels[200:] == truth[200:]).mean()


def test_a_warm_start_ends_where_a_cold_one_does_and_sooner():
    votes, _ = crowd([0.8, 0.7, 0.7, 0.6], seed=3)
    cold = hierarchical_dawid_skene(votes, tolerance=1e-8)

    warm = hierarchical_dawid_skene(votes, start=cold.proba, tolerance=1e-8, max_rounds=3)

    assert (warm.labels == cold.labels).all()
    assert warm.proba == pytest.approx(cold.proba, abs=1e-3)


def test_a_prior_per_task_decides_where_votes_are_even():
    votes = Votes([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 0, 1])
    prior = np.array([[0.9, 0.1], [0.1, 0.9]])

    assert hierarchical_dawid_skene(votes, prior=prior).labels.tolist() == [0, 1]


def test_a_task_without_votes_has_no_label_and_disturbs_nothing():
    votes, _ = crowd([0.8, 0.8, 0.8], n=50)
    wider = Votes(votes.tasks, votes.people, votes.labels, 60, 3, 3)

    fit, plain = hierarchical_dawid_skene(wider), hierarchical_dawid_skene(votes)

    assert fit.labels[50:].tolist() == [-1] * 10
    assert fit.proba[:50] == pytest.approx(plain.proba, abs=1e-9)
    assert fit.errors == pytest.approx(plain.errors, abs=1e-9)


@pytest.mark.parametrize(
    "method", [majority_vote, dawid_skene, hierarchical_dawid_skene, one_coin_dawid_skene, weighted_vote]
)
def test_every_method_gives_rows_that_sum_to_one_and_repeats(method):
    votes, _ = crowd([0.8, 0.7, 0.6, 0.5], n=80)

    first, second = method(votes), method(votes)

    assert first.proba.sum(axis=1) == pytest.approx(1.0)
    assert (first.proba >= 0).all()
    assert (first.proba == second.proba).all()
    assert first.proba.shape == (80, 3)


@pytest.mark.parametrize(
    "method", [majority_vote, dawid_skene, hierarchical_dawid_skene, one_coin_dawid_skene, weighted_vote]
)
def test_one_label_alone_is_certain(method):
    answers = method(Votes([0, 0, 1], [0, 1, 0], [0, 0, 0]))

    assert answers.labels.tolist() == [0, 0]
    assert answers.proba.tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("method", [one_coin_dawid_skene, weighted_vote])
def test_one_figure_per_person_finds_the_good_ones(method):
    votes, truth = crowd([0.95, 0.9, 0.2, 0.2, 0.2])

    assert (method(votes).labels == truth).mean() > (majority_vote(votes).labels == truth).mean() + 0.01


def test_a_one_coin_fit_that_overrules_clear_majorities_is_replaced_by_them():
    # one person answers everything at random and agrees by luck with a clique that always says the first label
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    clique = np.zeros((300, 2), dtype=int)
    fair = np.where(rng.random((300, 6)) < 0.62, truth[:, None], rng.integers(0, 3, (300, 6)))
    votes = Votes(np.repeat(np.arange(300), 8), np.tile(np.arange(8), 300), np.hstack([clique, fair]).ravel())

    given = one_coin_dawid_skene(votes)

    assert (given.labels == truth).mean() >= (majority_vote(votes).labels == truth).mean() - 0.01


def test_nobody_weighs_less_than_nothing():
    votes, _ = crowd([0.9, 0.9, 0.9, 0.0], k=2)
    contrary = Votes(votes.tasks, votes.people, np.where(votes.people == 3, 1 - votes.labels, votes.labels))

    skill = one_coin_dawid_skene(contrary).errors[3, 0, 0]

    assert skill >= 0.5


def test_an_error_matrix_that_would_not_fit_is_refused_with_what_does():
    votes = Votes([0], [0], [0], n_people=10_000, n_labels=200)

    with pytest.raises(VotesError, match="too many error rates") as refused:
        dawid_skene(votes)
    assert "one_coin" in refused.value.hint


def test_one_figure_per_person_takes_no_matrix_where_that_would_not_fit():
    votes = Votes([0, 0, 1], [0, 1, 0], [0, 0, 1], n_people=5_000_000, n_labels=4)

    answers = one_coin_dawid_skene(votes)

    assert (answers.labels.tolist(), answers.errors) == ([0, 1], None)


def test_sparse_tables_count_what_loops_count():
    votes, _ = crowd([0.8, 0.5, 0.6], n=30)
    weights, proba = np.array([1.0, 2.0, 0.5]), np.random.default_rng(0).dirichlet(np.ones(3), 30)
    by_label, sums, counts = np.zeros((30, 3)), np.zeros(3), np.zeros((3, 3, 3))
    for task, person, label in zip(votes.tasks, votes.people, votes.labels, strict=True):
        by_label[task, label] += weights[person]
        sums[person] += proba[task, label]
        counts[person, label] += proba[task]

    assert LabelSums(votes).by_label(weights) == pytest.approx(by_label)
    assert LabelSums(votes).by_person(proba) == pytest.approx(sums)
    assert VoteMatrix.build(votes).expected_counts(proba) == pytest.approx(counts)


@pytest.mark.parametrize(
    "method", [majority_vote, dawid_skene, hierarchical_dawid_skene, one_coin_dawid_skene, weighted_vote]
)
def test_equal_tasks_as_one_row_give_what_each_of_them_alone_gives(method):
    for seed, k in ((0, 2), (1, 3)):
        every, _ = crowd([0.9, 0.8, 0.6, 0.4], n=500, k=k, seed=seed)
        some = every.select(np.random.default_rng(seed).random(len(every)) < 0.6)
        groups = TaskGroups.build(some)

        alone, grouped = method(some), method(groups.votes).take(groups.of_task)

        assert groups.votes.n_tasks < 300
        assert grouped.method == alone.method
        assert (grouped.labels == alone.labels).all()
        assert grouped.proba == pytest.approx(alone.proba, abs=1e-9)
        assert (grouped.support == alone.support).all()


def test_tasks_whose_hashes_collide_are_not_taken_as_equal(monkeypatch):
    votes, _ = crowd([0.9, 0.8, 0.6], n=40, k=2)
    monkeypatch.setattr(sparse_votes, "_MULTIPLIERS", np.zeros(2, dtype=np.uint64))

    groups = TaskGroups.build(votes)

    assert groups.of_task.tolist() == list(range(40))
    assert hierarchical_dawid_skene(groups.votes).labels.tolist() == hierarchical_dawid_skene(votes).labels.tolist()
