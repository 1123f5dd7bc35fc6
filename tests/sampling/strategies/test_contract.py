"""Every built-in strategy keeps the contract, and the contract catches who does not."""

from __future__ import annotations

import numpy as np
import pytest

from sampling import strategies
from sampling.errors import StrategyError
from sampling.testing import check_strategy


@pytest.mark.slow
@pytest.mark.parametrize("name", strategies.BUILTINS)
def test_a_built_in_strategy_keeps_the_contract(name):
    check_strategy(name)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (lambda pool, plan: np.zeros(3), "wanted"),
        (lambda pool, plan: np.full(len(pool), np.inf), "not finite"),
        (lambda pool, plan: np.zeros(len(pool), dtype=int), "floats"),
        (lambda pool, plan: np.random.default_rng().random(len(pool)), "other scores for the same pool"),
        (lambda pool, plan: pool.proba.__setitem__(0, 0.0), "read-only"),
        (lambda pool, plan: pool.vectors.__imul__(2.0).sum(axis=1), "read-only"),
    ],
)
def test_a_strategy_that_breaks_the_contract_is_caught(broken, sentence):
    with pytest.raises((StrategyError, ValueError), match=sentence):
        check_strategy(broken)


def test_an_entry_point_is_found_and_cannot_replace_a_built_in(monkeypatch):
    class Point:
        def __init__(self, name):
            self.name = name

        def load(self):
            return len

    monkeypatch.setattr(strategies, "entry_points", lambda group: [Point("mine"), Point("margin")])

    assert strategies.load("mine") is len
    assert strategies.load("margin") is not len
