from __future__ import annotations

from collections import Counter

from feedback.project.audit_splits import Splits

_UNITS = [f"1/{number}" for number in range(4000)]


def test_the_audit_stream_has_its_share_and_its_roles():
    roles = Counter(Splits("key", "1", 0.25).roles(_UNITS))

    assert abs(1 - roles["train"] / 4000 - 0.25) < 0.03
    assert abs(roles["tune"] / 1000 - 0.3) < 0.06
    assert abs(roles["judge"] / 1000 - 0.3) < 0.06
    assert abs(roles["certify"] / 1000 - 0.4) < 0.06


def test_a_role_is_for_ever_whatever_share_comes_later():
    small = Splits("key", "1", 0.1).roles(_UNITS)
    large = Splits("key", "1", 0.3).roles(_UNITS)

    assert all(later == first for first, later in zip(small, large, strict=True) if first != "train")


def test_twins_share_a_fate_and_other_keys_draw_others():
    draws, other = Splits("key", "1", 0.5, 0.5), Splits("another", "1", 0.5, 0.5)

    assert draws.dedup_key({"text": "a", "n": 1}) == draws.dedup_key({"n": 1, "text": "a"})
    assert draws.roles(_UNITS) != other.roles(_UNITS)


def test_audit_tasks_and_doubled_tasks_are_blind():
    tasks = [{"text": str(number)} for number in range(300)]
    draws = Splits("key", "1", 0.2, 0.2)
    units = [draws.dedup_key(task) for task in tasks]
    expected = [
        role != "train" or twice for role, twice in zip(draws.roles(units), draws.in_overlap_sample(units), strict=True)
    ]

    assert [draws.blind(task) for task in tasks] == expected
    assert 0 < sum(expected) < 300
