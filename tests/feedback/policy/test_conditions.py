"""A condition has the same result for one task and for a table."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.policy.conditions import (
    ALWAYS,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Not,
    Operator,
    Table,
    condition_fields,
    evaluate,
    first_match,
    meets,
)
from tests.support.hypothesis_profiles import examples

FIELDS = ("a", "b", "c")
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-3, 3),
    st.sampled_from(["", "x", "xy", "1", "1.0", "2", "nan", "1e1", "True", "2026-01-01"]),
)
VALUES = st.one_of(
    st.none(),
    SCALARS,
    st.just(float("nan")),
    st.just(float("inf")),
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.just("k"), SCALARS, max_size=1),
)


def compares() -> st.SearchStrategy[Condition]:
    numbers_or_texts = st.one_of(st.integers(-3, 3), st.floats(-3, 3), st.sampled_from(["x", "1", "2026"]))
    fields = st.sampled_from(FIELDS)
    return st.one_of(
        st.builds(Compare, fields, st.sampled_from(["eq", "ne", "contains"]), SCALARS),
        st.builds(Compare, fields, st.sampled_from(["gt", "gte", "lt", "lte"]), numbers_or_texts),
        st.builds(Compare, fields, st.sampled_from(["in", "not_in"]), st.lists(SCALARS, max_size=3).map(tuple)),
        st.builds(Compare, fields, st.just("exists"), st.booleans()),
        st.builds(Compare, fields, st.just("matches"), st.just(lambda text: "x" in text)),
    )


CONDITIONS = st.recursive(
    compares(),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
ROWS = st.lists(st.fixed_dictionaries(dict.fromkeys(FIELDS, VALUES)), max_size=8)


def table_of(rows: Sequence[dict[str, Any]]) -> Table:
    return Table(len(rows), lambda field: [row.get(field) for row in rows])


def one_by_one(rules: Sequence[Condition], rows: Sequence[dict[str, Any]]) -> list[int]:
    return [next((place for place, rule in enumerate(rules) if meets(rule, row.get)), -1) for row in rows]


@pytest.mark.slow
@settings(max_examples=examples(400), deadline=None)
@given(st.lists(CONDITIONS, max_size=5), ROWS)
def test_a_table_and_single_tasks_meet_the_same_rules(rules: list[Condition], rows: list[dict[str, Any]]):
    assert first_match(rules, table_of(rows)).tolist() == one_by_one(rules, rows)


@pytest.mark.parametrize(
    ("value", "operator", "operand", "expected"),
    [
        (5000, "gte", 5000, True),
        ("6000", "gte", 5000, True),  # imported as text
        ("6,000", "gte", 5000, False),  # is no number
        (True, "gte", 1, False),
        (None, "lt", 5, False),
        (float("nan"), "lt", 5, False),
        (None, "ne", "gold", False),  # a test on what is missing says no
        ("new", "ne", "gold", True),
        (1, "eq", True, False),
        ("1", "eq", 1, True),
        (1, "eq", "1", False),
        (["de", "en"], "contains", "de", True),
        ("deen", "contains", "de", True),
        ({"de": 1}, "contains", "de", False),
        (3, "in", ("x", 3), True),
        (None, "not_in", ("x",), False),
        (None, "exists", False, True),
        (float("nan"), "exists", True, False),
        ("", "exists", True, True),
        ("2026-11-20", "lt", "2026-12-01", True),
    ],
)
def test_the_result_of_a_comparison(value: object, operator: Operator, operand: object, expected: bool):
    compare = Compare("a", operator, operand)

    assert meets(compare, {"a": value}.get) is expected
    assert evaluate(compare, table_of([{"a": value}])).tolist() == [expected]


def test_not_is_true_for_a_missing_value():
    assert meets(Not(Compare("a", "gte", 0.9)), {}.get)


def test_the_first_rule_decides_and_the_last_takes_the_rest():
    rules = [Compare("a", "gt", 5), Compare("a", "gt", 3), ALWAYS]

    assert first_match(rules, table_of([{"a": 9}, {"a": 4}, {"a": 1}, {}])).tolist() == [0, 1, 2, 2]


def test_a_table_takes_arrays_and_may_be_empty():
    confident = Table(3, lambda _: np.array([0.2, 0.9, np.nan]))

    assert evaluate(Compare("p", "gte", 0.5), confident).tolist() == [False, True, False]
    assert first_match([Compare("p", "eq", 1), ALWAYS], Table(0, lambda _: [])).tolist() == []


def test_a_column_is_read_once():
    asked: list[str] = []

    def column(field: str) -> list[int]:
        asked.append(field)
        return [1, 2]

    table = Table(2, column)
    first_match([Compare("a", "gt", 1), Compare("a", "eq", 1), Compare("a", "in", (1, 2))], table)

    assert asked == ["a"]


def test_the_fields_of_a_condition_are_listed():
    assert condition_fields(AllOf((Compare("a", "gt", 1), Not(AnyOf((Compare("b", "eq", 1),)))))) == {"a", "b"}


@pytest.mark.timed
def test_100_000_tasks_pass_20_rules_in_a_second():
    rng = random.Random(1)
    rows = [
        {
            "amount": rng.randrange(10_000),
            "p": rng.random(),
            "standing": rng.choice(["new", "gold", "watch", None]),
            "text": f"task {number} about {rng.choice(['refunds', 'logins', 'shipping'])}",
        }
        for number in range(100_000)
    ]
    rules: list[Condition] = []
    for step in range(6):
        rules += [
            AllOf((Compare("amount", "gte", 9_900 - step), Compare("standing", "in", ("new", f"s{step}")))),
            AnyOf((Compare("p", "lt", 0.001 * step), Compare("standing", "eq", f"t{step}"))),
            AllOf((Compare("text", "matches", lambda text, n=step: f"9{n}9{n}" in text), Compare("p", "gt", 0.5))),
        ]
    rules += [Not(Compare("standing", "exists", True)), ALWAYS]
    started_s = time.process_time()
    places = first_match(rules, table_of(rows))
    took_s = time.process_time() - started_s

    assert len(rules) == 20
    assert took_s < 1.0
    sample = rng.sample(range(100_000), 2_000)
    assert places[sample].tolist() == one_by_one(rules, [rows[place] for place in sample])


@pytest.mark.parametrize("value", ["café", "cafe\u0301", "café\xa0", "\ufeffcafé"])
def test_one_text_that_is_written_in_two_ways_meets_the_same_conditions(value: str):
    for condition in (
        Compare("a", "eq", "cafe\u0301"),
        Compare("a", "in", ("tea", "café ")),
        Not(Compare("a", "ne", "café")),
    ):
        assert meets(condition, {"a": value}.get)
        assert evaluate(condition, Table(1, {"a": [value]}.__getitem__)).all()
    assert not meets(Compare("a", "eq", "Café"), {"a": value}.get)
