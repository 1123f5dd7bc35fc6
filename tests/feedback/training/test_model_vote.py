"""The model votes on training weights, out of fold and never on an answer; what is trained so is better."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from feedback.consensus.label_aggregation import AggregatedLabels, aggregate
from feedback.training.dataset import Dataset, Row, build
from feedback.training.model_vote import ModelVote, cross_validated_weights, out_of_fold, reweighed
from ml_backend.errors import NotTrained
from ml_backend.label_config import Control
from ml_backend.records import Answer
from tests.support.crowds import Task, VoteLike, gains, handwriting, reweigh_with_model, rows_of, settle, sms, votes_of

SEEDS = range(9)


@dataclass
class Spy:
    """A recipe that remembers what it was fitted on; its models know which word means what, and whom they answered."""

    fits: list[tuple[list[str], list[str], np.ndarray | None]] = field(default_factory=list)
    asked: list[tuple[int, str]] = field(default_factory=list)
    name: str = "spy/1"

    def fit(self, data: Any, labels: Any, *, field: str, weights: Any = None, seed: int = 0) -> Any:
        if len(set(labels)) < 2:
            raise NotTrained("one class")
        self.fits.append(([row[field] for row in data], list(labels), weights))
        return SpyModel(self, len(self.fits) - 1, tuple(sorted(set(labels))), field)

    def vectors(self, data: Any, *, field: str) -> Any:
        raise AssertionError("nobody asks for vectors here")

    def load(self, state: Any) -> Any:
        raise AssertionError("nobody loads it")


@dataclass
class SpyModel:
    spy: Spy
    number: int
    classes: tuple[str, ...]
    field: str

    def predict_proba(self, data: Any) -> Any:
        table = np.full((len(data), len(self.classes)), 0.02 / max(len(self.classes) - 1, 1))
        for at, row in enumerate(data):
            self.spy.asked.append((self.number, row[self.field]))
            table[at, self.classes.index(row[self.field][0])] = 0.98
        return table

    def vectors(self, data: Any) -> Any:
        raise AssertionError

    def state(self) -> Any:
        return {}


def words(n: int, seed: int = 0, repeats: int = 1) -> tuple[list[dict[str, str]], list[str]]:
    """Texts whose first letter is their truth; each text stands `repeats` times, as twins do."""
    rng = random.Random(seed)
    texts = [f"{rng.choice('ab')}{number}" for number in range(n // repeats) for _ in range(repeats)]
    return [{"x": text} for text in texts], [text[0] for text in texts]


def test_no_model_votes_on_a_row_that_it_was_trained_on_nor_on_a_twin_of_it():
    data, truth = words(120, repeats=3)
    votes = votes_of(truth, (0.9, 0.9, 0.9), shared=0.3, seed=1)
    opinions, spy = aggregate(votes, by="auto"), Spy()
    dataset = rows_of(votes, opinions, data, Control("c", "t", "choices", ("a", "b"), False, "text", "x"))
    reweighted = reweigh_with_model(dataset, votes, opinions, spy)

    assert len(spy.fits) == 5
    assert len(spy.asked) == len(dataset.of("train")) == len(reweighted.weights)
    for number, text in spy.asked:
        assert text not in spy.fits[number][0]


def test_a_label_that_a_fold_never_met_is_not_doubted():
    data, truth = words(100)
    data[7], truth[7] = {"x": "c7"}, "c"
    votes = votes_of(truth, (0.95, 0.95, 0.95), shared=0.3, seed=2)
    votes = [one for one in votes if one.task != 7] + [VoteLike(7, 0, Answer("choices", ("c",)))]
    opinions = aggregate(votes, by="auto")
    dataset = rows_of(votes, opinions, data, Control("c", "t", "choices", ("a", "b", "c"), False, "text", "x"))

    assert 7 not in reweigh_with_model(dataset, votes, opinions, Spy()).weights
    rows, labels = dataset.of("train"), ["a", "b", "c"]
    proba = out_of_fold(rows, Spy(), labels, field="x", dedup_keys={}, seed=0)
    assert [row.task for row, known in zip(rows, np.isfinite(proba).all(axis=1), strict=True) if not known] == [7]


def test_audit_rows_rows_of_review_and_rows_of_many_votes_keep_their_weight():
    data, truth = words(140)
    votes = votes_of(truth, (0.95, 0.9, 0.9, 0.4), shared=0.3, seed=3)
    votes = [one for one in votes if one.task != 5]
    votes += [VoteLike(5, person, Answer("choices", (truth[5] if person else "b",))) for person in range(4)]
    opinions = aggregate(votes, by="auto")
    control = Control("c", "t", "choices", ("a", "b"), False, "text", "x")
    settled = settle(votes, {}, max_votes=3, aggregated=opinions.by_task, sure=0.8).settled
    roles = {task: "judge" if task < 3 else "train" for task in range(140)}
    dataset = build("c", control.labels, settled, dict(enumerate(data)), roles)
    reweighted = reweigh_with_model(dataset, votes, opinions, Spy(), exclude={9, 10})

    assert reweighted.weights
    assert not reweighted.weights.keys() & {0, 1, 2, 5, 9, 10}
    before, after = ({row.task: row for row in one.rows} for one in (dataset, reweighed(dataset, reweighted)))
    assert {task: (row.label, row.role, row.annotations) for task, row in before.items()} == {
        task: (row.label, row.role, row.annotations) for task, row in after.items()
    }
    assert [after[task] for task in (0, 1, 2, 5, 9, 10) if task in after] == [
        before[task] for task in (0, 1, 2, 5, 9, 10) if task in before
    ]


def test_a_model_that_contradicts_takes_weight_but_never_all_of_it_and_never_the_answer():
    data, truth = words(200)
    votes = votes_of(truth, (0.95, 0.9, 0.9), shared=0.3, seed=4)
    opinions = aggregate(votes, by="auto")
    dataset = rows_of(votes, opinions, data, Control("c", "t", "choices", ("a", "b"), False, "text", "x"))
    reweighted = reweigh_with_model(dataset, votes, opinions, Spy())
    wrong = [row for row in dataset.rows if row.label != truth[row.task]]

    assert len(wrong) > 5
    assert np.mean([reweighted.weights[row.task] for row in wrong]) < 0.75 * np.mean([row.weight for row in wrong])
    assert all(reweighted.weights[row.task] >= 0.25 * row.weight - 0.01 for row in wrong)
    assert {issue.task for issue in reweighted.label_issues} <= {row.task for row in wrong}
    assert all(issue.suggested == truth[issue.task] != issue.label for issue in reweighted.label_issues)


def test_a_model_that_knows_nothing_has_no_vote_on_single_answers():
    rng = random.Random(1)
    data, _ = words(200)
    votes = [VoteLike(task, 0, Answer("choices", (rng.choice("ab"),))) for task in range(200)]
    opinions = aggregate(votes, by="auto")
    dataset = rows_of(votes, opinions, data, Control("c", "t", "choices", ("a", "b"), False, "text", "x"))
    reweighted = reweigh_with_model(dataset, votes, opinions, Spy())

    assert not reweighted.weights
    assert "too little to vote" in reweighted.reason
    assert reweighed(dataset, reweighted) is dataset


def test_one_careless_person_of_two_is_found_by_the_model_where_no_task_is_shared():
    data, truth = words(300)
    votes = votes_of(truth, (0.95, 0.5), shared=0.0, seed=5)
    dataset = rows_of(votes, AggregatedLabels(), data, Control("c", "t", "choices", ("a", "b"), False, "text", "x"))
    reweighted = reweigh_with_model(dataset, votes, AggregatedLabels(), Spy())
    by = {vote.task: vote.person for vote in votes}
    weight = {p: np.mean([w for task, w in reweighted.weights.items() if by[task] == p]) for p in (0, 1)}

    assert weight[0] > weight[1] + 0.2


def test_few_rows_are_left_to_people_and_other_weights_are_another_data_set():
    row = Row(1, "train", "a", {"x": "a1"}, (1,), 1.0)
    few = cross_validated_weights([row] * 20, [], AggregatedLabels(), Spy(), field="x", dedup_keys={}, seed=0)
    dataset = Dataset("c", (row,), "f")

    assert few == ModelVote(reason="20 training rows; the model votes from 50 to 20000")
    weighed = reweighed(dataset, ModelVote({1: 0.4}))
    assert (weighed.rows[0].weight, weighed.fingerprint != "f") == (0.4, True)
    assert reweighed(dataset, ModelVote({1: 0.4})) == weighed


@pytest.mark.slow
@pytest.mark.parametrize("task", [sms, handwriting])
def test_with_a_careless_annotator_the_weights_make_the_model_better(task: Callable[[], Task]):
    """Several seeds, and the interval of the gain excludes none: over equal weights, and over people's alone."""
    made = task()
    gained = np.array([gains(made, seed) for seed in SEEDS])  # (seeds, 2)
    mean, reach = gained.mean(axis=0), 2.306 * gained.std(axis=0, ddof=1) / np.sqrt(len(gained))  # Student, 8 degrees

    assert mean[0] - reach[0] > 0.0, f"over equal weights {mean[0]:+.3f} ± {reach[0]:.3f}"
    assert mean[1] - reach[1] > 0.0, f"over people's weights {mean[1]:+.3f} ± {reach[1]:.3f}"
