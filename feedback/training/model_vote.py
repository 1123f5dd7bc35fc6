"""The model as one more voter: its out-of-fold predictions change the weights of training rows, nothing else."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from feedback.consensus.consensus import AggregatedLabels
from feedback.consensus.labelling_functions import combine_with_model
from feedback.training.dataset import Dataset, Row, single_label
from feedback.votes import Floats, Ints, VoteLike, Votes
from ml_backend.calibration import fit_temperature
from ml_backend.errors import NotTrained
from ml_backend.models import Recipe
from ml_backend.models.failing_rows import fit_rows, predict_rows
from ml_backend.number_format import format_percent

Bools = NDArray[np.bool_]

_FOLDS = 5
_MIN_ROWS = 50  # rows; a model of fewer knows less than the people whom it would judge
_MAX_ROWS = 20_000  # rows; beyond it five more trainings cost more than the weights bring
_MOST_VOTES = 3  # on one task: whom many people answered needs no model
_MOST_DOUBT = 0.02  # a model is never taken as surer than this of any label: people must be able to overrule it
_LEAST_WEIGHT_SHARE = 0.25  # of what people alone would give a row is always left: the model may doubt, not delete
_SURE_OF_PEOPLE = 0.8  # how sure people must be of an answer that the model is calibrated on
_LEAST_SURPRISE_REMOVED = 0.05  # of the log-loss of the class shares; a model below it is no voter
_MOST_ISSUES = 20  # reported answers


@dataclass(frozen=True, slots=True)
class LabelIssue:
    """A label that people and model together believe less than another one: a person should look at the task."""

    task: int
    label: str  # that people agree on now
    suggested: str
    probability: float  # that the suggestion is right


@dataclass(frozen=True, slots=True)
class ModelVote:
    """Weights of training rows by people and model together; empty where the model has no vote, with the reason."""

    weights: Mapping[int, float] = field(default_factory=dict, repr=False)  # by task
    label_issues: tuple[LabelIssue, ...] = ()  # the surest first
    reason: str = ""


def cross_validated_weights(
    rows: Sequence[Row],
    votes: Sequence[VoteLike],
    aggregated: AggregatedLabels,
    recipe: Recipe,
    *,
    field: str,
    dedup_keys: Mapping[int, str],
    seed: int,
    exclude: Collection[int] = (),
) -> ModelVote:
    """Return weights of training rows by the votes of people and of the model together.

    Five models each learn four fifths of the rows and predict the other fifth: no model votes on a row that it was
    trained on, or on a duplicate of it (`dedup_keys`, by task, are equal for duplicates). Rows with more than three
    votes, the tasks in `exclude` (review decided them), and labels that a model has not learned keep their weight.
    """
    if not _MIN_ROWS <= len(rows) <= _MAX_ROWS:
        return ModelVote(reason=f"{len(rows)} training rows; the model votes from {_MIN_ROWS} to {_MAX_ROWS}")
    labels = sorted({row.label for row in rows})
    code = {label: place for place, label in enumerate(labels)}
    y = np.array([code[row.label] for row in rows])
    proba = out_of_fold(rows, recipe, labels, field=field, dedup_keys=dedup_keys, seed=seed)
    given = Counter(vote.task for vote in votes)
    usable = np.isfinite(proba).all(axis=1)
    usable &= np.array([row.task not in exclude and 1 <= given[row.task] <= _MOST_VOTES for row in rows])
    if usable.sum() < _MIN_ROWS:
        return ModelVote(reason=f"the model has usable predictions for only {int(usable.sum())} rows")
    people = _vote_shares(rows, aggregated, labels) if aggregated.answers else None
    sound = usable if people is None else usable & (people[np.arange(len(y)), y] >= _SURE_OF_PEOPLE)
    proba = fit_temperature(proba[sound], y[sound], seed=seed).apply(proba)
    if people is not None:
        joint = people * _bounded(proba)
        joint /= joint.sum(axis=1, keepdims=True)
    elif (gain := _share_of_surprise_removed(proba[usable], y[usable])) < _LEAST_SURPRISE_REMOVED:
        return ModelVote(
            reason=f"the model explains only {format_percent(max(gain, 0.0))} of the answers, too little to vote"
        )
    else:
        joint = combine_with_model(_as_coded_votes(rows, votes, code), np.where(usable[:, None], proba, np.nan)).proba
    return _as_model_vote(rows, labels, y, joint, usable)


def reweighed(dataset: Dataset, vote: ModelVote) -> Dataset:
    """Return the data set with these weights and its own fingerprint; without weights the data set itself."""
    if not vote.weights:
        return dataset
    rows = tuple(
        replace(row, weight=vote.weights[row.task]) if row.role == "train" and row.task in vote.weights else row
        for row in dataset.rows
    )
    weights = "".join(f"\n{task}\t{weight}" for task, weight in sorted(vote.weights.items()))
    return replace(
        dataset, rows=rows, fingerprint=hashlib.sha256(f"{dataset.fingerprint}{weights}".encode()).hexdigest()
    )


def out_of_fold(
    rows: Sequence[Row], recipe: Recipe, labels: Sequence[str], *, field: str, dedup_keys: Mapping[int, str], seed: int
) -> Floats:
    """Return predictions (n, k) of models that learned neither the row nor its duplicates; NaN where there is none.

    A task that a model cannot read, or a row with an unknown label, is left out: this is not a doubt.
    """
    fold = np.array([zlib.crc32(f"{seed}/{dedup_keys.get(row.task, row.task)}".encode()) % _FOLDS for row in rows])
    weights = np.array([row.weight for row in rows])
    proba = np.full((len(rows), len(labels)), np.nan)
    column = {label: place for place, label in enumerate(labels)}
    for left_out in range(_FOLDS):
        learned, asked = np.flatnonzero(fold != left_out), np.flatnonzero(fold == left_out)
        try:
            model = fit_rows(
                recipe,
                [rows[at].data for at in learned],
                [rows[at].label for at in learned],
                field=field,
                weights=weights[learned] if weights.min() < 1.0 else None,
                seed=seed,
                names=[f"task {rows[at].task}" for at in learned],
            )
        except NotTrained:
            continue
        met = [at for at in asked if rows[at].label in model.classes]
        table = np.zeros((len(met), len(labels)))
        names = [f"task {rows[at].task}" for at in met]
        table[:, [column[label] for label in model.classes]] = predict_rows(
            model, [rows[at].data for at in met], names=names
        )
        proba[met] = table
    return proba


def _vote_shares(rows: Sequence[Row], aggregated: AggregatedLabels, labels: Sequence[str]) -> Floats:
    """Return the label probabilities (n, k) of each row by votes alone; all labels alike where there are no votes."""
    place = {label: at for at, answer in enumerate(aggregated.answers) if (label := single_label(answer)) is not None}
    table = np.ones((len(rows), len(labels)))
    by_task = aggregated.by_task
    voted = [at for at, row in enumerate(rows) if row.task in by_task]
    proba = np.array([by_task[rows[at].task].proba for at in voted]).reshape(len(voted), len(aggregated.answers))
    for column, label in enumerate(labels):  # a final answer may be one that nobody voted for
        table[voted, column] = proba[:, place[label]] if label in place else 0.0
    total = table.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(table, total, out=np.full_like(table, 1.0 / len(labels)), where=total > 0)
    return shares


def _bounded(proba: Floats) -> Floats:
    """Return predictions that are never quite sure; all labels alike where the model has none.

    Not divided by the class shares: our recipes weigh classes alike, and the votes bring the shares already.
    """
    k = proba.shape[1]
    rows: Floats = (1.0 - _MOST_DOUBT) * np.where(np.isfinite(proba), proba, 1.0 / k) + _MOST_DOUBT / k
    return rows


def _share_of_surprise_removed(proba: Floats, y: Ints) -> float:
    """Return the share of the log-loss of the class shares that the model removes; 0 or less where it removes none."""
    shares = (np.bincount(y, minlength=proba.shape[1]) + 1.0) / (len(y) + proba.shape[1])
    loss = -np.log(_bounded(proba)[np.arange(len(y)), y]).mean()
    return float(1.0 - loss / -np.log(shares[y]).mean())


def _as_coded_votes(rows: Sequence[Row], votes: Sequence[VoteLike], code: Mapping[str, int]) -> Votes:
    place = {row.task: at for at, row in enumerate(rows)}
    names = {person: at for at, person in enumerate(sorted({vote.person for vote in votes}))}
    listed = [
        (place[vote.task], names[vote.person], code[label])
        for vote in votes
        if vote.task in place and (label := single_label(vote.answer)) is not None and label in code
    ]
    tasks, people, labels = (np.array(column, dtype=np.int64) for column in zip(*listed, strict=True))
    return Votes(tasks, people, labels, len(rows), len(names), len(code))


def _as_model_vote(rows: Sequence[Row], labels: Sequence[str], y: Ints, joint: Floats, usable: Bools) -> ModelVote:
    k = len(labels)
    right = joint[np.arange(len(y)), y]
    lead = np.clip((k * right - 1.0) / (k - 1), 0.05, 1.0)
    weights = {
        row.task: round(float(max(lead[at], _LEAST_WEIGHT_SHARE * row.weight)), 2)
        for at, row in enumerate(rows)
        if usable[at]
    }
    best = joint.argmax(axis=1)
    doubted = [at for at in np.flatnonzero(usable & (best != y)) if joint[at, best[at]] >= _SURE_OF_PEOPLE]
    doubted.sort(key=lambda at: (-joint[at, best[at]], rows[at].task))
    label_issues = tuple(
        LabelIssue(rows[at].task, rows[at].label, labels[best[at]], round(float(joint[at, best[at]]), 3))
        for at in doubted[:_MOST_ISSUES]
    )
    return ModelVote(weights, label_issues)
