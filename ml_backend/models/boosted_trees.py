"""Gradient boosting: fitted with scikit-learn, kept as arrays, applied and explained with numpy alone.

Only `_arrays_of` reads what scikit-learn keeps private, and the tests compare its probabilities with scikit-learn's.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import BackendError
from ml_backend.models import Floats
from ml_backend.models.logistic_regression import softmax

BATCH = 4_000  # rows at a time: each has a place in each tree
MANY_ROWS = 5_000  # from here on larger trees pay


class BoostedTrees:
    """Trees as arrays over all m nodes; a child has a larger number than its parent."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], n_classes: int) -> None:
        self.arrays, self.n_classes = arrays, n_classes
        self._roots, self._class = arrays["roots"], arrays["tree_class"]  # (t,) first node, and column of scores
        self._feature, self._threshold = arrays["feature"], arrays["threshold"]  # (m,) of -1: a leaf
        self._children, self._missing_left = arrays["children"], arrays["missing_left"]  # (m, 2) left, right; (m,)
        self._bits, self._bits_of = arrays["bits"], arrays["bits_of"]  # (c, 8) codes that go left; (m,) row or -1
        self._value, self._baseline = arrays["value"], arrays["baseline"]  # (m,) of leaves, means above them; (s,)
        m = len(self._feature)
        shapes = {len(array) for array in (self._threshold, self._children, self._missing_left, self._value)}
        inner = self._feature >= 0
        is_below = (self._children[inner] > np.flatnonzero(inner)[:, None]) & (self._children[inner] < m)
        n_scores = 1 if n_classes == 2 else n_classes
        if shapes != {m} or len(self._bits_of) != m or not is_below.all() or self._baseline.shape != (n_scores,):
            raise ValueError(f"the arrays are not trees of {m} nodes for {n_classes} classes")

    def predict_proba(self, X: Floats) -> Floats:
        """Return probabilities, shape (n, k), of rows (n, f) with NaN where a value is unknown."""
        scores = np.vstack([self._scores(X[at : at + BATCH]) for at in range(0, max(1, len(X)), BATCH)])
        if self.n_classes == 2:
            return softmax(np.hstack([np.zeros_like(scores), scores]))
        return softmax(scores)

    def contributions(self, x: Floats, answer: int, other: int) -> Floats:
        """Return what each value of a row, (f,), adds to the log-odds of class `answer` against `other`, shape (f,).

        A value is credited with the change of the mean prediction at each node that looks at it (Saabas, 2014), so
        that the contributions and the mean of all training rows sum to the log-odds.
        """
        sign = np.zeros(self.n_classes)
        sign[answer], sign[other] = 1.0, -1.0
        found = np.zeros(len(x))
        for root, column in zip(self._roots, self._class, strict=True):
            node, weight = int(root), sign[1] if self.n_classes == 2 else sign[column]
            while weight and self._feature[node] >= 0:
                below = int(self._children[node, 1 - self._goes_left(x[None, :], np.array([node]))[0].astype(int)])
                found[self._feature[node]] += weight * (self._value[below] - self._value[node])
                node = below
        return found

    def _scores(self, X: Floats) -> Floats:
        rows = np.repeat(np.arange(len(X)), len(self._roots))
        nodes = np.tile(self._roots, len(X))
        open_places = np.flatnonzero(self._feature[nodes] >= 0)
        while len(open_places):
            at = nodes[open_places]
            left = self._goes_left(X[rows[open_places]], at)
            nodes[open_places] = self._children[at, 1 - left.astype(int)]
            open_places = open_places[self._feature[nodes[open_places]] >= 0]
        values = self._value[nodes].reshape(len(X), len(self._roots))
        sums = [values[:, self._class == column].sum(axis=1) for column in range(len(self._baseline))]
        scores: Floats = self._baseline + np.stack(sums, axis=1)
        return scores

    def _goes_left(self, X: Floats, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each row, (n, f), goes left at its node, (n,)."""
        x = X[np.arange(len(X)), self._feature[nodes]]
        unknown, row = np.isnan(x), self._bits_of[nodes]
        left = x <= self._threshold[nodes]
        coded = np.flatnonzero((row >= 0) & ~unknown)
        code = x[coded].astype(np.int64)
        left[coded] = self._bits[row[coded], code >> 5] >> (code & 31).astype(np.uint32) & 1
        return np.where(unknown, self._missing_left[nodes], left)


def fit_trees(
    X: Floats, labels: Sequence[str], *, is_category: Sequence[bool], weights: Floats | None, seed: int
) -> BoostedTrees:
    """Fit on rows (n, f) with NaN where a value is unknown; all classes weigh the same, as in `fit_logistic`.

    Categories are codes below 255. Classes are the sorted labels, at least two.
    """
    # reason: a second of imports that serving never needs
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    is_large = len(X) >= MANY_ROWS
    estimator = HistGradientBoostingClassifier(
        learning_rate=0.08,
        max_iter=120 if is_large else 60,
        max_leaf_nodes=31 if is_large else 8,
        min_samples_leaf=int(np.clip(len(X) // 20, 3, 20)),
        l2_regularization=1.0,
        categorical_features=np.array(is_category, bool),
        early_stopping=False,
        class_weight="balanced",
        random_state=seed,
    )
    with threadpool_limits(limits=1), warnings.catch_warnings():  # sums of one thread have one order
        warnings.simplefilter("ignore", UserWarning)  # a column that is unknown everywhere
        estimator.fit(X, np.asarray(labels, dtype=object), sample_weight=weights)
    return BoostedTrees(_arrays_of(estimator, X, np.array(is_category, bool)), len(estimator.classes_))


def _arrays_of(estimator: Any, X: Floats, is_category: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Return the trees of a fitted HistGradientBoostingClassifier as arrays, with categories as the codes in `X`."""
    try:
        trees = [tree for iteration in estimator._predictors for tree in iteration]  # noqa: SLF001 - see the module
        n_scores, baseline = len(estimator._predictors[0]), estimator._baseline_prediction.ravel()  # noqa: SLF001
        nodes, sizes = np.concatenate([tree.nodes for tree in trees]), [len(tree.nodes) for tree in trees]
        bits_of = np.where(nodes["is_categorical"].astype(bool), nodes["bitset_idx"].astype(np.int64), -1)
        counts, own_bits = nodes["count"].astype(float), [tree.raw_left_cat_bitsets for tree in trees]
    except (AttributeError, KeyError, ValueError, IndexError) as error:
        what = f"this release of scikit-learn keeps the trees of gradient boosting in another way: {error}"
        raise BackendError(f"{what}.", hint="Install the version of scikit-learn in requirements.lock.") from error
    # scikit-learn puts categories first, and numbers those that occur
    order = np.concatenate([np.flatnonzero(is_category), np.flatnonzero(~is_category)])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    is_leaf = nodes["is_leaf"].astype(bool)
    offset = np.repeat(roots, sizes)[:, None]
    children = np.stack([nodes["left"], nodes["right"]], axis=1).astype(np.int64) + offset
    feature = np.where(is_leaf, -1, order[nodes["feature_idx"].astype(np.int64)])
    bits_of = np.where(bits_of >= 0, bits_of + np.repeat(np.cumsum([0, *map(len, own_bits)])[:-1], sizes), -1)
    value = nodes["value"].astype(float)
    for node in np.flatnonzero(~is_leaf)[::-1]:  # scikit-learn shrinks only the values of leaves
        value[node] = np.average(value[children[node]], weights=counts[children[node]])
    return {
        "roots": roots.astype(np.int64),
        "tree_class": np.tile(np.arange(n_scores), len(trees) // n_scores),
        "feature": feature,
        "threshold": np.where(is_leaf, 0.0, nodes["num_threshold"]),
        "children": np.where(is_leaf[:, None], 0, children),
        "missing_left": nodes["missing_go_to_left"].astype(bool),
        "bits": _bits_of_codes(np.concatenate([*own_bits, np.zeros((0, 8), np.uint32)]), bits_of, feature, X),
        "bits_of": bits_of,
        "value": value,
        "baseline": baseline.astype(float),
    }


def _bits_of_codes(
    bits: NDArray[np.uint32], bits_of: NDArray[np.int64], feature: NDArray[np.int64], X: Floats
) -> NDArray[np.uint32]:
    """Return bits by the codes in `X`, shape (c, 8); scikit-learn has them by the place among the codes that occur."""
    found = np.zeros_like(bits)
    for node in np.flatnonzero(bits_of >= 0):
        column = X[:, feature[node]]
        for place, code in enumerate(np.unique(column[~np.isnan(column)]).astype(int)):
            if bits[bits_of[node], place >> 5] >> np.uint32(place & 31) & 1:
                found[bits_of[node], code >> 5] |= np.uint32(1 << (code & 31))
    return found
