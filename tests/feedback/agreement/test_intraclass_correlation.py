"""Intraclass correlation against the published values."""

import numpy as np
import pytest

from feedback.agreement import intraclass_correlation
from tests.support.published import (
    SHROUT_FLEISS_1979,
)


@pytest.mark.parametrize(
    ("form", "value", "low", "high"),
    [
        ("1,1", 0.16574177, -0.13, 0.72),
        ("2,1", 0.28976378, 0.02, 0.76),
        ("3,1", 0.71484071, 0.34, 0.95),
        ("1,k", 0.44279713, -0.88, 0.91),
        ("2,k", 0.62005055, 0.07, 0.93),
        ("3,k", 0.90931554, 0.68, 0.99),
    ],
)
def test_icc_is_shrout_and_fleiss(form, value, low, high):
    found = intraclass_correlation(SHROUT_FLEISS_1979, form=form)

    assert found.value == pytest.approx(value, abs=1e-7)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.006)


def test_icc_leaves_items_out_that_not_everybody_rated():
    with_gap = [*SHROUT_FLEISS_1979, [5.0, float("nan"), 5.0, 5.0]]

    assert intraclass_correlation(with_gap).value == intraclass_correlation(SHROUT_FLEISS_1979).value


def test_icc_does_not_depend_on_the_unit_however_small_or_huge():
    rated = np.array(SHROUT_FLEISS_1979)

    assert intraclass_correlation(rated * 1e200).value == pytest.approx(intraclass_correlation(rated).value)
    assert intraclass_correlation(rated * 1e-200).value == pytest.approx(intraclass_correlation(rated).value)
