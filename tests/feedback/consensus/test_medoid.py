"""The medoid of answers with a distance."""

import numpy as np
import pytest

from feedback.consensus.medoid import medoid
from feedback.consensus.region_fusion import fuse_spans
from ml_backend.codecs import get_codec
from ml_backend.records import Answer


def spans(*regions):
    return Answer("labels", tuple(sorted(regions)))


def test_the_medoid_is_one_of_the_answers_and_says_how_near_the_others_are():
    answers = [Answer("taxonomy", (path,)) for path in (("A", "x"), ("A", "x"), ("A", "y"), ("B", "z"))]

    found = medoid(answers, get_codec("taxonomy").distance)

    assert found.answer == answers[0]
    assert found.support == pytest.approx(1 - (0 + 2 / 3 + 1) / 3)
    assert medoid(answers[:1], get_codec("taxonomy").distance).support == 1.0


def test_the_order_of_the_answers_changes_neither_medoid_nor_fusion():
    rng = np.random.default_rng(7)
    for _ in range(20):
        drawn = [
            spans(*{(int(at), int(at + size), "PER") for at, size in zip(*rng.integers(1, 9, (2, 3)), strict=True)})
            for _ in range(5)
        ]
        shuffled = [drawn[at] for at in rng.permutation(5)]
        first, second = (medoid(answers, get_codec("labels").distance) for answers in (drawn, shuffled))

        assert (first.answer, first.support) == (second.answer, second.support)
        assert [f.region for f in fuse_spans(drawn, keep=0.3)] == [f.region for f in fuse_spans(shuffled, keep=0.3)]


def test_a_reliable_person_outweighs_two_careless_ones():
    answers = [Answer("rating", 5), Answer("rating", 1), Answer("rating", 1)]

    assert medoid(answers, get_codec("rating").distance).answer.value == 1
    assert medoid(answers, get_codec("rating").distance, weights=[0.95, 0.3, 0.3]).answer.value == 5
