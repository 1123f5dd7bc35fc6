"""Every codec that we ship keeps the contract; one that does not is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ml_backend.codecs import decode_result, get_codec
from ml_backend.codecs.rating import Rating
from ml_backend.label_config import Control
from ml_backend.plugins import CODECS
from ml_backend.records import Answer
from ml_backend.testing import ContractBroken, check_codec

LABELS = some.sampled_from(["A", "B", "Ünïcode", "a/b"])
PLACES = some.floats(0, 90, allow_subnormal=False).map(lambda place: round(place, 6))
SIDES = some.floats(0.5, 40).map(lambda side: round(side, 6))


def sets(items, most=4):
    return some.sets(items, min_size=1, max_size=most).map(lambda chosen: tuple(sorted(chosen)))


def answers(kind, value):
    return some.lists(value.map(lambda made: Answer(kind, made)), min_size=2, max_size=5, unique=True)


spans = some.tuples(some.integers(0, 50), some.integers(1, 20), LABELS).map(lambda s: (s[0], s[0] + s[1], s[2]))
flat = some.tuples(PLACES, PLACES, SIDES, SIDES, some.just(0.0), some.just(1.0), LABELS)
turned = some.tuples(PLACES, PLACES, SIDES, SIDES, some.sampled_from([15.0, 90.0]), some.just(1.5), LABELS)
VALUES = {
    "choices": sets(LABELS),
    "labels": sets(spans),
    "number": some.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0),
    "pairwise": some.sampled_from(["left", "right"]),
    "rating": some.integers(0, 10),
    "rectanglelabels": sets(some.one_of(flat, turned)),
    "taxonomy": sets(some.lists(LABELS, min_size=1, max_size=3).map(tuple)),
}


def control(kind):
    return Control("c", "one,two", kind, ("A", "B"), True, "text", "text")


@pytest.mark.parametrize("kind", sorted(CODECS))
def test_a_codec_keeps_the_contract(kind):
    @given(answers(kind, VALUES[kind]))
    def keeps(examples):
        check_codec(get_codec(kind), examples, control(kind))

    keeps()


class Forgetful(Rating):
    def encode(self, answer, control, score):
        return super().encode(Answer("rating", 1), control, score)


class Lopsided(Rating):
    def distance(self, a, b):
        return 0.0 if a == b else (0.5 if a.value < b.value else 0.7)


class Boundless(Rating):
    def distance(self, a, b):
        return float(abs(a.value - b.value))


class Constant(Rating):
    def distance(self, a, b):
        return 0.0


class Trusting(Rating):
    def decode(self, regions):
        return Answer("rating", regions[0]["value"]["rating"])


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (Forgetful, "decode reads what encode writes"),
        (Lopsided, "symmetric"),
        (Boundless, r"lies in \[0, 1\]"),
        (Constant, "only equal answers"),
        (Trusting, "garbage raises CodecError"),
    ],
)
def test_the_check_names_the_promise_that_a_codec_breaks(broken, promise):
    with pytest.raises(ContractBroken, match=promise):
        check_codec(broken(), [Answer("rating", 1), Answer("rating", 5)], control("rating"))


def test_an_unreadable_control_does_not_affect_others():
    stars = {"from_name": "r", "to_name": "t", "type": "rating", "value": {"rating": 4}}
    broken = {"from_name": "n", "to_name": "t", "type": "number", "value": {"number": "many"}}

    read = decode_result([stars, broken])

    assert read.answers == {"r": Answer("rating", 4)}
    assert read.problems == ("control n: number is 'many', wanted a number",)
