"""Who is asked next: the strategy's choice with a random share, the same for the same seed."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sampling.errors import MissingInput, PlanError, StrategyError, UnknownStrategy
from sampling.ordering import TaskStream, interleave_streams, order_tasks
from sampling.pool import Pool, pool_without_model
from tests.support.hypothesis_profiles import examples


def pool_of(best: list[float], **arrays_) -> Pool:
    """Two classes; `best` is the probability of the first."""
    first = np.array(best)
    n = len(best)
    return Pool(tuple(range(n)), np.column_stack([first, 1 - first]), np.zeros(n), **arrays_)


@st.composite
def pools(draw) -> Pool:
    n = draw(st.integers(0, 40))
    k = draw(st.integers(1, 5))
    weights = draw(arrays(np.float64, (n, k), elements=st.sampled_from([0.1, 0.2, 0.5, 1.0])))
    proba = weights / weights.sum(axis=1, keepdims=True)
    proba[draw(arrays(np.bool_, n))] = np.nan
    ids = draw(st.lists(st.integers(0, 10**6), min_size=n, max_size=n, unique=True))
    groups = draw(st.none() | arrays(np.int64, n, elements=st.integers(-1, 4)))
    return Pool(tuple(ids), proba, np.zeros(n), groups=groups)


shares = st.floats(0.0, 1.0)


@given(pools(), shares, st.integers(-5, 5))
def test_every_task_is_in_the_order_exactly_once_with_its_reason_and_score(pool, share, seed):
    ordering = order_tasks(pool, random_share=share, seed=seed)

    assert sorted(ordering.ids) == sorted(pool.ids)
    assert len(ordering.reasons) == len(ordering.scores) == len(pool)


@given(pools(), shares, st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(pool, share, seed, shuffler):
    rows = list(range(len(pool)))
    shuffler.shuffle(rows)

    first = order_tasks(pool, random_share=share, seed=seed)
    other = order_tasks(pool.take(np.array(rows, dtype=int)), random_share=share, seed=seed)

    assert (first.ids, first.reasons) == (other.ids, other.reasons)


@given(pools(), shares, st.integers(0, 50))
def test_a_smaller_size_is_the_head_of_the_whole(pool, share, size):
    whole, head = (order_tasks(pool, random_share=share, seed=1, size=wanted) for wanted in (None, size))

    assert head.ids == whole.ids[:size]
    assert head.reasons == whole.reasons[:size]


@given(pools(), shares)
def test_unreadable_tasks_go_last_with_that_reason(pool, share):
    ordering = order_tasks(pool, random_share=share, seed=1)
    n_readable = int(pool.readable.sum())

    assert set(ordering.reasons[n_readable:]) <= {"unreadable"}
    assert "unreadable" not in ordering.reasons[:n_readable]
    assert np.isnan(ordering.scores[n_readable:]).all()


@given(pools(), shares)
def test_no_twin_is_asked_before_every_cluster_was_asked_once(pool, share):
    ordering = order_tasks(pool, random_share=share, seed=1)
    if pool.groups is None:
        return
    group = dict(zip(pool.ids, pool.groups.tolist(), strict=True))
    asked = [group[task] for task, why in zip(ordering.ids, ordering.reasons, strict=True) if why != "unreadable"]

    sizes, seen = Counter(asked), Counter()
    for cluster in asked:
        if cluster >= 0:
            assert all(seen[other] >= min(seen[cluster], sizes[other]) for other in sizes if other >= 0)
        seen[cluster] += 1


@given(st.integers(2, 300), shares)
@settings(max_examples=examples(60))
def test_every_prefix_holds_the_random_share_to_within_one(n, share):
    ordering = order_tasks(pool_of(np.linspace(0.5, 1.0, n).tolist()), random_share=share, seed=3)

    random = np.cumsum([reason == "random" for reason in ordering.reasons])
    places = np.arange(1, n + 1)
    assert (np.abs(random - share * places) <= 1.0 + 1e-9).all()


def test_the_closest_call_comes_first_and_ties_fall_to_the_smaller_id():
    ordering = order_tasks(pool_of([0.9, 0.5, 0.7, 0.3, 0.5]), random_share=0.0, seed=1)

    assert ordering.ids == (1, 4, 2, 3, 0)
    assert ordering.scores.tolist() == pytest.approx([1.0, 1.0, 0.6, 0.6, 0.2])


def test_another_seed_changes_only_who_is_drawn():
    pool = pool_of(np.linspace(0.5, 1.0, 200).tolist())
    first, other = order_tasks(pool, seed=1), order_tasks(pool, seed=2)

    assert first.reasons == other.reasons
    drawn = [{i for i, why in zip(o.ids, o.reasons, strict=True) if why == "random"} for o in (first, other)]
    assert drawn[0] != drawn[1]


def test_random_places_are_drawn_evenly_over_the_whole_pool():
    pool = pool_of(np.linspace(0.5, 1.0, 100).tolist())
    drawn = Counter()
    for seed in range(400):
        ordering = order_tasks(pool, seed=seed, size=6)
        drawn.update(i for i, why in zip(ordering.ids, ordering.reasons, strict=True) if why == "random")

    assert sum(drawn.values()) == 400
    third = np.array([sum(drawn[i] for i in range(low, low + 30)) for low in (10, 40, 70)])
    assert (np.abs(third - 400 * 30 / 95) < 45).all()  # four standard deviations


@pytest.mark.parametrize("strategy", ["margin", "uncertainty", "entropy"])
@pytest.mark.parametrize("pool", [pool_without_model(range(50), np.zeros(50)), pool_of([0.3] * 50)])
def test_with_equal_scores_the_order_is_random_by_seed(strategy, pool):
    first, same, other = (order_tasks(pool, strategy=strategy, random_share=0.0, seed=seed) for seed in (1, 1, 2))

    assert set(first.reasons) == {"random"}
    assert first.ids == same.ids != other.ids
    assert first.ids != tuple(range(50))


def test_a_new_task_does_not_reshuffle_a_random_order():
    before, after = (order_tasks(pool_without_model(range(n), np.zeros(n)), seed=1).ids for n in (50, 51))

    assert [task for task in after if task != 50] == list(before)


def test_an_empty_pool_and_one_row_are_answered():
    assert order_tasks(pool_without_model([], []), seed=1).ids == ()
    assert order_tasks(pool_without_model([7], [0.0]), seed=1).ids == (7,)
    assert order_tasks(Pool((7,), np.array([[np.nan, np.nan]]), np.zeros(1)), seed=1).reasons == ("unreadable",)


def test_oldest_asks_the_longest_waiting_first():
    pool = Pool((1, 2, 3), np.ones((3, 1)), np.array([5.0, 50.0, 0.0]))

    assert order_tasks(pool, strategy="oldest", random_share=0.0, seed=1).ids == (2, 1, 3)


def test_an_unknown_strategy_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownStrategy, match="did you mean 'margin'"):
        order_tasks(pool_of([0.5, 0.6]), strategy="margins", seed=1)


def test_a_strategy_that_needs_more_than_the_pool_has_names_what_is_missing():
    with pytest.raises(MissingInput, match="vectors"):
        order_tasks(pool_of([0.5, 0.6]), strategy="mkm", seed=1)
    with pytest.raises(MissingInput, match="committee"):
        order_tasks(pool_of([0.5, 0.6]), strategy="max_disagreement", seed=1)


@pytest.mark.parametrize("scores", [np.zeros(3), np.array([np.nan, 1.0]), np.zeros((2, 1))])
def test_a_strategy_that_breaks_its_contract_is_named(scores):
    def broken(pool, plan):
        return scores

    with pytest.raises(StrategyError, match="broken returned shape"):
        order_tasks(pool_of([0.5, 0.6]), strategy=broken, seed=1)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_and_1_is_refused(share):
    with pytest.raises(PlanError, match="random_share"):
        order_tasks(pool_of([0.5, 0.6]), random_share=share, seed=1)


def test_a_stream_that_runs_dry_leaves_its_places_to_the_others():
    places = interleave_streams([TaskStream("a", [1, 2, 3, 4, 5], 0.5), TaskStream("b", [6], 0.5)], size=9)

    assert places == [(1, "a"), (6, "b"), (2, "a"), (3, "a"), (4, "a"), (5, "a")]


@pytest.mark.timed
def test_fifty_thousand_tasks_of_77_classes_are_ordered_in_under_a_second():
    proba = np.random.default_rng(0).dirichlet(np.ones(77), size=50_000)
    pool = Pool(tuple(range(50_000)), proba, np.zeros(50_000))
    order_tasks(pool, seed=1, size=1)  # modAL is imported once

    start = time.process_time()
    order_tasks(pool, seed=1)

    assert time.process_time() - start < 1.0
