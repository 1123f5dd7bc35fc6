"""Agreement by label and group, and its interpretation."""

import numpy as np
import pytest

from feedback.agreement import cohen_kappa
from feedback.agreement.interpretation import (
    interpret_agreement,
    label_confusions,
    most_disputed,
    per_label_agreement,
)
from feedback.votes import Votes
from tests.feedback.agreement.test_cohen_kappa import crowd
from tests.support.published import FLEISS_1971, PARADOX_2002, from_contingency, from_counts


def test_agreement_by_label_is_fleiss_published_one():
    found = [figure.value for figure in per_label_agreement(from_counts(FLEISS_1971))]

    assert found == pytest.approx([0.24475524, 0.24475524, 0.52, 0.47112727, 0.56611781], abs=1e-8)


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


def test_low_agreement_on_drawn_items_means_that_the_definition_is_unclear():
    found = interpret_agreement(crowd(right=(0.5, 0.5, 0.5), n=310), ["a", "b", "c"])

    assert found.clear is False
    assert "on 310 items: below 0.6, the task definition is unclear." in found.text
    assert len(found.open_first) == 10


def test_items_chosen_because_they_are_hard_are_shown_and_not_judged():
    found = interpret_agreement(crowd(right=(0.5, 0.5, 0.5)), ["a", "b", "c"], drawn=False)

    assert found.clear is None
    assert "unclear" not in found.text


def test_few_items_are_not_judged():
    assert interpret_agreement(crowd(n=12), ["a", "b", "c"]).clear is None


def test_high_agreement_is_clear():
    found = interpret_agreement(crowd(right=(0.97, 0.97, 0.97)), ["a", "b", "c"])

    assert found.clear is True
    assert "alike" in found.text


def test_the_paradox_is_explained_and_not_hidden():
    votes = from_contingency(PARADOX_2002)
    found = interpret_agreement(votes, ["no", "yes"], coefficient=cohen_kappa(votes))

    assert found.clear is None
    assert "People agree on 94 % of the pairs, and no is 97 % of all votes" in found.text
    assert "cohen -0.02" in found.text
    assert "unclear" not in found.text
    assert "AC1, which allows for that, is 0.94" in found.text


def test_a_single_label_gives_the_reason_why_nothing_can_be_computed():
    found = interpret_agreement(Votes([0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]), ["only"])

    assert found.clear is None
    assert "chance alone explains that" in found.text
