"""Votes one by one: near the batch fit, edits and deletions undone exactly enough, in microseconds."""

import numpy as np
import pytest

from feedback.consensus import hierarchical
from feedback.consensus.online import OnlineDawidSkene
from feedback.errors import VotesError
from feedback.votes import Votes


def crowd(seed=0, n=600, people=20, per_task=4, k=3):
    rng = np.random.default_rng(seed)
    truth, right = rng.integers(0, k, n), rng.beta(6, 2, people)
    said_by = np.array([rng.choice(people, per_task, replace=False) for _ in range(n)])
    sees = rng.random(said_by.shape) < right[said_by]
    labels = np.where(sees, truth[:, None], rng.integers(0, k, said_by.shape))
    return Votes(np.repeat(np.arange(n), per_task), said_by.ravel(), labels.ravel(), n, people, k)


def test_votes_one_by_one_end_near_the_batch_fit():
    votes = crowd()
    first = votes.tasks < 150
    running = OnlineDawidSkene(votes.where(first), hierarchical(votes.where(first)))

    for task, person, label in zip(votes.tasks[~first], votes.people[~first], votes.labels[~first], strict=True):
        running.vote(int(task), int(person), int(label))

    rows = np.stack([running.row(task) for task in range(600)])
    assert (rows.argmax(axis=1) == hierarchical(votes).labels).mean() > 0.97
    assert rows.sum(axis=1) == pytest.approx(1.0)


def test_a_vote_taken_back_leaves_no_trace():
    votes = crowd(n=200)
    running = OnlineDawidSkene(votes, hierarchical(votes, tolerance=1e-9))
    outsider = next(one for one in range(20) if one not in votes.people[votes.tasks == 7])
    before = running.vote(7, int(votes.people[28]), int(votes.labels[28]))  # the row from the other tasks alone

    running.vote(7, outsider, 0)
    after = running.forget(7, outsider)

    assert after == pytest.approx(before, abs=1e-9)


def test_an_edit_replaces_the_vote():
    votes = crowd(n=200)
    one, other = (OnlineDawidSkene(votes, hierarchical(votes)) for _ in range(2))
    one.vote(200, 0, 1)
    edited = one.vote(200, 0, 2)

    assert edited == pytest.approx(other.vote(200, 0, 2), abs=1e-9)


def test_people_and_tasks_never_seen_before_are_taken_in():
    votes = crowd(n=50)
    running = OnlineDawidSkene(votes, hierarchical(votes))

    row = running.vote(4000, 77, 2)

    assert row.argmax() == 2
    assert running.row(9999).sum() == pytest.approx(1.0)


def test_the_last_vote_of_a_task_can_be_deleted():
    votes = crowd(n=50)
    running = OnlineDawidSkene(votes, hierarchical(votes))
    shares = running.row(60)

    running.vote(60, 3, 1)
    running.forget(60, 3)

    assert running.row(60) == pytest.approx(shares, abs=1e-9)
    assert running.forget(60, 3) == pytest.approx(shares, abs=1e-9)


def test_a_long_run_of_votes_and_deletions_stays_a_probability():
    votes = crowd(n=40, people=5, per_task=2)
    running = OnlineDawidSkene(votes, hierarchical(votes))
    rng = np.random.default_rng(1)

    for _ in range(3000):
        task, person = int(rng.integers(0, 60)), int(rng.integers(0, 8))
        row = (
            running.forget(task, person) if rng.random() < 0.4 else running.vote(task, person, int(rng.integers(0, 3)))
        )

        assert np.isfinite(row).all()
        assert row.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("vote", [(0, 0, 3), (-1, 0, 0), (0, -1, 0)])
def test_codes_out_of_range_are_refused(vote):
    votes = crowd(n=50)

    with pytest.raises(VotesError, match="codes start at 0 and there are 3 labels"):
        OnlineDawidSkene(votes, hierarchical(votes)).vote(*vote)
