"""Every codec that we ship keeps the contract; one that does not is named."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ml_backend.clean_text import clean_text
from ml_backend.codecs import answer_distance, decode_result, get_codec
from ml_backend.codecs.rating import Rating
from ml_backend.errors import CodecError
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
turns = some.tuples(some.integers(0, 3), some.integers(0, 30), some.integers(0, 2), some.integers(1, 30), LABELS).map(
    lambda s: (s[0], s[1], s[0] + s[2], s[3] + (0 if s[2] else s[1]), s[4])
)
times = some.one_of(
    sets(some.tuples(some.integers(0, 50), some.integers(0, 20), LABELS).map(lambda s: (s[0], s[0] + s[1], s[2]))),
    sets(some.tuples(some.datetimes(), some.datetimes(), LABELS).map(lambda s: (*sorted(map(str, s[:2])), s[2]))),
    sets(some.tuples(some.text(min_size=1).filter(str.strip), some.just("3 May"), LABELS)),
)
corners = some.lists(some.tuples(PLACES, PLACES), min_size=3, max_size=9).map(tuple)
masks = some.tuples(some.sets(some.integers(0, 400), min_size=2), LABELS).map(
    lambda m: (20, 20, tuple(sorted(m[0])[: len(m[0]) // 2 * 2]), m[1])
)
texts = some.text(max_size=30).map(clean_text).filter(bool)


def rankings(items):
    return some.permutations(items).flatmap(
        lambda order: some.integers(0, len(order)).map(
            lambda at: tuple((name, tuple(part)) for name, part in (("_", order[:at]), ("best", order[at:])) if part)
        )
    )


VALUES = {
    "brushlabels": sets(masks),
    "choices": sets(LABELS),
    "datetime": some.one_of(some.datetimes().map(str), some.dates().map(str), some.times().map(str), texts),
    "ellipselabels": sets(some.one_of(flat, turned)),
    "hypertextlabels": sets(spans),
    "keypointlabels": sets(some.tuples(PLACES, PLACES, LABELS)),
    "labels": sets(spans),
    "number": some.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0),
    "pairwise": some.sampled_from(["left", "right"]),
    "paragraphlabels": sets(turns),
    "polygonlabels": sets(some.tuples(corners, LABELS)),
    "ranker": rankings(["x", "y", "z", "ü"]),
    "rating": some.integers(0, 10),
    "rectanglelabels": sets(some.one_of(flat, turned)),
    "taxonomy": sets(some.lists(LABELS, min_size=1, max_size=3).map(tuple)),
    "textarea": some.lists(texts, min_size=1, max_size=3).map(tuple),
    "timelinelabels": sets(spans),
    "timeserieslabels": times,
}


def control(kind):
    return Control("c", "one,two", kind, ("A", "B"), True, "text", "text")


@pytest.mark.parametrize("kind", sorted(CODECS))
def test_a_codec_keeps_the_contract(kind):
    @settings(deadline=None)  # the first distance imports scipy
    @given(answers(kind, VALUES[kind]))
    def keeps(examples):
        check_codec(get_codec(kind), examples, control(kind))

    keeps()


JSON = some.recursive(
    some.one_of(
        some.none(),
        some.booleans(),
        some.integers(),
        some.floats(),
        some.text(max_size=5),
        some.sampled_from([-1, 0, 1, 1e308, -1e308, 10**400, float("nan"), "0", "2024-01-02", "A"]),
    ),
    lambda inner: some.one_of(
        some.lists(inner, max_size=4), some.dictionaries(some.sampled_from(["start", "end", "_", "b"]), inner)
    ),
    max_leaves=12,
)
FIELDS = [
    *("start", "end", "startOffset", "endOffset", "globalOffsets", "ranges", "x", "y", "width", "height", "rotation"),
    *("radiusX", "radiusY", "points", "rle", "text", "datetime", "ranker", "selected", "number"),
]


@pytest.mark.parametrize("kind", sorted(CODECS))
def test_any_value_is_an_answer_or_a_stated_problem_and_answers_of_it_can_be_compared(kind):
    @settings(deadline=None)
    @given(some.data())
    def holds(data):
        answers = []
        for _ in range(2):
            value = data.draw(some.dictionaries(some.sampled_from(FIELDS), JSON))
            value |= data.draw(some.sampled_from([{}, {kind: ["A"]}, {kind: [["A"]]}, {kind: 3}]))
            region = {"value": value, "original_width": data.draw(JSON), "original_height": data.draw(JSON)}
            with suppress(CodecError):
                answers.append(get_codec(kind).decode([region]))
        for one in answers:
            assert Answer.from_key(one.key) == one
            assert get_codec(kind).describe(one)
            for other in answers:
                assert 0.0 <= get_codec(kind).distance(one, other) == answer_distance(other, one) <= 1.0
            assert get_codec(kind).distance(one, one) == 0.0

    holds()


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
