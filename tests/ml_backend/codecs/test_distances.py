"""The distances of texts, orders, dates and intervals, against worked values and plain definitions."""

from __future__ import annotations

import time
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ml_backend.codecs import answer_distance, decode_result
from ml_backend.codecs.textarea import text_distance
from ml_backend.records import Answer


def plain_edit_distance(a: str, b: str) -> int:
    """The recurrence of Levenshtein (1966), row by row."""
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        above, row[0] = row[:], i
        for j, other in enumerate(b, start=1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != other))
    return row[-1]


@given(some.text("abc", max_size=80), some.text("abc", max_size=80))
def test_texts_differ_by_their_edits(a: str, b: str):
    expected = plain_edit_distance(a, b) / max(len(a), len(b), 1)

    assert text_distance(a, b) == text_distance(b, a) == pytest.approx(expected, abs=1e-12)


def test_long_texts_are_compared_in_a_moment_and_longer_ones_by_what_they_share():
    start = time.perf_counter()

    assert text_distance("ab" * 9_000, "ba" * 9_000) == pytest.approx(2 / 18_000)
    assert text_distance("same " + "x" * 400_000, "same " + "y" * 400_000) == pytest.approx(400_000 / 400_005)
    assert time.perf_counter() - start < 3.0


def ranked(*items: str, **buckets: tuple[str, ...]) -> Answer:
    return Answer("ranker", tuple(sorted({**({"r": items} if items else {}), **buckets}.items())))


@given(some.permutations("abcde"), some.permutations("abcde"))
def test_orders_of_the_same_items_differ_by_the_share_of_turned_pairs(a: list[str], b: list[str]):
    turned = sum((a.index(x) < a.index(y)) != (b.index(x) < b.index(y)) for x, y in combinations("abcde", 2))

    assert answer_distance(ranked(*a), ranked(*b)) == pytest.approx(turned / 10)


def test_items_in_other_buckets_count_before_their_order():
    best = ranked(good=("a", "b"), bad=("c", "d"))

    assert answer_distance(best, ranked(good=("a", "b"), bad=("d", "c"))) == pytest.approx(0.5)
    assert answer_distance(best, ranked(good=("c", "d"), bad=("a", "b"))) == 1.0
    assert answer_distance(best, ranked(good=("a", "b", "c"), bad=("d",))) == pytest.approx(1 - 3 / 5)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("2024-01-02", "2024-01-03", 0.5),
        ("2024-01-02T00:00", "2024-01-02T01:00", 1 / 25),
        ("2024-01-02T10:00+00:00", "2024-01-02T11:00+01:00", 1e-6),
        ("10:00", "11:00", 1 / 25),
        ("2023", "2024", 365 / 366),
        ("in May", "in June", 4 / 7),  # no ISO dates
        ("2024-01-02", "02.01.2024", 6 / 10),
    ],
)
def test_dates_differ_by_their_days(a: str, b: str, distance: float):
    found = answer_distance(Answer("datetime", a), Answer("datetime", b))

    assert found == pytest.approx(distance, rel=1e-6)


def test_spans_are_compared_by_their_characters_however_they_are_cut():
    whole, cut = Answer("labels", ((0, 9, "A"),)), Answer("labels", ((0, 5, "A"), (5, 9, "A")))
    half = Answer("labels", ((0, 9, "A"), (0, 9, "B")))

    assert answer_distance(whole, cut) == 1e-6
    assert answer_distance(whole, half) == pytest.approx(1 - 2 * 9 / 27)


def test_spans_of_a_dialogue_are_compared_turn_by_turn():
    one, later, other_turn = (
        Answer("paragraphlabels", (span,)) for span in ((1, 0, 1, 10, "A"), (1, 5, 1, 15, "A"), (2, 0, 2, 10, "A"))
    )

    assert answer_distance(one, later) == pytest.approx(0.5)
    assert answer_distance(one, other_turn) == 1.0


def test_the_last_frame_of_a_video_belongs_to_its_range():
    one, next_one, both = (Answer("timelinelabels", (span,)) for span in ((5, 5, "A"), (6, 6, "A"), (5, 6, "A")))

    assert answer_distance(one, next_one) == 1.0
    assert answer_distance(one, both) == 0.5


def test_times_as_texts_are_compared_as_times_and_other_texts_as_they_are():
    def read(start: object, end: object) -> Answer:
        value = {"start": start, "end": end, "instant": False, "timeserieslabels": ["A"]}
        return decode_result([{"from_name": "c", "type": "timeserieslabels", "value": value}]).answers["c"]

    morning, day = read("2024-01-02 06:00", "2024-01-02 12:00"), read("2024-01-02 00:00", "2024-01-02 12:00")

    assert answer_distance(morning, day) == 0.5
    assert answer_distance(read("1 May", "3 May"), read("1 May", "4 May")) == 1.0
    assert answer_distance(read(5, 5), read(5, 5)) == 0.0  # an instant
