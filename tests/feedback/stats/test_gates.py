"""The two gates: a refresh is promoted unless proven worse, a change only when proven better."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.stats.gates import (
    better,
    change_alpha,
    change_gate,
    detectable_gain,
    detectable_loss,
    refresh_gate,
    worse,
)
from feedback.stats.intervals import EvidenceError

DRAWS = 400


def pairs(rng, gain: float, disagree: float, size):
    """d of challengers that are `gain` better and disagree with the champion on that share of rows."""
    u = rng.random(size)
    up = (disagree + gain) / 2
    return np.where(u < up, 1, np.where(u < disagree, -1, 0))


def counted(d):
    return (d == 1).sum(axis=-1), (d == -1).sum(axis=-1), (d == 0).sum(axis=-1)


def test_an_equal_refresh_goes_live_and_an_equal_change_does_not():
    d = [1] * 6 + [-1] * 6 + [0] * 88

    assert refresh_gate(d).promote
    assert not change_gate(d).promote


def test_a_refresh_proven_worse_is_refused_with_its_figures():
    verdict = refresh_gate([-1] * 30 + [1] * 5 + [0] * 65)

    assert not verdict.promote
    assert verdict.e_value >= 20
    assert verdict.n == 100
    assert verdict.reason.startswith("proven worse by more than 2 %: 5 rows won, 30 lost of 100, -25 %")


def test_a_change_proven_better_goes_live_and_later_challengers_need_more():
    d = [1] * 14 + [-1] * 2 + [0] * 184
    first, tenth = (change_gate(d, challenger_number=j) for j in (1, 10))

    assert first.promote
    assert first.reason.startswith("proven better: 14 rows won, 2 lost of 200, +6.0 %")
    assert not tenth.promote
    assert tenth.e_value == first.e_value


def test_without_a_judge_row_a_refresh_goes_live_and_a_change_waits():
    refresh, change = refresh_gate([]), change_gate([])

    assert refresh.promote
    assert not change.promote
    assert refresh.e_value == change.e_value == pytest.approx(1.0)
    assert "no judge row yet" in refresh.reason


@given(st.lists(st.sampled_from([-1, 0, 1]), max_size=60), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter_and_ties_do_not_help_a_change(d, shuffler):
    mixed = d.copy()
    shuffler.shuffle(mixed)

    assert change_gate(d) == change_gate(mixed)
    assert refresh_gate(d) == refresh_gate(mixed)
    assert change_gate(d + [0] * 50).e_value == pytest.approx(change_gate(d).e_value)


@given(st.lists(st.sampled_from([-1, 0, 1]), max_size=40), st.sampled_from([0.0, 0.02, 0.3]))
def test_the_refresh_e_value_is_the_product_of_its_bets(d, max_loss):
    bets = [share / (1 + max_loss) for share in (0.1, 0.3, 0.7)]
    product = np.mean([np.prod([1 + bet * (-max_loss - value) for value in d]) for bet in bets])

    assert refresh_gate(d, max_loss=max_loss).e_value == pytest.approx(product)


@pytest.mark.parametrize("disagree", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("n", [1, 7, 40])
def test_under_the_null_hypotheses_the_e_values_are_one_on_average_at_most(disagree, n):
    draws = pairs(np.random.default_rng(0), -0.02, disagree, (20_000, n))
    for e in (better(*counted(draws)[:2]), worse(*counted(draws), max_loss=0.02)):
        assert e.mean() <= 1 + 4 * e.std() / np.sqrt(len(e))


def test_all_change_challengers_of_an_epoch_together_keep_their_level():
    """200 challengers no better than the champion, judged in turn; any promotion is a violation."""
    rng = np.random.default_rng(1)
    level = np.array([1 / change_alpha(0.05, j) for j in range(1, 201)])
    for disagree in (0.05, 0.3):
        d = pairs(rng, 0.0, disagree, (DRAWS, 200, 150))
        promoted = better(*counted(d)[:2]) >= level

        assert promoted.any(axis=1).mean() <= 0.05
        assert promoted.mean() <= 0.05


def test_a_change_no_better_is_hardly_ever_promoted_however_often_people_look():
    d = pairs(np.random.default_rng(2), 0.0, 0.2, (1000, 1000))
    e = better(np.cumsum(d == 1, axis=1), np.cumsum(d == -1, axis=1))

    ever = (e >= 1 / change_alpha(0.05, 1)).any(axis=1)
    assert 0.0 < ever.mean() <= 0.05


def test_a_refresh_within_the_margin_is_hardly_ever_refused_however_often_people_look():
    d = pairs(np.random.default_rng(3), -0.02, 0.1, (1000, 1000))
    e = worse(*(np.cumsum(d == value, axis=1) for value in (1, -1, 0)), max_loss=0.02)

    assert (e >= 20).any(axis=1).mean() <= 0.05


def test_naive_looks_would_break_the_level():
    """The same runs by a z-test at every look: this is what the e-value is for."""
    d = pairs(np.random.default_rng(2), 0.0, 0.2, (1000, 1000))
    wins, losses = np.cumsum(d == 1, axis=1), np.cumsum(d == -1, axis=1)
    z = (wins - losses) / np.sqrt(np.maximum(1, wins + losses))

    assert (z[:, 50:] > 1.645).any(axis=1).mean() > 0.2


def test_the_champion_loses_no_more_than_the_margin_over_200_refreshes():
    """Fresh fits scatter by a point, and one in four is broken: 15 points worse. 300 draws of 200 refreshes."""
    rng = np.random.default_rng(4)
    quality = rng.normal(0.0, 0.01, (300, 200)) - 0.15 * (rng.random((300, 200)) < 0.25)
    champion, losses = np.zeros(300), []
    for turn in range(200):
        gain = np.clip(quality[:, turn] - champion, -0.25, 0.25)
        refused = worse(*counted(pairs(rng, gain[:, None], 0.25, (300, 200))), max_loss=0.02) >= 20
        champion = np.where(refused, champion, quality[:, turn])
        losses.append(-champion)

    assert np.mean(losses) <= 0.02
    assert -quality.mean() > 0.03  # what promoting every refresh would have cost


def test_a_real_gain_is_found_on_as_many_rows_as_it_takes():
    rng = np.random.default_rng(5)
    needed = 1 / change_alpha(0.05, 1)
    power = {
        (gain, n): (better(*counted(pairs(rng, gain, 0.15, (DRAWS, n)))[:2]) >= needed).mean()
        for gain, n in ((0.02, 200), (0.05, 800), (0.10, 200))
    }

    assert power[0.02, 200] < 0.2  # two points on 200 rows: why a refresh must not have to prove anything
    assert power[0.05, 800] > 0.7
    assert power[0.10, 200] > 0.7


def test_a_broken_refresh_is_refused():
    rng = np.random.default_rng(6)
    refused = worse(*counted(pairs(rng, -0.15, 0.25, (DRAWS, 200))), max_loss=0.02) >= 20

    assert refused.mean() > 0.7


def test_a_grid_of_bets_beats_any_one_bet_where_that_one_is_wrong():
    small, large = (40, 28), (30, 0)
    for wins, losses in (small, large):
        each = [(1 + bet) ** wins * (1 - bet) ** losses for bet in (0.1, 0.7)]
        assert float(better(wins, losses)) > min(each)
        assert float(better(wins, losses)) >= max(each) / 3


def test_a_perfect_run_of_thousands_does_not_overflow():
    assert float(better(5000, 0)) == np.inf
    assert float(better(0, 5000)) == pytest.approx(0.0)
    assert float(worse(0, 5000, 0, max_loss=0.0)) == np.inf


@pytest.mark.parametrize(
    "call",
    [
        lambda: refresh_gate([2]),
        lambda: refresh_gate([0.5]),
        lambda: change_gate([[1, 0]]),
        lambda: refresh_gate([1], max_loss=2.0),
        lambda: refresh_gate([1], alpha=5),
        lambda: change_gate([1], challenger_number=0),
    ],
)
def test_what_cannot_be_is_refused(call):
    with pytest.raises(EvidenceError):
        call()


@pytest.mark.parametrize(("n", "win_share"), [(27, 0.0), (60, 0.05), (200, 0.04), (1000, 0.02)])
def test_a_loss_of_the_size_that_a_verdict_names_is_seen_four_times_in_five(n: int, win_share: float):
    rng, loss = np.random.default_rng(n), detectable_loss(n, win_share)
    assert loss is not None

    def seen(size: float) -> float:
        draws = rng.choice([1, -1, 0], size=(2000, n), p=[win_share, win_share + size, 1.0 - 2.0 * win_share - size])
        return float(np.mean(worse(*counted(draws), max_loss=0.02) >= 20.0))

    assert 0.76 <= seen(loss) <= 0.88
    assert seen(loss / 2) < 0.5


@pytest.mark.parametrize("number", [1, 7])
def test_a_gain_of_the_size_that_a_verdict_names_is_proven_four_times_in_five(number: int):
    rng, n, lost = np.random.default_rng(number), 300, 0.04
    gain = detectable_gain(n, lost, alpha=change_alpha(0.05, number))
    assert gain is not None
    shares = [lost + gain, lost, 1.0 - 2.0 * lost - gain]
    wins, losses, _ties = counted(rng.choice([1, -1, 0], size=(2000, n), p=shares))

    assert 0.76 <= np.mean(better(wins, losses) >= 1.0 / change_alpha(0.05, number)) <= 0.88


def test_a_verdict_says_what_it_could_have_seen():
    assert "on 27 rows only a loss above 40 points would have been seen" in refresh_gate([0] * 27).reason
    assert "on 2 rows no loss would have been seen" in refresh_gate([0, 0]).reason
    assert "only a gain above" in change_gate([0] * 100).reason
    assert "would have been" not in refresh_gate([-1] * 20 + [0] * 80).reason
    assert detectable_loss(0, 0.0) is None
    assert detectable_loss(50, 0.9) is None
