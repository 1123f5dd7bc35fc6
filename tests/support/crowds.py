"""Crowds whose truth is known: what they say of data that models can learn, and what weighing them is worth."""

from __future__ import annotations

import csv
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedback.consensus.label_aggregation import AggregatedLabels, aggregate
from feedback.training import consensus_labels
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.dataset import Dataset, build
from feedback.training.model_vote import ModelVote, cross_validated_weights, reweighed
from feedback.training.trainer import train
from ml_backend.features.cache import FeatureCache
from ml_backend.label_config import Control
from ml_backend.models import Recipe
from ml_backend.models.image_classifier import ImageChoices
from ml_backend.models.text_classifier import TextChoices
from ml_backend.records import Answer, content_hash
from tests.support.recipe_tasks import inline_tasks

CARELESS = (0.95, 0.9, 0.9, 0.35)  # how often each of four people is right; the last is careless
_HATE = ("hate", "offensive", "neither")


@dataclass(frozen=True)
class VoteLike:
    """One vote, as the store gives it."""

    task: int
    person: int
    answer: Answer

    @property
    def annotation(self) -> int:
        return self.task * 100 + self.person


@dataclass(frozen=True)
class Task:
    """Data with a truth: what people answer, and what models are tried on."""

    data: tuple[Mapping[str, Any], ...]
    truth: tuple[str, ...]
    recipe: Recipe
    field: str = "x"

    @property
    def control(self) -> Control:
        return Control("c", "t", "choices", tuple(sorted(set(self.truth))), False, "text", self.field)


def votes_of(truth: Sequence[str], right: Sequence[float], *, shared: float, seed: int) -> list[VoteLike]:
    """One vote on most tasks, two on the share `shared` of them."""
    rng, labels = random.Random(seed), sorted(set(truth))
    votes = []
    for task, label in enumerate(truth):
        for person in rng.sample(range(len(right)), 2 if rng.random() < shared else 1):
            wrong = rng.choice([one for one in labels if one != label])
            votes.append(VoteLike(task, person, Answer("choices", (label if rng.random() < right[person] else wrong,))))
    return votes


def settle(votes: Iterable[Any], wanted: Mapping[int, int], **options: Any) -> ConsensusLabels:
    """What these votes settle; a task wants one vote where `wanted` has no other number."""
    by_task: dict[int, list[Any]] = {}
    for vote in votes:
        by_task.setdefault(vote.task, []).append(vote)
    in_order = {task: by_task[task] for task in sorted(by_task)}
    options["aggregated"] = options.get("aggregated") or {}
    settled, needs = consensus_labels.settle(in_order, lambda task: wanted.get(task, 1), **options)
    return ConsensusLabels(tuple(settled.values()), needs)


def rows_of(
    votes: Sequence[VoteLike], opinions: AggregatedLabels, data: Sequence[Mapping[str, Any]], control: Control
) -> Dataset:
    """The training rows that these votes settle."""
    settled = settle(votes, {}, max_votes=3, aggregated=opinions.by_task, sure=0.8).settled
    return build("c", control.labels, settled, dict(enumerate(data)), dict.fromkeys(range(len(data)), "train"))


def reweigh_with_model(
    dataset: Dataset, votes: Sequence[VoteLike], opinions: AggregatedLabels, recipe: Recipe, **options: Any
) -> ModelVote:
    """What people and model say of the rows together."""
    units = {row.task: content_hash(row.data) for row in dataset.rows}
    return cross_validated_weights(
        dataset.of("train"), votes, opinions, recipe, field="x", dedup_keys=units, seed=0, **options
    )


def gains(task: Task, seed: int) -> tuple[float, float]:
    """Accuracy of a model by the weights of people and model together, over equal ones and over those of people alone.

    240 rows are learned from the careless crowd's votes, mostly single ones; 600 others judge.
    """
    order = np.random.default_rng(seed).permutation(len(task.truth)).tolist()
    learned, unseen = order[:240], order[240:840]
    data, truth = [task.data[at] for at in learned], [task.truth[at] for at in learned]
    votes = votes_of(truth, CARELESS, shared=0.15, seed=seed)
    opinions = aggregate(votes, by="auto")
    people = rows_of(votes, opinions, data, task.control)
    equal = rows_of(votes, AggregatedLabels(), data, task.control)
    equal = replace(equal, rows=tuple(replace(row, weight=1.0) for row in equal.rows))
    both = reweighed(people, reweigh_with_model(people, votes, opinions, task.recipe))

    def accuracy(dataset: Dataset) -> float:
        bundle = train(dataset, task.control, task.recipe, config_hash="h", seed=0, now_s=0.0)
        best = bundle.proba([task.data[at] for at in unseen]).argmax(axis=1)
        return float(np.mean([bundle.classes[one] == task.truth[at] for one, at in zip(best, unseen, strict=True)]))

    return accuracy(both) - accuracy(equal), accuracy(both) - accuracy(people)


@cache
def sms() -> Task:
    """Text messages that are spam or not."""
    return _texts("sms_spam/sms.csv", lambda row: (row["text"], row["label"]))


@cache
def hate_speech() -> Task:
    """Tweets that most of their readers called hate, offensive or neither."""
    return _texts("hate_speech_davidson/labeled_data.csv", lambda row: (row["tweet"], _HATE[int(row["class"])]))


@cache
def handwriting() -> Task:
    """scikit-learn's digits, as the pictures that our own recipe makes of them."""
    made = inline_tasks("digits", limit=900)
    data = tuple({"x": task["image"]} for task in made.tasks)
    return Task(data, tuple(made.truth), ImageChoices(cache=FeatureCache()))


def shared_sets() -> Path:
    """The folder of real data sets; skips the test without one."""
    folder = os.environ.get("HITL_DATA_SETS")
    if not folder:
        pytest.skip("HITL_DATA_SETS is not set")
    return Path(folder)


def _texts(file: str, read: Callable[[dict[str, str]], tuple[str, str]]) -> Task:
    with (shared_sets() / file).open(encoding="utf-8") as rows:
        listed = [read(row) for row in csv.DictReader(rows)]
    recipe = TextChoices(cache=FeatureCache())
    return Task(tuple({"x": text} for text, _ in listed), tuple(label for _, label in listed), recipe)
