"""What a field is as a column, from its values, and why it is none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.features.column_schema import find_kind, read_number, read_options
from ml_backend.features.task_columns import TaskColumns, fit_columns, list_fields

DRAW = np.random.default_rng(0)
LEFT_OUT: dict[str, tuple[list[Any], str]] = {
    "order_id": ([7, 7, 8, 8] * 10, "an identifier, by its name"),
    "orderID": ([7, 7, 8, 8] * 10, "an identifier, by its name"),
    "position": (list(range(100, 160)), "a running number"),
    "phone": ([4_930_000_000 + int(at) for at in DRAW.integers(0, 10**9, 40)], "long numbers that all differ"),
    "created": (["2026-11-30T22:00:00Z", "2026-11-29"] * 20, "dates or times"),
    "day": (["30.11.2026", "1/12/26"] * 20, "dates or times"),
    "page": (["https://example.org/a", "s3://bucket/b"] * 20, "addresses"),
    "email": (["ann@example.org", "ben@example.org"] * 20, "addresses"),
    "note": (["it came late and the box was open, so that I want to send it back at once"] * 39 + ["no"], "long texts"),
    "name": ([f"person {at}" for at in range(40)], "its values nearly all differ"),
    "currency": (["EUR"] * 40, "all rows have the same value"),
    "rare": ([3], "hardly any row has a value"),
    "nested": ([[{"a": 1}]] * 40, "its values are nested objects"),
    "long": ([list(range(30))] * 40, "lists of more than 20 entries"),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_no_model_should_learn_from_is_left_out_with_a_reason(name):
    values, reason = LEFT_OUT[name]

    assert find_kind(name, values, n_rows=40).why_not == reason


def test_numbers_are_found_in_texts_and_codes_are_not():
    assert find_kind("amount", ["1,250.00", "80.5", "7 %", "$ 3"], n_rows=4).is_number
    assert find_kind("amount", ["1.250,00", "80,5", "7"], n_rows=3).comma
    assert not find_kind("amount", ["1,250.00", "80.5"], n_rows=2).comma
    postcodes = find_kind("postcode", ["01067", "01067", "80331", "80331"], n_rows=4)
    assert (postcodes.is_number, postcodes.why_not) == (False, "")
    assert find_kind("is_new", [True, False, True, False], n_rows=4).is_number is False
    assert find_kind("age", [31, 40, 31, 27], n_rows=4).is_number


def test_a_field_that_the_policy_names_is_a_column_where_it_can_be_one():
    assert find_kind("order_id", [7, 7, 8, 8] * 10, n_rows=40, is_wanted=True).is_number
    assert find_kind("created", ["2026-11-30", "2026-11-29"] * 20, n_rows=40, is_wanted=True).why_not == ""
    assert find_kind("name", [f"person {at}" for at in range(40)], n_rows=40, is_wanted=True).why_not


def test_the_order_of_rows_makes_no_difference_and_a_state_comes_back():
    rows = [{"a": at % 7, "b": f"{at % 3}x", "c": ["u", "v"][: at % 3]} for at in range(60)]
    columns = fit_columns(rows)

    assert columns == fit_columns(rows[::-1])
    assert TaskColumns.load(columns.state()) == columns
    assert columns.is_category == [False, True, False, False]
    assert columns.table([rows[1]]).tolist() == [[1.0, 1.0, 1.0, 0.0]]
    assert columns.table_names(rows[1]) == ["a", "b = 1x", "c = u", "c = v"]
    assert np.isnan(columns.table([{"a": "?", "b": "new"}])).all()


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_no_value_of_a_task_makes_reading_fail(value):
    data: list[Any] = [{"field": value, "known": at % 2} for at in range(10)]
    columns = fit_columns(data)

    assert np.isfinite(columns.matrix(data)).all()
    assert len(list(list_fields({"field": value}))) <= 1_000
    assert read_number(value, is_field=True) is None or math.isfinite(read_number(value, is_field=True) or 0.0)
    assert all(isinstance(text, str) for text in read_options(value, is_field=True))
