"""How good a recipe is on rows with a known label: train on some, test on the others, over several seeds."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedback.errors import FileError
from feedback.reports.labelled_file import FIELD, LabelledFile
from feedback.stats import classifier_scores as scores
from feedback.stats.intervals import Interval, json_number
from ml_backend.left_out import collect_left_out, describe_reasons, name_some
from ml_backend.models import Recipe
from ml_backend.models.failing_rows import fit_rows, predict_rows
from ml_backend.number_format import format_counted

_TEST_SHARE = 0.2  # of each label, where there is no file of test rows
_MOST_LABELS_SHARE = 0.5  # of the rows: a column with more different values is free text, or a number
_BATCH = 500  # rows between two reports of the progress

Places = NDArray[np.int64]
Report = Callable[[str, int, int], None]  # what is done, how much of it, of how much


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one recipe on one file; those of several seeds are means."""

    recipe: str
    labels: tuple[str, ...]  # (k,) of the training and test rows, sorted
    metrics: dict[str, Interval]
    per_seed: list[dict[str, float]]
    counts: NDArray[np.int64]  # (k, k + 1) `confusion_counts` of all seeds together
    n_train: int
    n_test: int
    seconds: float
    notes: list[str] = field(default_factory=list)  # sentences without a full stop

    @property
    def by_label(self) -> dict[str, dict[str, Any]]:
        """Return F1 and the number of test rows of each label, the least F1 first."""
        f1, rows = scores.f1_by_class(self.counts), self.counts.sum(axis=1) / len(self.per_seed)
        order = sorted(range(len(self.labels)), key=lambda place: (np.nan_to_num(f1[place], nan=2.0), place))
        return {
            self.labels[place]: {"f1": json_number(f1[place]), "n_test": json_number(rows[place], 1)} for place in order
        }

    @property
    def baseline(self) -> float:
        """Return the accuracy of whoever always gives the most frequent label of the test rows."""
        return float(self.counts.sum(axis=1).max() / max(self.counts.sum(), 1))


def evaluate_recipe(
    recipe: Recipe, rows: LabelledFile, test: LabelledFile | None, *, n_labels: int, n_seeds: int, report: Report
) -> Evaluation:
    """Train and test a recipe on labelled rows, and return the mean figures over the seeds 0, 1, ...

    Without `test` rows a fifth of each label is drawn for them; copies of one content stay on one side, as in the loop.
    With `n_labels` above 0 only so many training rows are drawn, each as likely as the others. A test row without a
    prediction counts as wrong. FileError where all rows have one label, or hardly two the same; NotTrained where those
    that are drawn have one.
    """
    _check_labels(rows.labels)
    started = time.monotonic()
    labels = tuple(sorted({*rows.labels, *(test.labels if test else ())}))
    place = {label: at for at, label in enumerate(labels)}
    data, truth = rows.data, np.array([place[label] for label in rows.labels])
    tested, tested_truth = (data, truth) if test is None else (test.data, np.array([place[n] for n in test.labels]))
    # without a draw, each seed would repeat the first
    seeds = range(n_seeds if test is None or 0 < n_labels < len(data) else 1)
    with collect_left_out() as left_out:
        for part in (data,) if test is None else (data, tested):
            _compute_features(recipe, part, report)
        done = []
        for seed in seeds:
            report(f"train and test, seed {seed}", seed, len(seeds))
            train, chosen = _split(rows, seed) if test is None else (np.arange(len(data)), np.arange(len(tested)))
            drawn = np.random.default_rng([seed, 1]).permutation(train)[: n_labels or None]
            learned = [data[at] for at in drawn], [rows.labels[at] for at in drawn]
            model = fit_rows(recipe, *learned, field=FIELD, seed=seed)
            proba = predict_rows(model, [tested[at] for at in chosen])
            columns = np.array([place[label] for label in model.classes])
            done.append((len(drawn), *_score(proba, columns, tested_truth[chosen], len(labels), seed)))
    counts = np.sum([counts for *_, counts in done], axis=0)
    metrics = {name: scores.mean_interval([each[name] for _, each, _ in done]) for name in done[0][1]}
    notes = [*rows.notes, *(test.notes if test else ()), *_describe_copies(rows, test)]
    notes += [what.rstrip(".") for what in describe_reasons(left_out.rows)]
    if (n_most := max(n for n, *_ in done)) < n_labels:
        notes.append(f"there are only {format_counted(n_most, 'training row', 'training rows')}")
    if unread := int(counts[:, -1].sum()):
        notes.append(f"{format_counted(unread, 'test row has', 'test rows have')} no prediction, and count as wrong")
    return Evaluation(
        recipe=recipe.name,
        labels=labels,
        metrics=metrics,
        per_seed=[{name: each.value for name, each in figures.items()} for _, figures, _ in done],
        counts=counts,
        n_train=round(np.mean([n for n, *_ in done])),
        n_test=round(counts.sum() / len(done)),
        seconds=time.monotonic() - started,
        notes=[*notes, *_describe_fields(model)],
    )


