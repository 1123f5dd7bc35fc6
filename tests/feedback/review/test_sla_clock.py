from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from feedback.errors import PolicyError
from feedback.policy import read_policy
from feedback.policy.calendars import Calendar, is_working_time
from feedback.policy.tiers import Tier
from feedback.project.policy_validation import check_clocks, raise_policy_errors
from feedback.review.sla_clock import business_seconds, due_time, new_alarms, pause_clocks, resume_clocks, start_clocks
from feedback.store import CaseRow

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Calendar(timezone="Europe/Berlin", holidays=("2026-12-25",))
HOUR = 3600.0


def at(text: str, zone: ZoneInfo | None = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone or UTC).timestamp()


def local(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, BERLIN).strftime("%a %d.%m. %H:%M")


def case(now_s: float, tier: Tier, calendar: Calendar | None = None) -> CaseRow:
    return start_clocks(CaseRow("1", 7, "queued", "L1"), tier, calendar, now_s)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-11-16 10:00", 2, "Mon 16.11. 12:00"),
        ("2026-11-16 16:00", 2, "Tue 17.11. 10:00"),  # over night
        ("2026-11-20 16:00", 2, "Mon 23.11. 10:00"),  # over a weekend
        ("2026-12-24 16:00", 2, "Mon 28.12. 10:00"),  # over a holiday, and a weekend behind it
        ("2026-11-21 03:00", 1, "Mon 23.11. 10:00"),  # began on a Saturday
        ("2026-11-16 10:00", 7, "Mon 16.11. 17:00"),  # to the last minute
        ("2026-11-16 06:00", 8, "Mon 16.11. 17:00"),  # before the door opens
    ],
)
def test_business_hours_pass_only_in_business_hours(start, hours, end):
    assert local(due_time(OFFICE, at(start), hours * HOUR)) == end


def test_the_due_time_and_the_time_worked_are_the_same_measure():
    start = at("2026-12-23 11:17")

    for hours in (0.5, 3, 9, 40, 170):
        assert business_seconds(OFFICE, start, due_time(OFFICE, start, hours * HOUR)) == pytest.approx(hours * HOUR)


def test_a_night_shift_over_the_change_of_the_clocks_counts_seconds_as_they_pass():
    night = Calendar(timezone="Europe/Berlin", days=("sat", "sun"), hours=("00:00-24:00",))
    spring, autumn = at("2026-03-28 12:00"), at("2026-10-24 12:00")

    assert business_seconds(night, spring, at("2026-03-29 12:00")) == 23 * HOUR
    assert business_seconds(night, autumn, at("2026-10-25 12:00")) == 25 * HOUR
    assert local(due_time(night, autumn, 24 * HOUR)) == "Sun 25.10. 11:00"


def test_a_lunch_break_stops_the_clock():
    split = Calendar(timezone="Europe/Berlin", hours=("09:00-12:00", "13:00-17:00"))

    assert local(due_time(split, at("2026-11-16 11:30"), HOUR)) == "Mon 16.11. 13:30"
    assert not is_working_time(split, at("2026-11-16 12:30"))
    assert is_working_time(split, at("2026-11-16 13:00"))


def test_hours_that_do_not_come_in_ten_years_are_never_due_and_set_no_clock():
    mondays = Calendar(days=("mon",), hours=("09:00-10:00",))

    assert due_time(mondays, 0.0, 700 * HOUR) is None
    assert case(0.0, Tier(resolve="700h"), mondays).due_s is None


def test_a_clock_warns_once_and_breaches_once():
    tier = Tier(resolve="10m", at_risk=0.8)
    waiting = case(0.0, tier)

    assert new_alarms(waiting, tier, None, 7 * 60) == ()
    (risk,) = new_alarms(waiting, tier, None, 8 * 60)
    warned = replace(waiting, alarms=(risk.name,))
    assert (risk.name, new_alarms(warned, tier, None, 9 * 60)) == ("resolve at risk", ())
    (breach,) = new_alarms(warned, tier, None, 10 * 60)
    assert (breach.name, breach.late_s) == ("resolve breached", 0.0)
    assert new_alarms(replace(warned, alarms=(risk.name, breach.name)), tier, None, 99 * 60) == ()


def test_the_first_action_stops_its_own_clock_and_no_other():
    tier = Tier(first_action="5m", resolve="10m")
    waiting = case(0.0, tier)

    assert [alarm.name for alarm in new_alarms(waiting, tier, None, 5 * 60)] == ["first action breached"]
    assert new_alarms(replace(waiting, state="started", started_s=60.0), tier, None, 5 * 60) == ()


def test_a_pause_gives_back_the_business_time_that_was_left():
    tier = Tier(resolve="4h")
    asked = pause_clocks(case(at("2026-11-16 09:00"), tier, OFFICE), at("2026-11-16 12:00"))

    assert new_alarms(asked, tier, OFFICE, at("2026-11-19 09:00")) == ()
    resumed = resume_clocks(asked, OFFICE, at("2026-11-20 16:30"))
    assert resumed.due_s is not None
    assert local(resumed.due_s) == "Mon 23.11. 09:30"
    assert resumed.paused_s is None


def test_a_clock_that_had_run_out_before_the_pause_stays_run_out():
    tier = Tier(resolve="1h")
    late = pause_clocks(case(0.0, tier), 2 * HOUR)

    assert resume_clocks(late, None, 9 * HOUR).due_s == HOUR


def test_a_promise_shortens_the_tier_and_never_lengthens_it():
    tier = Tier(resolve="1h")

    assert start_clocks(CaseRow("1", 7, "queued", "L2"), tier, None, 0.0, within_s=600).due_s == 600
    assert start_clocks(CaseRow("1", 7, "queued", "L2"), tier, None, 0.0, within_s=7200).due_s == HOUR


def test_a_clock_shorter_than_the_lock_is_found():
    (finding,) = check_clocks(read_policy('[tiers.L1]\nfirst_action = "1h"\nresolve = "10m"'), 86_400)

    assert "10m" in finding.sentence
    assert check_clocks(read_policy('[tiers.L1]\nresolve = "1h"'), 900) == []
    assert check_clocks(read_policy(""), 86_400) == []


def test_a_policy_with_such_a_clock_is_refused_with_what_to_set():
    policy = read_policy('[tiers.L1]\n[tiers.L2]\nresolve = "10m"')

    raise_policy_errors(check_clocks(policy, 600))
    with pytest.raises(PolicyError, match=r"tiers\.L2: its clock of 10m") as refused:
        raise_policy_errors(check_clocks(policy, 86_400))
    assert "TASK_LOCK_TTL=300" in refused.value.hint
    with pytest.raises(PolicyError) as refused:
        raise_policy_errors(check_clocks(read_policy('[tiers.L1]\n[rights]\nwithin = "2m"'), 300))
    assert "HITL_LOCK_TTL_S=120" in refused.value.hint  # what would do
