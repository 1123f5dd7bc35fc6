from __future__ import annotations

from datetime import UTC, datetime

import pytest

from feedback.policy import read_policy
from feedback.policy.calendars import Calendar, is_working_time, open_calendars

OFFICE = """
[calendars.office]
timezone = "Europe/Berlin"
hours = ["09:00-12:00", "13:00-17:00"]
holidays = ["2026-12-25"]
"""


@pytest.mark.parametrize(
    ("moment", "is_it"),
    [
        ("2026-11-20T08:00:00+00:00", True),  # Friday, 9:00 in Berlin
        ("2026-11-20T07:59:59+00:00", False),
        ("2026-11-20T11:30:00+00:00", False),  # lunch
        ("2026-11-21T09:00:00+00:00", False),  # Saturday
        ("2026-12-25T09:00:00+00:00", False),  # holiday
        ("2026-07-20T07:00:00+00:00", True),  # 9:00 in summer time
    ],
)
def test_hours_follow_the_zone_the_week_and_the_holidays(moment: str, is_it: bool):
    at_s = datetime.fromisoformat(moment).timestamp()
    policy = read_policy(OFFICE)

    assert is_working_time(policy.calendars["office"], at_s) is is_it
    assert open_calendars(policy.calendars, at_s) == (["office"] if is_it else [])


@pytest.mark.parametrize("written", ["2026-12-25", '"2026-12-25"', '"20261225"', '"2026-W52-5"'])
def test_a_holiday_is_free_however_its_date_is_written(written: str):
    policy = read_policy(f"[calendars.office]\nholidays = [{written}]")

    assert policy.calendars["office"].holidays == ("2026-12-25",)
    assert not is_working_time(policy.calendars["office"], datetime(2026, 12, 25, 12, tzinfo=UTC).timestamp())


def test_a_day_may_end_at_midnight():
    late = datetime(2026, 11, 20, 23, 59, tzinfo=UTC).timestamp()

    assert is_working_time(Calendar(hours=("08:00-24:00",)), late)
