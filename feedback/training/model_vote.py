"""The model as one more voter: what it says of answers that it never learned, for their weight in training alone."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from feedback.consensus.consensus import AggregatedLabels
from feedback.consensus.label_aggregation import VoteLike
from feedback.consensus.labelling_functions import combine_voters
from feedback.training.dataset import Dataset, Row, single_label
from feedback.votes import Floats, Ints, Votes
from ml_backend.calibration import fit_temperature
from ml_backend.errors import NotTrained
from ml_backend.models import Recipe

Bools = NDArray[np.bool_]

_FOLDS = 5
_FEWEST = 50  # rows; a model of fewer knows less than the people whom it would judge
_MOST = 20_000  # rows; beyond it five more trainings cost more than the weights bring
_MOST_VOTES = 3  # on one task: whom many people answered needs no model
_SURE = 0.02  # a model is never taken as surer than this of any label: people must be able to overrule it
_SILENCED = 0.25  # of what people alone would give a row is always left: the model may doubt, not delete
_SOUND = 0.8  # how sure people must be of an answer that the model is calibrated on
_TELLS = 0.05  # share of the surprise in the class shares that the model takes away; below it nothing is learnt from it
_DOUBTED = 20  # answers that are told of


@dataclass(frozen=True, slots=True)
class LabelIssue:
    """An answer of people's that people and model together believe less than another one: a person should look."""

    task: int
    label: str  # that people agree on now
    suggested: str
    probability: float  # that the suggestion is right


@dataclass(frozen=True, slots=True)
class ModelVote:
    """What people and model say together of training rows; nothing where the model has no vote, and `reason` why."""

    weights: Mapping[int, float] = field(default_factory=dict, repr=False)  # by task
    label_issues: tuple[LabelIssue, ...] = ()  # the surest first
    reason: str = ""


def cross_validated_weights(
    rows: Sequence[Row],
    votes: Sequence[VoteLike],
    opinions: AggregatedLabels,
    recipe: Recipe,
    *,
    field: str,
    units: Mapping[int, str],
    seed: int,
    but: Collection[int] = (),
) -> ModelVote:
    """Weigh training rows by people and model together.

    Five models each learn four fifths of the rows and speak of the other fifth alone: no model votes on a row that it
    was trained on, nor on a twin of it (`units` names what is equal). Rows with more than three votes, the tasks in
    `but` (review decided them), and labels that a fold's model never met keep the weight that people give.
    """
    if not _FEWEST <= len(rows) <= _MOST:
        return ModelVote(reason=f"{len(rows)} training rows; the model votes from {_FEWEST} to {_MOST}")
    labels = sorted({row.label for row in rows})
    code = {label: place for place, label in enumerate(labels)}
    y = np.array([code[row.label] for row in rows])
    said = out_of_fold(rows, recipe, labels, field=field, units=units, seed=seed)
    given = Counter(vote.task for vote in votes)
    heard = np.isfinite(said).all(axis=1)
    heard &= np.array([row.task not in but and 1 <= given[row.task] <= _MOST_VOTES for row in rows])
    if heard.sum() < _FEWEST:
        return ModelVote(reason=f"the model can speak of {int(heard.sum())} rows only")
    people = _people(rows, opinions, labels) if opinions.rows else None
    sound = heard if people is None else heard & (people[np.arange(len(y)), y] >= _SOUND)
    said = fit_temperature(said[sound], y[sound], seed=seed).apply(said)
    if people is not None:
        together = people * _bounded(said)
        together /= together.sum(axis=1, keepdims=True)
    elif (told := _tells(said[heard], y[heard])) < _TELLS:
        return ModelVote(
            reason=f"the model takes away {max(told, 0):.0%} of the surprise, too little to judge people by"
        )
    else:
        together = combine_voters(_coded(rows, votes, code), model=np.where(heard[:, None], said, np.nan)).proba
    return _heard(rows, labels, y, together, heard)


def reweighed(dataset: Dataset, heard: ModelVote) -> Dataset:
    """The same rows with these weights, under a fingerprint of their own; without weights the data set itself."""
    if not heard.weights:
        return dataset
    rows = tuple(
        replace(row, weight=heard.weights[row.task]) if row.role == "train" and row.task in heard.weights else row
        for row in dataset.rows
    )
    told = "".join(f"\n{task}\t{weight}" for task, weight in sorted(heard.weights.items()))
    return replace(dataset, rows=rows, fingerprint=hashlib.sha256(f"{dataset.fingerprint}{told}".encode()).hexdigest())


