"""The classifier of tables: numbers, categories and short lists under logistic regression or boosted trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import NotTrained
from ml_backend.features.cache import FeatureCache
from ml_backend.features.column_schema import read_number, read_options
from ml_backend.features.task_columns import FieldRule, TaskColumns, fit_columns, list_fields
from ml_backend.models import Floats, Tasks, Vectors
from ml_backend.models.boosted_trees import BoostedTrees, fit_trees
from ml_backend.models.explanations import Contribution, sum_by_name
from ml_backend.models.logistic_regression import fit_logistic, softmax
from ml_backend.records import field_value

_MIN_ROWS_FOR_TREES = 100  # with fewer, a comparison of both models is chance
_FOLDS, _ONE_FOLD_ROWS = 3, 2_000  # from so many rows on one fold is enough
_SIZE = 128  # of vectors
_EPS = 1e-6


class TableModel:
    """A fitted classifier of tables: under 1 ms for one task."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = state
        self.card: Mapping[str, Any] = state.get("card", {})
        self.classes: tuple[str, ...] = tuple(state["classes"])
        self._field: str = state["field"]
        self._columns = TaskColumns.load(state["columns"])
        self._trees: BoostedTrees | None = None
        if "roots" in state:
            self._trees = BoostedTrees(state, len(self.classes))
            return
        self._coef: Vectors = state["coef"]  # (b, k)
        self._intercept: Vectors = state["intercept"]  # (k,)
        b, k = len(self._columns.names), len(self.classes)
        if (self._coef.shape, self._intercept.shape) != ((b, k), (k,)):
            raise ValueError(f"coefficients {self._coef.shape} do not fit {b} columns and {k} classes")

    def state(self) -> Mapping[str, Any]:
        return self._state

    def predict_proba(self, data: Tasks) -> Floats:
        proba = np.full((len(data), len(self.classes)), np.nan)
        readable = _readable(data, self._field)
        rows = [data[at] for at in np.flatnonzero(readable)]
        if rows and self._trees is not None:
            proba[readable] = self._trees.predict_proba(self._columns.table(rows))
        elif rows:
            proba[readable] = softmax(self._columns.matrix(rows) @ self._coef + self._intercept)
        return proba

    def vectors(self, data: Tasks) -> Vectors:
        return _vectors(data, self._field)

    def explain(self, item: Mapping[str, Any], answer: str, other: str) -> list[Contribution]:
        """Return what each field contributed to class `answer` against class `other`."""
        if not _readable([item], self._field)[0]:
            return []
        first, second = self.classes.index(answer), self.classes.index(other)
        if self._trees is None:
            parts = self._columns.contributions(item, self._coef[:, first] - self._coef[:, second])
        else:
            added = self._trees.contributions(self._columns.table([item])[0], first, second)
            parts = zip(self._columns.table_names(item), added.tolist(), strict=True)
        return sum_by_name((name.removeprefix(f"{self._field}."), weight) for name, weight in parts)


class TableChoices:
    """The recipe for one label per table, an object or a list of objects with key and value.

    Fields beside the table are read, too. From 100 rows the better of logistic regression and boosted trees is taken,
    by the loss on held-out training rows. On census data (AUC, 2,500 test rows) logistic regression leads up to 500
    rows (0.871 to 0.841 at 200) and trees from 1,000 (0.900 to 0.895; at 12,000 0.920, scikit-learn's one-hot and
    scaled logistic regression 0.902). On a generated rule of three fields trees lead at once (accuracy 0.97 to 0.93 at
    100), so that no single number of rows suits both.
    """

    name = "table-choices/1"

    def __init__(
        self,
        *,
        cache: FeatureCache[Any] | None = None,  # noqa: ARG002 - reading a field takes less than looking it up
        rule: FieldRule | None = None,
    ) -> None:
        self._rule = rule or FieldRule()
        self.name += self._rule.suffix

    def fit(
        self, data: Tasks, labels: Sequence[str], *, field: str, weights: Floats | None = None, seed: int = 0
    ) -> TableModel:
        readable = _readable(data, field)
        keep = np.flatnonzero(readable)
        rows, answers = [data[at] for at in keep], [labels[at] for at in keep]
        if not rows:
            raise NotTrained(f"none of {len(data)} rows has a table in the field {field!r}.")
        columns = fit_columns(rows, self._rule)
        if not columns.names:
            why = "; ".join(f"{name}: {reason}" for name, reason in list(columns.left_out.items())[:5])
            raise NotTrained(f"no field of {len(rows)} rows is a number, a category or a short list ({why}).")
        counted = None if weights is None else weights[keep]
        X, table = columns.matrix(rows), columns.table(rows)
        model: dict[str, Any] = {"field": field, "columns": columns.state(), "card": columns.card()}
        if len(rows) >= _MIN_ROWS_FOR_TREES and _prefers_trees(X, table, answers, columns, counted, seed):
            trees = fit_trees(table, answers, is_category=columns.is_category, weights=counted, seed=seed)
            model |= {"classes": tuple(sorted(set(answers))), **trees.arrays}
        else:
            names, coef, intercept = fit_logistic(X, answers, weights=counted, seed=seed)
            model |= {"classes": names, "coef": coef, "intercept": intercept}
        return TableModel(model)

    def vectors(self, data: Tasks, *, field: str) -> Vectors:
        return _vectors(data, field)

    def load(self, state: Mapping[str, Any]) -> TableModel:
        return TableModel(state)


