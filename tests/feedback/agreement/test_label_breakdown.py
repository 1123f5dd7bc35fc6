"""Agreement by label, group and pair of people, and its interpretation."""

import numpy as np
import pytest

from feedback.agreement import cohen_kappa, percent_agreement
from feedback.agreement.cohen_kappa import pairwise_kappa
from feedback.agreement.interpretation import interpret_agreement
from feedback.agreement.label_breakdown import label_confusions, most_disputed, per_group_agreement, per_label_agreement
from feedback.votes import Votes
from tests.support.published import FLEISS_1971, PARADOX_2002, from_contingency, from_counts


def crowd(right=(0.9, 0.9, 0.9, 0.34), n=200, k=3, seed=0):
    """Everybody votes on every task; the truth, and how often each person sees it."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    sees = rng.random((n, len(right))) < right
    labels = np.where(sees, truth[:, None], rng.integers(0, k, (n, len(right))))
    return Votes(np.repeat(np.arange(n), len(right)), np.tile(np.arange(len(right)), n), labels.ravel())


def test_agreement_by_label_is_fleiss_published_one():
    found = [figure.value for figure in per_label_agreement(from_counts(FLEISS_1971))]

    assert found == pytest.approx([0.24475524, 0.24475524, 0.52, 0.47112727, 0.56611781], abs=1e-8)


def test_agreement_before_and_after_a_change_of_the_guideline():
    before, after = crowd(right=(0.6, 0.6, 0.6)), crowd(right=(0.95, 0.95, 0.95), seed=1)
    both = Votes(
        np.concatenate([before.tasks, after.tasks + 200]),
        np.concatenate([before.people, after.people]),
        np.concatenate([before.labels, after.labels]),
    )

    found = per_group_agreement(both, np.repeat([0, 1], 200), measure=percent_agreement)

    assert found[0].high < found[1].low


def test_the_pair_of_labels_that_people_confuse_is_found():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    mixed = np.where((truth[:, None] > 0) & (rng.random((300, 2)) < 0.3), 3 - truth[:, None], truth[:, None])
    votes = Votes(np.repeat(np.arange(300), 2), np.tile([0, 1], 300), mixed.ravel())

    shares = label_confusions(votes)

    assert shares[1, 2] == 1.0
    assert interpret_agreement(votes, ["none", "offensive", "hate"]).confused == ("offensive", "hate", 1.0)


def test_the_most_disputed_tasks_come_first():
    votes = Votes(
        [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3], [0, 1, 2] * 2 + [0, 1] + [0, 1, 2], [0, 0, 0, 0, 1, 2, 0, 1, 0, 0, 1]
    )

    assert most_disputed(votes).tolist() == [1, 2, 3]


def test_the_matrix_holds_the_kappa_of_every_two_people():
    votes = crowd()
    found = pairwise_kappa(votes)

    place = {int(person): row for row, person in enumerate(found.people)}
    pair = votes.select(votes.people < 2)
    assert found.kappa[place[0], place[1]] == pytest.approx(cohen_kappa(pair).value, abs=1e-12)
    assert found.low[place[0], place[1]] == pytest.approx(cohen_kappa(pair).low, abs=1e-9)
    assert (found.shared[~np.eye(4, dtype=bool)] == 200).all()


def test_the_careless_person_stands_out_of_the_matrix():
    found = pairwise_kappa(crowd())
    careless = found.people == 3

    assert (
        found.high[careless][:, ~careless].max() < found.low[np.ix_(~careless, ~careless)][~np.eye(3, dtype=bool)].min()
    )


def test_the_kappa_of_two_people_who_share_a_few_items_is_not_certain():
    rng, inside = np.random.default_rng(0), []
    for _ in range(300):
        sees = rng.random((8, 2)) < 0.8
        answers = np.where(sees, rng.integers(0, 3, (8, 1)), rng.integers(0, 3, (8, 2)))
        found = pairwise_kappa(Votes(np.repeat(np.arange(8), 2), np.tile([0, 1], 8), answers.ravel(), n_labels=3))
        inside.append(found.low[0, 1] <= 0.8**2 <= found.high[0, 1])
    alike = pairwise_kappa(Votes(np.repeat(np.arange(5), 2), np.tile([0, 1], 5), np.repeat([0, 1, 0, 1, 1], 2)))

    assert np.mean(inside) > 0.93
    assert (alike.kappa[0, 1], alike.high[0, 1]) == (1.0, 1.0)
    assert alike.low[0, 1] < 0.2


def test_the_matrix_shows_those_with_most_votes():
    votes = crowd(right=(0.8,) * 6)
    fewer = votes.select((votes.people < 4) | (votes.tasks < 100))

    assert sorted(pairwise_kappa(fewer, max_people=4).people.tolist()) == [0, 1, 2, 3]


def test_low_agreement_on_drawn_items_says_that_the_definition_is_unclear():
    found = interpret_agreement(crowd(right=(0.5, 0.5, 0.5), n=310), ["a", "b", "c"])

    assert found.clear is False
    assert "on 310 items: below 0.6, the task definition is unclear." in str(found)
    assert len(found.open_first) == 10


def test_items_chosen_because_they_are_hard_are_shown_and_not_judged():
    found = interpret_agreement(crowd(right=(0.5, 0.5, 0.5)), ["a", "b", "c"], drawn=False)

    assert found.clear is None
    assert "unclear" not in str(found)


def test_few_items_are_not_judged():
    assert interpret_agreement(crowd(n=12), ["a", "b", "c"]).clear is None


def test_high_agreement_is_clear():
    found = interpret_agreement(crowd(right=(0.97, 0.97, 0.97)), ["a", "b", "c"])

    assert found.clear is True
    assert "alike" in str(found)


def test_the_paradox_is_explained_and_not_hidden():
    votes = from_contingency(PARADOX_2002)
    found = interpret_agreement(votes, ["no", "yes"], coefficient=cohen_kappa(votes))

    assert found.clear is None
    assert "People agree on 94% of the pairs, and no is 97% of all votes" in str(found)
    assert "cohen -0.023" in str(found)
    assert "unclear" not in str(found)
    assert "0.941" in str(found)


def test_one_label_alone_says_why_nothing_can_be_computed():
    found = interpret_agreement(Votes([0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]), ["only"])

    assert found.clear is None
    assert "chance alone explains that" in str(found)
