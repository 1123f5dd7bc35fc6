"""Every built-in measure and method keeps the contract, and the contract finds those that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from feedback import agreement, consensus
from feedback.agreement import Coefficient, krippendorff_alpha
from feedback.consensus import Consensus, majority_vote
from feedback.testing import ContractBroken, check_measure, check_method
from feedback.votes import Votes


@pytest.mark.parametrize("name", agreement.BUILTINS)
def test_every_measure_of_ours_keeps_the_contract(name: str):
    check_measure(name)


@pytest.mark.parametrize("name", consensus.BUILTINS)
def test_every_method_of_ours_keeps_the_contract(name: str):
    check_method(name)


def _without_an_interval(votes: Votes) -> Coefficient:
    return replace(krippendorff_alpha(votes), low=0.99, high=1.0)


def _by_first_come(votes: Votes) -> Coefficient:
    return (
        replace(krippendorff_alpha(votes), value=float(votes.labels[0]) / 10)
        if len(votes)
        else krippendorff_alpha(votes)
    )


def _raises_on_nothing(votes: Votes) -> Coefficient:
    if not len(votes):
        raise ZeroDivisionError
    return krippendorff_alpha(votes)


@pytest.mark.parametrize(
    ("measure", "promise"),
    [
        (_without_an_interval, "holds the value"),
        (_by_first_come, "make no difference|holds the value"),
        (lambda votes: replace(krippendorff_alpha(votes), items=1), "items are those"),
        (lambda votes: replace(krippendorff_alpha(votes), value=1.5, high=2.0), "more than fully"),
    ],
)
def test_a_measure_that_breaks_its_word_is_named(measure: Callable[[Votes], Coefficient], promise: str):
    with pytest.raises(ContractBroken, match=promise):
        check_measure(measure)


def test_a_measure_that_fails_on_nothing_does_not_pass():
    with pytest.raises(ZeroDivisionError):
        check_measure(_raises_on_nothing)


def _unsummed(votes: Votes) -> Consensus:
    return replace(majority_vote(votes), proba=majority_vote(votes).proba * 2.0)


def _by_the_first_person(votes: Votes) -> Consensus:
    """A label for each task by whoever has the lowest code: depends on what people are called."""
    fit = majority_vote(votes)
    labels, proba = fit.labels.copy(), fit.proba.copy()
    for row in np.argsort(-votes.people, kind="stable"):
        labels[votes.tasks[row]] = votes.labels[row]
    proba[fit.support > 0] = np.eye(votes.n_labels)[labels[fit.support > 0]]
    return replace(fit, labels=labels, proba=proba)


def _contrary(votes: Votes) -> Consensus:
    fit = majority_vote(votes)
    labels = np.where(fit.support > 0, (fit.labels + 1) % votes.n_labels, -1)
    return replace(
        fit, labels=labels, proba=np.where(fit.support[:, None] > 0, np.eye(votes.n_labels)[labels], fit.proba)
    )


@pytest.mark.parametrize(
    ("method", "promise"),
    [
        (_unsummed, "sum to 1"),
        (_by_the_first_person, "make no difference|what all"),
        (_contrary, "the label that all of four"),
        (
            lambda votes: replace(majority_vote(votes), labels=np.zeros(votes.n_tasks, dtype=np.int64)),
            "label -1|likeliest",
        ),
        (lambda votes: replace(majority_vote(votes), errors=np.ones((1, 1, 1))), "error rates"),
    ],
)
def test_a_method_that_breaks_its_word_is_named(method: Callable[[Votes], Consensus], promise: str):
    with pytest.raises(ContractBroken, match=promise):
        check_method(method)


def test_a_method_must_refuse_no_votes():
    def quiet(votes: Votes) -> Consensus:
        return majority_vote(votes if len(votes) else Votes([0, 1], [0, 0], [0, 1], 2, 1, 2))

    with pytest.raises(ContractBroken, match="VotesError"):
        check_method(quiet)
