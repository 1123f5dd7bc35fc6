"""Tables are classified by their fields, by the better of two models, and each prediction is explained."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.errors import NotTrained
from ml_backend.features.task_columns import FieldRule
from ml_backend.label_config import Control
from ml_backend.models import get_recipe, recipe_for
from ml_backend.models.table_classifier import TableChoices
from ml_backend.testing import check_archived, check_recipe

TABLE = Control("c", "case", "choices", ("high", "low", "mid"), False, "table", "case")


def cases(n, seed=0, *, as_list=False):
    draw, rows, labels = np.random.default_rng(seed), [], []
    for _ in range(n):
        age, job = int(draw.integers(18, 80)), ["cook", "clerk", "pilot"][draw.integers(3)]
        table = {"age": age if draw.random() > 0.1 else None, "job": job, "days": ["mon"] if age % 2 else []}
        rows.append({"case": [{"key": k, "value": v} for k, v in table.items()] if as_list else table, "source": "web"})
        # the two decide together: no sum of their effects says it
        labels.append("high" if (age > 45) == (job == "pilot") else "low" if age < 30 else "mid")
    return rows, labels


@pytest.mark.parametrize(("n", "as_list"), [(60, False), (150, True)])
def test_the_recipe_keeps_the_contract_with_few_rows_and_with_trees(n, as_list):
    rows, labels = cases(n, as_list=as_list)
    check_recipe(TableChoices(), rows, labels, control=TABLE)
    check_archived(TableChoices(), rows, labels, control=TABLE)

    assert ("roots" in TableChoices().fit(rows, labels, field="case").state()) == (n >= 100)
    assert isinstance(recipe_for(TABLE), TableChoices)
    assert isinstance(get_recipe("table-choices/1"), TableChoices)


@pytest.mark.parametrize("n", [60, 300])
def test_each_prediction_is_explained_by_its_fields(n):
    rows, labels = cases(n)
    model = TableChoices().fit(rows, labels, field="case")

    parts = {part.what for part in model.explain({"case": {"age": 60, "job": "pilot"}}, "high", "low") if part.weight}

    assert parts & {"age", "job = pilot"}
    assert all(not part.startswith("case.") for part in parts)
    assert model.explain({"case": "no table"}, "high", "low") == []


def test_a_protected_field_is_read_in_no_table():
    rows, labels = cases(200)
    model = TableChoices(rule=FieldRule(without=("job",))).fit(rows, labels, field="case")
    other = [{**row, "case": {**row["case"], "job": "x"}} for row in rows]

    assert np.array_equal(model.predict_proba(other), model.predict_proba(rows))
    assert "case.job" in model.card["fields_left_out"]


def test_a_table_without_a_column_says_why():
    rows = [{"case": {"case_id": f"C-{at}"}} for at in range(40)]

    with pytest.raises(NotTrained, match=r"case\.case_id: an identifier"):
        TableChoices().fit(rows, ["high", "low"] * 20, field="case")
