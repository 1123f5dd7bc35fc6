from __future__ import annotations

import random

import pytest

from feedback.errors import VotesError
from feedback.review.capacity import advise, erlang_c, forecast


def simulated(reviews_per_hour: float, people: int, handling_s: float, hours: int, runs: int = 2000) -> list[float]:
    """Mean wait of those who arrive in each hour: an M/M/c queue that begins empty."""
    rng, total, count = random.Random(1), [0.0] * hours, [0] * hours
    for _ in range(runs):
        free, now = [0.0] * people, 0.0
        while (now := now + rng.expovariate(reviews_per_hour / 3600)) < hours * 3600:
            who = min(range(people), key=free.__getitem__)
            start = max(now, free[who])
            free[who] = start + rng.expovariate(1 / handling_s)
            total[int(now // 3600)] += start - now
            count[int(now // 3600)] += 1
    return [waits / max(1, n) for waits, n in zip(total, count, strict=True)]


@pytest.mark.parametrize(("reviews_per_hour", "people"), [(6, 1), (10, 1), (14, 1), (30, 3), (40, 3)])
def test_the_forecast_is_near_a_simulation_and_on_the_safe_side(reviews_per_hour, people):
    seen = simulated(reviews_per_hour, people, 300.0, 8)
    received = forecast([reviews_per_hour] * 8, [people] * 8, 300.0).wait_s

    assert all(wait > 0.9 * real for wait, real in zip(received, seen, strict=True))
    assert received[-1] < 1.6 * seen[-1]


@pytest.mark.parametrize(
    ("offered", "servers", "wanted"),
    [(0.5, 1, 0.5), (8.0, 10, 0.4092), (5.0, 5, 1.0), (0.0, 3, 0.0)],  # one server: the load; 8/10: published tables
)
def test_erlangs_formula(offered, servers, wanted):
    assert erlang_c(offered, servers) == pytest.approx(wanted, abs=5e-5)


def test_work_that_comes_over_night_waits_for_the_morning():
    received = forecast([2] * 4, [0, 0, 1, 1], 600.0, target_s=2 * 3600)

    assert received.wait_s[1] > received.wait_s[3]
    assert received.late_from is None
    assert forecast([2] * 4, [0, 0, 1, 1], 600.0, target_s=600).late_from == 0


def test_a_rush_is_late_from_the_hour_it_hits():
    arrivals = [6.0] * 6 + [60.0] * 2

    assert forecast(arrivals, [1] * 8, 300.0, target_s=3600).late_from == 6


def test_the_advice_is_the_least_that_helps():
    calm, rush = [10.0] * 8, [30.0] * 8
    found = advise(rush, [0.0] * 8, [1] * 8, 300.0, share=0.0, target_s=3600)

    assert found.people is not None
    assert forecast(rush, [1 + found.people] * 8, 300.0, target_s=3600).late_from is None
    assert forecast(rush, [found.people] * 8, 300.0, target_s=3600).late_from is not None
    assert found.share is None  # fewer second looks do not help: there are none
    assert advise(calm, [0.0] * 8, [1] * 8, 300.0, share=0.5, target_s=3600).people == 0


def test_nobody_at_all_is_never_in_time():
    found = advise([5.0], [0.0], [0], 300.0, share=0.0, target_s=3600)

    assert (found.people, found.share) == (None, None)


def test_hours_that_do_not_match_are_refused():
    with pytest.raises(VotesError, match="3 hours of arrivals and 2 of people"):
        forecast([1, 1, 1], [1, 1], 300.0)
