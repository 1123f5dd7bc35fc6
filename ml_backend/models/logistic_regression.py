"""Logistic regression: fitted with scikit-learn, applied with numpy alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import NotTrained
from ml_backend.models import Floats

_MANY_CLASSES = 10  # with more, each class has a small share of the loss, so that C must grow


def fit_logistic(
    X: Any, labels: Sequence[str], *, weights: Floats | None, seed: int, C: float | None = None
) -> tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.float32]]:
    """Fit and return the classes (sorted), the coefficients (d, k) and the intercepts (k,).

    All classes weigh the same, however rare they are. On skewed sets of 50 to 500 rows this improved accuracy, macro-F1
    and log-loss (SMS spam at 100 rows: accuracy 0.96 against 0.93, log-loss 0.14 against 0.17), and from 2,000 rows it
    costs almost nothing. The calibrator removes the remaining bias of the confidence.

    `X` is dense or sparse, (n, d); `labels` and `weights` have shape (n,). `C`, the inverse of the regularisation, is
    by default one that suits rows of length about 1. NotTrained where there are fewer than two classes.
    """
    # reason: a second of imports that serving never needs
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    n_classes = len(set(labels))
    if n_classes < 2:
        raise NotTrained(f"{len(labels)} readable rows of {n_classes} class(es); wanted at least two classes.")
    C = C or (5.0 if n_classes <= _MANY_CLASSES else 15.0)
    estimator = LogisticRegression(C=C, class_weight="balanced", max_iter=300, random_state=seed)
    # one BLAS thread adds in a fixed order, so that every machine gives the same model
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # 300 steps are enough to rank and to calibrate
        estimator.fit(X, np.asarray(labels, dtype=object), sample_weight=weights)
    coef, intercept = estimator.coef_, estimator.intercept_
    if n_classes == 2:  # scikit-learn keeps one row for two classes
        coef, intercept = np.vstack([np.zeros_like(coef), coef]), np.concatenate([[0.0], intercept])
    classes = tuple(str(name) for name in estimator.classes_)
    return classes, np.ascontiguousarray(coef.T, np.float32), intercept.astype(np.float32)


def softmax(scores: NDArray[Any]) -> Floats:
    """Turn scores (n, k) into probabilities; rows sum to 1. As scipy.special.softmax, in half the time for one row."""
    exponentials = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]
