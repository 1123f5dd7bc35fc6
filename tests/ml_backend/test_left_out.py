"""One row that makes a step raise costs only itself, and is named with its reason."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.errors import LeaseLost, StoreError, ValueRefused
from ml_backend.errors import LabelStudioError
from ml_backend.left_out import RequestRows, collect_left_out, compute_rows, contained

ERRORS = [
    TypeError("secret content"), RecursionError(), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), OverflowError(),
    MemoryError(), KeyError("secret content"), ValueRefused("out of range"), LabelStudioError("no", status=400),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_row_raises_the_step_goes_on(error: Exception):
    done = []
    with collect_left_out() as left_out:
        for task in range(5):
            with contained("try", f"task {task}"):
                if task == 3:
                    raise error
                done.append(task)

    assert done == [0, 1, 2, 4]
    assert [(found.row, found.step) for found in left_out.rows] == [("task 3", "try")]
    assert "secret" not in left_out.describe()
    assert type(error).__name__ in left_out.describe() or str(error) in left_out.describe()


@pytest.mark.parametrize(
    "error", [StoreError("away"), LeaseLost("lost"), LabelStudioError("away"), LabelStudioError("no", status=401)]
)
def test_an_error_of_the_service_ends_the_step(error: Exception):
    with pytest.raises(type(error)), contained("try", "task 1"):
        raise error

    def fail(rows: object) -> list[int]:
        raise error

    with pytest.raises(type(error)):
        compute_rows("try", [1, 2], fail)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_no_row(stop: type[BaseException]):
    with pytest.raises(stop), contained("try", "task 1"):
        raise stop


@given(st.lists(st.booleans(), max_size=70))
def test_exactly_the_bad_rows_of_a_batch_are_left_out(bad: list[bool]):
    calls = 0

    def compute(rows: object) -> list[int]:
        nonlocal calls
        calls += 1
        return [100 // (not bad[row]) + row for row in rows]  # type: ignore[attr-defined]

    with collect_left_out() as left_out:
        found = compute_rows("divide", range(len(bad)), compute)

    assert found == [None if is_bad else 100 + row for row, is_bad in enumerate(bad)]
    assert [row.row for row in left_out.rows] == [f"task {row}" for row, is_bad in enumerate(bad) if is_bad]
    assert any(bad) or calls <= 1


def test_thousands_of_bad_rows_are_one_short_sentence(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO), collect_left_out() as left_out:
        compute_rows("divide", range(5_000), lambda rows: [1 // 0 for _ in rows])

    assert left_out.count == 5_000
    assert left_out.describe().startswith(
        "5000 left out: task 0, task 1, task 2 and 197 more (divide): ZeroDivisionError"
    )
    assert len(left_out.describe()) < 200
    assert len(caplog.records) == 1


def test_what_fails_for_every_row_is_a_defect_that_the_log_shows_with_its_calls(caplog: pytest.LogCaptureFixture):
    def defect_of_ours(_rows: object) -> list[int]:
        raise KeyError("secret content")

    with collect_left_out() as left_out:
        compute_rows("predict", range(100), defect_of_ours)
        compute_rows("predict", range(100), lambda rows: [1 // row for row in rows])  # only the first one fails
        compute_rows("predict", range(3), defect_of_ours)  # three hostile rows are no surprise

    assert left_out.count > 100
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "each of 100 rows failed" in caplog.text
    assert "defect_of_ours" in caplog.text
    assert "secret" not in caplog.text


def test_a_service_that_fails_at_single_rows_is_asked_for_the_others_and_one_that_is_away_is_not():
    requests, done = RequestRows("write"), []
    with collect_left_out() as left_out:
        for task, status in enumerate([200, 500, 200, 400, 404, 500, 500, 200]):
            with requests.row(f"task {task}"):
                if status != 200:
                    raise LabelStudioError("no", status=status)
                done.append(task)

    assert done == [0, 2, 7]
    assert len(left_out.rows) == 5
    with pytest.raises(LabelStudioError), collect_left_out():  # noqa: PT012
        for _ in range(3):
            with requests.row("task 9"):
                raise LabelStudioError("down", status=502)


def test_a_request_for_many_rows_is_halved_until_the_refused_row_is_alone():
    asked = list[int]()

    def send(part: Sequence[int]) -> Sequence[int]:
        asked.append(len(part))
        if 70 in part:
            raise LabelStudioError("refused", status=500)
        return part

    with collect_left_out() as left_out:
        found = RequestRows("import").compute(range(200), send)

    assert [row for row in found if row is not None] == [row for row in range(200) if row != 70]
    assert [row.row for row in left_out.rows] == ["task 70"]
    assert len(asked) <= 17


def test_a_request_that_fails_for_every_row_is_given_up_after_a_few():
    asked = list[int]()

    def send(part: Sequence[int]) -> Sequence[int]:
        asked.append(len(part))
        raise LabelStudioError("down", status=500)

    with pytest.raises(LabelStudioError):
        RequestRows("import").compute(range(200), send)

    assert len(asked) <= 14
