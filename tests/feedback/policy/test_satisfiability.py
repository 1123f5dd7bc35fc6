"""Derived implications and contradictions hold for every value that a field may have."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest

from feedback.policy import read_policy
from feedback.policy.conditions import AllOf, AnyOf, Compare, Condition, Not, meets
from feedback.policy.field_types import Pattern
from feedback.policy.satisfiability import excludes, find_contradiction, implies

VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 1.0, 2, 5, 5.5, float("nan"), "", "1", "5", "5.0", "a", "b", "ab", "2026-01-01",
    [1], ["a", 5], {"a": 1},
)  # fmt: skip
OPERANDS: tuple[Any, ...] = (True, False, 0, 1, 2, 5, 5.5, "1", "5", "a", "ab", "2026")
ORDERS = ("gt", "gte", "lt", "lte")


def a_test(draw: random.Random) -> Compare:
    operator = draw.choice(("eq", "ne", *ORDERS, "in", "not_in", "contains", "matches", "exists"))
    field = draw.choice(("data.x", "data.x", "data.y"))
    operand: Any = draw.choice(OPERANDS)
    if operator in ORDERS:
        operand = draw.choice([row for row in OPERANDS if not isinstance(row, bool)])
    elif operator in ("in", "not_in"):
        operand = tuple(draw.sample(OPERANDS, draw.randint(1, 3)))
    elif operator == "matches":
        operand = Pattern(draw.choice(("a", "^5", "[0-9]")))
    elif operator == "exists":
        operand = draw.choice((True, False))
    return Compare(field, operator, operand)


def conditions(draw: random.Random, depth: int = 2) -> Condition:
    kind = draw.choice(("test", "test", "every", "some", "not")) if depth else "test"
    if kind == "test":
        return a_test(draw)
    if kind == "not":
        return Not(conditions(draw, depth - 1))
    parts = tuple(conditions(draw, depth - 1) for _ in range(draw.randint(1, 2)))
    return AllOf(parts) if kind == "every" else AnyOf(parts)


def met(condition: Condition) -> list[bool]:
    return [meets(condition, {"data.x": x, "data.y": y}.get) for x, y in product(VALUES, VALUES)]


def test_implications_and_contradictions_hold_for_every_value():
    draw = random.Random(7)
    found = {"implies": 0, "excludes": 0, "contradiction": 0}
    for _ in range(800):
        row, other = conditions(draw), conditions(draw)
        first, second = met(row), met(other)
        if implies(row, other):
            found["implies"] += 1
            assert not any(a and not b for a, b in zip(first, second, strict=True)), (row, other)
        if excludes(row, other):
            found["excludes"] += 1
            assert not any(a and b for a, b in zip(first, second, strict=True)), (row, other)
        for part in (row, AllOf((row, other))):
            if find_contradiction(AllOf((part,)), {}):
                found["contradiction"] += 1
                assert not any(met(part)), part

    assert min(found.values()) > 30, found


@pytest.mark.parametrize(
    ("strong", "weak"),
    [
        (Compare("x", "eq", 7), Compare("x", "gte", 5)),
        (Compare("x", "in", ("a", "b")), Compare("x", "not_in", ("c",))),
        (Compare("x", "eq", "charge back"), Compare("x", "matches", Pattern("back$"))),
        (Compare("x", "gt", 5), Compare("x", "exists", True)),
        (Compare("x", "lt", "2026-01-01"), Compare("x", "lte", "2026-06-30")),
        (Not(Compare("x", "gte", 5)), Not(Compare("x", "gte", 7))),
    ],
)
def test_obvious_implications_are_found(strong: Condition, weak: Condition):
    assert implies(strong, weak)
    assert not implies(weak, strong)


def test_a_value_out_of_the_range_of_a_field_is_a_contradiction():
    policy = read_policy(
        '[signals.risk]\nkind = "number"\nlow = 0.0\nhigh = 10.0\n'
        "[[routing]]\nid = \"a\"\nwhen = { signal.risk.gt = 10 }\nto = 'L1'\n[[routing]]\nid = 'b'\nto = 'L1'"
    )

    assert find_contradiction(policy.conditions()[0], policy.all_signals) == (policy.conditions()[0],)
    assert find_contradiction(policy.conditions()[1], policy.all_signals) == ()
