"""Conger's kappa against the published values."""

import pytest

from feedback.agreement import conger_kappa
from tests.support.published import (
    COHEN_1960,
    FOUR_RATERS,
    from_contingency,
    from_rows,
)


def test_conger_is_the_published_one_and_cohens_with_two_people():
    found = conger_kappa(from_rows(FOUR_RATERS))

    assert (found.value, found.se, found.low) == pytest.approx((0.76282, 0.14917, 0.4345), abs=1e-5)
    assert conger_kappa(from_contingency(COHEN_1960)).value == pytest.approx(0.49152542, abs=1e-8)