def out_of_fold(
    rows: Sequence[Row], recipe: Recipe, labels: Sequence[str], *, field: str, units: Mapping[int, str], seed: int
) -> Floats:
    """(n, k) what a model that learned neither the row nor its twins says of it; NaN where it cannot say.

    It cannot of a task that it cannot read, nor of a row whose label it never met: silence is no doubt.
    """
    fold = np.array([zlib.crc32(f"{seed}/{units.get(row.task, row.task)}".encode()) % _FOLDS for row in rows])
    weights = np.array([row.weight for row in rows])
    said = np.full((len(rows), len(labels)), np.nan)
    column = {label: place for place, label in enumerate(labels)}
    for left_out in range(_FOLDS):
        learned, asked = np.flatnonzero(fold != left_out), np.flatnonzero(fold == left_out)
        try:
            model = recipe.fit(
                [rows[at].data for at in learned],
                [rows[at].label for at in learned],
                field=field,
                weights=weights[learned] if weights.min() < 1.0 else None,
                seed=seed,
            )
        except NotTrained:
            continue
        met = [at for at in asked if rows[at].label in model.classes]
        table = np.zeros((len(met), len(labels)))
        table[:, [column[label] for label in model.classes]] = model.predict_proba([rows[at].data for at in met])
        said[met] = table
    return said


def _people(rows: Sequence[Row], opinions: AggregatedLabels, labels: Sequence[str]) -> Floats:
    """(n, k) what votes alone say of each row; every label alike where they say nothing."""
    place = {label: at for at, answer in enumerate(opinions.answers) if (label := single_label(answer)) is not None}
    table = np.ones((len(rows), len(labels)))
    voted = [at for at, row in enumerate(rows) if row.task in opinions.rows]
    for column, label in enumerate(labels):  # a final answer may be one that nobody voted for
        table[voted, column] = [opinions.rows[rows[at].task][place[label]] for at in voted] if label in place else 0.0
    total = table.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(table, total, out=np.full_like(table, 1.0 / len(labels)), where=total > 0)
    return shares


def _bounded(said: Floats) -> Floats:
    """Never quite sure; where the model says nothing, every label is as good.

    Not divided by the class shares: our recipes weigh classes alike, and the votes bring the shares already.
    """
    k = said.shape[1]
    rows: Floats = (1.0 - _SURE) * np.where(np.isfinite(said), said, 1.0 / k) + _SURE / k
    return rows


def _tells(said: Floats, y: Ints) -> float:
    """How much of the log-loss of always saying the class shares the model takes away; 0 or less: nothing."""
    shares = (np.bincount(y, minlength=said.shape[1]) + 1.0) / (len(y) + said.shape[1])
    loss = -np.log(_bounded(said)[np.arange(len(y)), y]).mean()
    return float(1.0 - loss / -np.log(shares[y]).mean())


def _coded(rows: Sequence[Row], votes: Sequence[VoteLike], code: Mapping[str, int]) -> Votes:
    place = {row.task: at for at, row in enumerate(rows)}
    names = {person: at for at, person in enumerate(sorted({vote.person for vote in votes}))}
    listed = [
        (place[vote.task], names[vote.person], code[label])
        for vote in votes
        if vote.task in place and (label := single_label(vote.answer)) is not None and label in code
    ]
    tasks, people, labels = (np.array(column, dtype=np.int64) for column in zip(*listed, strict=True))
    return Votes(tasks, people, labels, len(rows), len(names), len(code))


def _heard(rows: Sequence[Row], labels: Sequence[str], y: Ints, together: Floats, heard: Bools) -> ModelVote:
    k = len(labels)
    right = together[np.arange(len(y)), y]
    lead = np.clip((k * right - 1.0) / (k - 1), 0.05, 1.0)
    weights = {
        row.task: round(float(max(lead[at], _SILENCED * row.weight)), 2) for at, row in enumerate(rows) if heard[at]
    }
    best = together.argmax(axis=1)
    doubted = [at for at in np.flatnonzero(heard & (best != y)) if together[at, best[at]] >= _SOUND]
    doubted.sort(key=lambda at: (-together[at, best[at]], rows[at].task))
    label_issues = tuple(
        LabelIssue(rows[at].task, rows[at].label, labels[best[at]], round(float(together[at, best[at]]), 3))
        for at in doubted[:_DOUBTED]
    )
    return ModelVote(weights, label_issues)
