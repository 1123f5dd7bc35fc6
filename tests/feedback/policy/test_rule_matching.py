"""A policy routes one task and many tasks alike, holds included."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.policy import Policy, read_policy
from feedback.policy.conditions import Table
from feedback.policy.rule_matching import Router, make_data_reader, make_lookup
from tests.support.hypothesis_profiles import examples

Row = tuple[dict[str, Any], dict[str, Any]]  # inputs, data

POLICY = read_policy(
    """
[[routing]]
id = "reported"
when = { signal.user_report.count.gte = 2, not = { signal.user_report = "spam" } }
to = "L2"
priority = "urgent"
[[routing]]
id = "big"
when.data.customer.amount.gte = 5000
when.any = [ { data.standing.in = ["new", 3] }, { data.text.matches = "^t[0-4]+$" } ]
to = "hold"
[[routing]]
id = "sure"
when = { model.confidence.gte = 0.9, model.label.ne = "fraud" }
to = "auto"
tier = "L2"
[[routing]]
id = "young"
when = { any = [ { time.age.lt = "2h" }, { history.votes.eq = 0 } ], time.within = "office" }
to = "L1"
hold = "1h"
overlap = 2
[[routing]]
id = "default"
to = "L1"
[tiers.L1]
[tiers.L2]
[calendars.office]
"""
)
INPUTS = st.fixed_dictionaries(
    {},
    optional={
        "signal.user_report.count": st.integers(0, 3),
        "signal.user_report": st.sampled_from(["spam", "scam"]),
        "model.confidence": st.floats(0, 1),
        "model.label": st.sampled_from(["fraud", "fine"]),
        "time.age": st.floats(0, 10_000),
        "time.within": st.sampled_from([[], ["office"], ("office",)]),
        "history.votes": st.integers(0, 2),
    },
)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "customer": st.one_of(
            st.none(), st.just("x"), st.fixed_dictionaries({"amount": st.sampled_from([1, 5000, "7000", None])})
        ),
        "standing": st.sampled_from(["new", "gold", 3, 3.0, "3", True, ["new"]]),
        "text": st.text(alphabet="t0149 \ud800", max_size=4),
    },
)


def table_of(rows: Sequence[Row]) -> Table:
    return Table(len(rows), lambda field: [make_lookup(inputs, data)(field) for inputs, data in rows])


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.tuples(INPUTS, DATA), max_size=8))
def test_many_tasks_are_routed_as_each_alone(rows: list[Row]):
    router = Router(POLICY)

    assert list(router.route_table(table_of(rows))) == [
        router.route_task(make_lookup(inputs, data)) for inputs, data in rows
    ]


def test_the_fields_of_a_policy_include_the_age_that_a_hold_needs():
    assert "time.age" in Router(read_policy("[[routing]]\nid = 'd'\nto = 'L1'\nhold = '5m'")).fields
    assert Router(POLICY).fields >= {"data.customer.amount", "signal.user_report.count", "time.within"}


def test_without_rules_everything_goes_to_the_first_tier():
    assert Router(Policy()).route_task({}.get).to == "L1"
    assert [row.rule for row in Router(Policy()).route_table(Table(2, lambda _: [None, None]))] == [
        "default",
        "default",
    ]


@pytest.mark.parametrize(
    ("path", "data", "value"),
    [
        ("a", {"a": 1}, 1),
        ("a.b", {"a": {"b": 2}}, 2),
        ("a.b", {"a.b": 3, "a": {"b": 2}}, 3),
        ("a.b", {"a": [1]}, None),
        ("a.b", {"a": None}, None),
        ("a.b.c", {"a": {"b": {}}}, None),
    ],
)
def test_a_field_is_found_by_its_name_or_level_by_level(path: str, data: Mapping[str, Any], value: object):
    assert make_data_reader(path)(data) == value


@pytest.mark.timed
def test_a_policy_of_20_rules_decides_about_100_000_tasks_in_a_second():
    rng = random.Random(3)
    rule = '[[routing]]\nid = "r%d"\nto = "L2"\nwhen = { data.amount.gte = %d, data.text.matches = "a.*%db" }\n'
    more = "".join(rule % (n, 9900 + n, n) for n in range(15))
    policy = read_policy(more + "[[routing]]\nid = 'd'\nto = 'L1'\n[tiers.L1]\n[tiers.L2]")
    policy = policy.model_copy(
        update={
            "routing": (*POLICY.routing[:-1], *policy.routing),
            "calendars": POLICY.calendars,
        }
    )
    rows: list[Row] = [
        (
            {"model.confidence": rng.random(), "model.label": "fine", "time.age": rng.random() * 9000},
            {"amount": rng.randrange(10_000), "text": f"task {number} about a {rng.random()}b"},
        )
        for number in range(100_000)
    ]
    columns = {name: [inputs.get(name) for inputs, _ in rows] for name in rows[0][0]}

    def column(field: str) -> Sequence[Any]:
        if field in columns:
            return columns[field]
        source, _, rest = field.partition(".")
        read = make_data_reader(rest)
        return [read(data) for _, data in rows] if source == "data" else [None] * len(rows)

    router = Router(policy)
    started_s = time.process_time()
    outcomes = router.route_table(Table(len(rows), column))
    took_s = time.process_time() - started_s
    sample = rng.sample(range(len(rows)), 500)

    assert len(policy.routing) == 20
    assert took_s < 1.0
    assert [outcomes[place] for place in sample] == [router.route_task(make_lookup(*rows[place])) for place in sample]
