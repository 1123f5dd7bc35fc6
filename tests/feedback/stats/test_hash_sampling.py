from __future__ import annotations

import hashlib
import hmac

import numpy as np
from scipy import stats

from feedback.stats.hash_sampling import audit_splits, draw, draws

_UNITS = [f"project/{number}" for number in range(20_000)]


def test_draws_are_uniform() -> None:
    drawn = np.array(draws("key", "audit", _UNITS))

    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0
    assert stats.kstest(drawn, "uniform").pvalue > 0.001


def test_purposes_and_secrets_draw_independently() -> None:
    audit = np.array(draws("key", "audit", _UNITS))
    for other in (draws("key", "blind", _UNITS), draws("another key", "audit", _UNITS)):
        assert abs(np.corrcoef(audit, other)[0, 1]) < 0.03


def test_many_draws_are_the_single_draws() -> None:
    units = ["a", "b", "é", "\ud800", ""]

    assert draws("key", "audit", units) == [draw("key", "audit", unit) for unit in units]


def test_a_draw_is_the_hmac_that_is_written_down() -> None:
    mac = hmac.new(b"key", b"5:audit:" + b"task 7", hashlib.sha256).digest()

    assert draw("key", "audit", "task 7") == (int.from_bytes(mac[:8], "big") >> 11) / 2**53


def test_a_purpose_and_a_unit_cannot_run_into_each_other() -> None:
    assert draw("key", "audit", "x:y") != draw("key", "audit:x", "y")


def test_roles_take_thirty_thirty_and_forty_percent() -> None:
    roles = audit_splits("key", _UNITS)

    observed = [roles.count(name) for name in ("tune", "judge", "certify")]
    assert stats.chisquare(observed, [6000, 6000, 8000]).pvalue > 0.001


def test_roles_are_drawn_apart_from_the_audit_itself() -> None:
    audit = [unit for unit in _UNITS if draw("key", "audit", unit) < 0.15]
    roles = audit_splits("key", audit)

    n = len(audit)
    assert 2700 < n < 3300
    observed = [roles.count(name) for name in ("tune", "judge", "certify")]
    assert stats.chisquare(observed, [0.3 * n, 0.3 * n, 0.4 * n]).pvalue > 0.001
