from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from feedback.errors import EvaluationError
from feedback.policy import Policy
from feedback.training.dataset import Row
from feedback.training.promotion_gate import Verdict, judge

CLASSES = ("ham", "spam")


@dataclass(frozen=True)
class ConstantModel:
    """Knows the truth of a row by its number, and says it with this confidence unless the number is in `wrong`."""

    version: str
    recipe: str = "text/1"
    wrong: frozenset[int] = frozenset()
    unread: frozenset[int] = frozenset()
    sure: float = 0.9
    classes: tuple[str, ...] = CLASSES

    def proba(self, data: Sequence[Mapping[str, Any]], names: object = None) -> np.ndarray[Any, Any]:
        table = np.full((len(data), 2), 1 - self.sure)
        for row, one in enumerate(data):
            right = CLASSES.index(one["truth"]) ^ (one["n"] in self.wrong)
            table[row, right] = self.sure
            if one["n"] in self.unread:
                table[row] = np.nan
        return table


def audit(n: int, role: str = "judge", spam: float = 0.5) -> list[Row]:
    rows = []
    for number in range(n):
        label = "spam" if number < n * spam else "ham"
        rows.append(Row(number, role, label, {"n": number, "truth": label}))
    return rows


def verdict(challenger: ConstantModel, champion: ConstantModel | None, rows: list[Row], **options: Any) -> Verdict:
    taught = [Row(1000 + row.task, "train", row.label, row.data) for row in rows]
    return judge(challenger, champion, rows, taught=taught, trained=frozenset(), policy=Policy(), **options)


def test_the_first_model_serves_when_it_predicts_better_than_the_class_shares():
    found = verdict(ConstantModel("m1"), None, audit(30))

    assert (found.promote, found.gate, found.accuracy) == (True, "first", 1.0)
    assert "provisional: 30 audit rows" in found.reason


def test_a_first_model_that_predicts_worse_than_the_class_shares_is_not_promoted():
    found = verdict(ConstantModel("m1", wrong=frozenset(range(0, 30, 2))), None, audit(30))

    assert not found.promote
    assert "not better than the class prior" in found.reason


def test_on_lopsided_classes_being_right_often_is_not_enough():
    """Always saying ham is right in 90 %, and teaches nothing."""
    always_ham = ConstantModel("m1", wrong=frozenset(range(10)), sure=0.99)

    assert not verdict(always_ham, None, audit(100, spam=0.1)).promote


def test_without_an_audit_row_nothing_is_promoted():
    assert not verdict(ConstantModel("m1"), None, []).promote


def test_few_judge_rows_borrow_the_tune_rows_for_the_first_model_only():
    rows = audit(4) + [Row(100 + row.task, "tune", row.label, row.data) for row in audit(10)]

    assert verdict(ConstantModel("m1"), None, rows).rows == 14
    assert verdict(ConstantModel("m2"), ConstantModel("m1"), rows).rows == 4


def test_tune_rows_on_which_the_first_model_was_calibrated_do_not_judge_it():
    tune = [Row(100 + row.task, "tune", row.label, row.data) for row in audit(40)]
    flattered = ConstantModel("m1", wrong=frozenset(range(4)))  # wrong on the judge rows, right on all others
    judged = [Row(row.task, "judge", row.label, row.data) for row in audit(4)]
    tune = [Row(row.task, "tune", row.label, dict(row.data) | {"n": 1000}) for row in tune]

    assert verdict(flattered, None, [*judged, *tune]).promote
    found = verdict(flattered, None, [*judged, *tune], calibrated=True)
    assert (found.promote, found.rows) == (False, 4)
    assert not verdict(flattered, None, tune, calibrated=True).promote


def test_a_verdict_measures_both_models_on_rows_that_choose_neither():
    tune = [Row(100 + row.task, "tune", row.label, row.data) for row in audit(20)]
    rows = [*audit(60), *tune]
    found = verdict(ConstantModel("m2", wrong=frozenset({1})), ConstantModel("m1", wrong=frozenset({1, 2})), rows)

    assert (found.rows, found.free_rows) == (60, 20)
    assert (found.free_accuracy, found.champion_free_accuracy) == (0.95, 0.9)
    assert "on 60 rows only a loss above" in found.reason


def test_a_refresh_is_promoted_unless_proven_worse():
    worse_by_luck, worse_for_sure = frozenset({1, 2}), frozenset(range(0, 120, 3))

    assert verdict(ConstantModel("m2", wrong=worse_by_luck), ConstantModel("m1"), audit(120)).promote
    found = verdict(ConstantModel("m2", wrong=worse_for_sure), ConstantModel("m1"), audit(120))
    assert (found.promote, found.gate) == (False, "refresh")
    assert "proven worse" in found.reason


def test_a_change_of_recipe_must_be_proven_better():
    champion = ConstantModel("m1", wrong=frozenset(range(0, 200, 4)))

    even = verdict(ConstantModel("m2", recipe="text/2", wrong=champion.wrong), champion, audit(200))
    better = verdict(ConstantModel("m2", recipe="text/2"), champion, audit(200))
    assert (even.promote, even.gate) == (False, "change")
    assert (better.promote, better.champion_accuracy) == (True, 0.75)


def test_later_change_challengers_need_more_proof():
    champion = ConstantModel("m1", wrong=frozenset(range(12)))
    first = verdict(ConstantModel("m2", recipe="text/2"), champion, audit(200))
    tenth = verdict(ConstantModel("m2", recipe="text/2"), champion, audit(200), challenger_number=10)

    assert first.promote
    assert not tenth.promote


def test_a_row_that_cannot_be_read_counts_as_wrong():
    assert verdict(ConstantModel("m1", unread=frozenset({0, 1})), None, audit(20)).accuracy == 0.9


def test_rows_that_were_trained_on_or_kept_for_certificates_are_refused():
    options: dict[str, Any] = {"taught": [], "policy": Policy()}
    with pytest.raises(EvaluationError, match="cannot judge"):
        judge(ConstantModel("m1"), None, audit(20), trained=frozenset({3}), **options)
    with pytest.raises(EvaluationError, match="cannot judge"):
        judge(ConstantModel("m1"), None, audit(20, role="certify"), trained=frozenset(), **options)


def test_below_a_hundred_audit_rows_a_verdict_is_provisional():
    assert "provisional" in verdict(ConstantModel("m2"), ConstantModel("m1"), audit(99)).reason
    assert "provisional" not in verdict(ConstantModel("m2"), ConstantModel("m1"), audit(100)).reason