def _prefers_trees(
    X: Vectors, table: Floats, answers: Sequence[str], columns: TaskColumns, weights: Floats | None, seed: int
) -> bool:
    """Return whether trees have the lower loss on rows that were held out; each class weighs the same."""
    if len(set(answers)) < 2:
        return False  # the fit says so
    labels = np.asarray(answers, dtype=object)
    drawn = np.random.default_rng(seed).permutation(len(labels))
    order = drawn[np.argsort(labels[drawn].astype(str), kind="stable")]
    loss = np.zeros(2)
    for fold in range(_FOLDS if len(labels) < _ONE_FOLD_ROWS else 1):
        out = order[fold::_FOLDS]
        rest = np.setdiff1d(order, out)
        names, counts = np.unique(labels[rest].astype(str), return_counts=True)
        known = out[np.isin(labels[out].astype(str), names)]
        if len(names) < 2 or not len(known):
            return False
        counted, asked = None if weights is None else weights[rest], labels[rest].tolist()
        _, coef, intercept = fit_logistic(X[rest], asked, weights=counted, seed=seed)
        trees = fit_trees(table[rest], asked, is_category=columns.is_category, weights=counted, seed=seed)
        place = np.searchsorted(names, labels[known].astype(str))
        for at, proba in enumerate((softmax(X[known] @ coef + intercept), trees.predict_proba(table[known]))):
            right = np.maximum(proba[np.arange(len(known)), place], _EPS)
            loss[at] -= (np.log(right) / counts[place]).sum()
    return bool(loss[1] < loss[0])


def _readable(data: Tasks, field: str) -> NDArray[np.bool_]:
    """Return which tasks have a table, (n,): an object, or a list of objects with key and value."""
    tables = [field_value(item, field) for item in data]
    return np.array([is_table(table) for table in tables], bool)


def is_table(value: Any) -> bool:
    """Return whether a value is an object, or a list of objects with key and value, that is not empty.

    >>> is_table({"age": 3}), is_table([{"key": "age", "value": 3}]), is_table({}), is_table("age: 3")
    (True, True, False, False)
    """
    fields = [path for path, inner in list_fields({"": value}) if inner is not None] if value else []
    return bool(fields) and isinstance(value, (Mapping, list)) and "" not in fields


def _vectors(data: Tasks, field: str) -> Vectors:
    """Return vectors of length 1, (n, 128), near for tables with the same values; zeros where there is no table.

    Fields and options are hashed (Weinberger et al., 2009), because a recipe has no schema without training rows.
    """
    vectors = np.zeros((len(data), _SIZE), np.float32)
    for row in np.flatnonzero(_readable(data, field)):
        for path, value in list_fields({field: field_value(data[row], field)}):
            number = read_number(value, is_field=True)
            if number is not None:
                _add(vectors[row], path, float(np.sign(number) * np.log1p(abs(number))) / 5.0)
            else:
                for text in read_options(value, is_field=True):
                    _add(vectors[row], f"{path} = {text}", 1.0)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(_EPS))
    return vectors


def _add(vector: Vectors, name: str, value: float) -> None:
    code = crc32(name.encode("utf-8", "replace"))
    vector[code % _SIZE] += value if code & 1024 else -value