def _check_labels(labels: Sequence[str]) -> None:
    n, known = len(labels), len(set(labels))
    if known < 2:
        raise FileError(
            f"every row has the label {labels[0]!r}; a model learns to tell at least two labels apart.",
            hint="Add rows with another label, or name another column with --label.",
        )
    if known > max(2.0, _MOST_LABELS_SHARE * n):
        raise FileError(
            f"the labels have {known} different values in {n} rows: those are no labels.",
            hint="--label names the column with the label that people gave.",
        )


def _describe_fields(model: Any) -> list[str]:
    """Return a sentence, without a full stop, on the fields of the last model that are not read; [] without one."""
    left_out = getattr(model, "card", {}).get("fields_left_out", {})
    named = [f"{name.removeprefix(f'{FIELD}.')!r} ({why})" for name, why in left_out.items()]
    return [f"columns that the model does not read: {name_some(named)}"] if named else []


def _compute_features(recipe: Recipe, data: Sequence[dict[str, Any]], report: Report) -> None:
    """Read all rows once, so that the cache has their features: it takes longest, and its progress can be shown."""
    for start in range(0, len(data), _BATCH):
        report("read the rows", start, len(data))
        with suppress(Exception):  # a plug-in may fail over one row; training and prediction leave it out
            recipe.vectors(data[start : start + _BATCH], field=FIELD)


def _split(rows: LabelledFile, seed: int) -> tuple[Places, Places]:
    """Return the places of the training and of the test rows; a label with one content is for training."""
    members: dict[Hashable, list[int]] = {}
    for place, content in enumerate(rows.keys):
        members.setdefault(content, []).append(place)
    by_label: dict[str, list[list[int]]] = {}
    for places in members.values():
        by_label.setdefault(rows.labels[places[0]], []).append(places)
    rng, train, test = np.random.default_rng(seed), list[int](), list[int]()
    for label in sorted(by_label):
        groups = by_label[label]
        n_test = max(1, round(_TEST_SHARE * len(groups))) if len(groups) > 1 else 0
        for rank, at in enumerate(rng.permutation(len(groups))):
            (test if rank < n_test else train).extend(groups[at])
    return np.sort(np.array(train, np.int64)), np.sort(np.array(test, np.int64))


def _score(
    proba: NDArray[np.float64], columns: Places, truth: Places, n_labels: int, seed: int
) -> tuple[dict[str, Interval], Places]:
    """Return the figures of one seed, and its confusion counts; `columns` has the number of each class of `proba`."""
    unread = np.isnan(proba[:, 0])
    guess = np.where(unread, -1, columns[np.nan_to_num(proba).argmax(axis=1)])
    counts = scores.confusion_counts(truth, guess, n_classes=n_labels)
    figures = {"accuracy": scores.accuracy(counts), "macro_f1": scores.macro_f1(counts, seed=seed)}
    if n_labels == 2 and len(columns) == 2:
        figures["auc"] = scores.roc_auc(truth == 1, np.where(unread, 0.5, proba[:, 1]))
    return figures, counts


def _describe_copies(rows: LabelledFile, test: LabelledFile | None) -> list[str]:
    """Return a sentence on rows with the content of another row: they would flatter a model on both sides."""
    known = set(rows.keys)
    if test is not None:
        copies = sum(content in known for content in test.keys)
        what = "test row is also a training row", "test rows are also training rows"
        return [f"{format_counted(copies, *what)}, which flatters the model"] if copies else []
    copies = len(rows.contents) - len(known)
    what = "row is a copy of another", "rows are copies of others"
    return [f"{format_counted(copies, *what)}; copies are drawn together"] if copies else []
