"""A row has the indicators recorded before its own decision, in whatever order they arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.project.indicators import IndicatorHistory, entity_of
from feedback.store import IndicatorValue, Store
from feedback.training.dataset import ConsensusLabel, Dataset, build
from ml_backend.records import INDICATORS_KEY, Answer, with_indicators
from tests.support.hypothesis_profiles import examples

PROJECTS = count(1)  # another for each example
FIELDS = {"fraud": "customer", "risk": "customer", "shop_risk": "shop"}
A_DAY = st.integers(0, 24).map(float)


@st.composite
def draw_indicator_values(draw: st.DrawFn) -> list[IndicatorValue]:
    """What was said of three customers and two shops within a day, much of it known only hours later."""
    made = []
    for seq in range(draw(st.integers(0, 25))):
        name = draw(st.sampled_from(sorted(FIELDS)))
        answered_s = draw(A_DAY)
        made.append(
            IndicatorValue(
                entity=f"{FIELDS[name]}={draw(st.integers(1, 3))}",
                name=name,
                value=draw(st.one_of(st.none(), st.sampled_from(["card", "identity"]), st.integers(0, 5).map(float))),
                origin=draw(st.sampled_from(["7", "1004"])),
                annotation=draw(st.integers(1, 8)),
                seq=seq,
                task=draw(st.integers(1, 12)),
                person=1,
                answered_s=answered_s,
                recorded_s=answered_s + draw(st.integers(0, 12)),
            )
        )
    return made


DECIDED = {task: float(2 * task) for task in range(1, 13)}  # when people first answered each task
DATA = {task: {"text": f"t{task}", "customer": task % 3 + 1, "shop": task % 2 + 1} for task in DECIDED}
SETTLED = [ConsensusLabel(task, Answer("choices", ("ab"[task % 2],)), 1, 1.0, (task,)) for task in DECIDED]


def rows(known: Sequence[IndicatorValue]) -> Dataset:
    """The training set that these facts give."""
    here = IndicatorHistory(known, FIELDS)
    data = {task: with_indicators(one, here.as_of(task, one, at_s=DECIDED[task])) for task, one in DATA.items()}
    return build("c", ("a", "b"), SETTLED, data, dict.fromkeys(DECIDED, "train"))


@given(draw_indicator_values(), st.randoms(use_true_random=False))
def test_late_arrivals_in_any_order_give_identical_rows(known: list[IndicatorValue], random: Any) -> None:
    shuffled = list(known)
    random.shuffle(shuffled)

    assert rows(shuffled) == rows(known)
    assert rows(shuffled).fingerprint == rows(known).fingerprint


@pytest.mark.slow
@given(draw_indicator_values(), A_DAY)
def test_what_is_recorded_later_never_changes_a_row_that_was_decided_before(
    known: list[IndicatorValue], moment_s: float
) -> None:
    """A model that is trained tomorrow on the rows of yesterday sees what one that was trained yesterday saw."""
    then = rows([one for one in known if one.recorded_s < moment_s])
    now = rows(known)

    for before, after in zip(then.rows, now.rows, strict=True):
        if DECIDED[before.task] <= moment_s:
            assert before == after


@pytest.mark.slow
@given(draw_indicator_values())
def test_every_indicator_of_a_row_was_recorded_before_its_decision_and_on_another_task(
    known: list[IndicatorValue],
) -> None:
    for row in rows(known).rows:
        for name, value in row.data.get(INDICATORS_KEY, {}).items():
            here = [one for one in known if one.name == name and one.value == value]
            assert any(
                one.recorded_s < DECIDED[row.task]
                and one.task != row.task
                and one.entity == entity_of(FIELDS[name], row.data)
                for one in here
            )


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw_indicator_values(), st.randoms(use_true_random=False))
def test_the_store_gives_the_same_rows_whatever_order_it_was_filled_in(
    store: Store, known: list[IndicatorValue], random: Any
) -> None:
    shuffled = list(known)
    random.shuffle(shuffled)
    project = str(next(PROJECTS))
    for one in shuffled:
        store.indicators.save_indicators(project, [one], {one.origin: one.seq}, questions="q")
    store.indicators.save_indicators(project, shuffled[:5], {}, questions="q")  # again changes nothing
    wanted = {entity_of(field, data) for data in DATA.values() for field in FIELDS.values()}

    assert rows(store.indicators.list_indicators(project)) == rows(known)
    assert rows(store.indicators.list_indicators(project, entities=wanted)) == rows(known)


VALUE = IndicatorValue("customer=2", "fraud", "card", "7", 5, 1, 99, 1, answered_s=1.0, recorded_s=10.0)
HER = {"customer": 2}


def test_an_indicator_counts_from_the_moment_after_it_was_recorded():
    here = IndicatorHistory([VALUE], FIELDS)

    assert here.as_of(3, HER, at_s=10.0) == {}
    assert here.as_of(3, HER, at_s=10.001) == {"fraud": "card"}


def test_the_newest_answer_counts_and_a_late_old_version_does_not_replace_it():
    newer = replace(VALUE, value="identity", seq=2, answered_s=5.0, recorded_s=11.0)
    late = replace(VALUE, value="card", seq=3, answered_s=2.0, recorded_s=12.0)
    elsewhere = replace(VALUE, value="card", annotation=6, seq=4, answered_s=3.0, recorded_s=13.0)

    assert IndicatorHistory([VALUE, newer, late, elsewhere], FIELDS).as_of(3, HER, at_s=99.0) == {"fraud": "identity"}


def test_a_withdrawn_answer_leaves_the_answers_of_others():
    other = replace(VALUE, value="identity", annotation=6, seq=2, answered_s=0.5, recorded_s=10.0)
    back = replace(VALUE, value=None, seq=3, answered_s=6.0, recorded_s=11.0)
    here = IndicatorHistory([VALUE, other, back], FIELDS)

    assert here.as_of(3, HER, at_s=10.5) == {"fraud": "card"}
    assert here.as_of(3, HER, at_s=12.0) == {"fraud": "identity"}
