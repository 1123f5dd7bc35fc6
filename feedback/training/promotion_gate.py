"""The promotion gate: whether a challenger takes over, judged on rows that neither model trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from feedback.errors import EvaluationError
from feedback.policy import Policy
from feedback.stats.gates import change_gate, refresh_gate
from feedback.training.dataset import Row
from ml_backend.left_out import collect_left_out
from ml_backend.number_format import format_number

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

_SMALL = 100  # below this many audit rows a verdict is provisional (docs/statistics.md, small projects)
_LEAST = 1e-3  # probability below which a surprise is no worse: one row must not decide alone
_FEW = 10  # judge rows below which the first model is compared on tune rows, too


class _Predicts(Protocol):
    """What judging needs of a bundle."""

    @property
    def version(self) -> str: ...
    @property
    def recipe(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    def proba(self, data: Sequence[Mapping[str, Any]]) -> Any: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement with its reason and the figures it rests on."""

    promote: bool
    reason: str
    gate: str  # "first", "refresh" or "change"
    challenger: str
    champion: str  # "" when there is none
    rows: int
    accuracy: float | None  # of the challenger, on the rows judged
    champion_accuracy: float | None
    e_value: float | None = None
    detectable: float | None = None  # smallest loss (of a change: gain) that the gate would have seen on these rows
    free_rows: int = 0  # tune rows: they chose neither model, and calibration changes no answer
    free_accuracy: float | None = None  # of the challenger on these
    champion_free_accuracy: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, as it is recorded."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def judge(
    challenger: _Predicts,
    champion: _Predicts | None,
    audit: Sequence[Row],
    *,
    taught: Sequence[Row],
    trained: frozenset[int],
    policy: Policy,
    calibrated: bool = False,
    challenger_number: int = 1,
) -> Verdict:
    """Judge on the audit rows given; EvaluationError if one is a certify row, or if a model trained on it.

    Without a champion the challenger must beat the class shares of `taught`, its training rows; few judge rows borrow
    the tune rows for that, unless the challenger was `calibrated` on them. With the champion's recipe it must not be
    proven worse than `promote.max_loss`; with another recipe it must be proven better, as the `challenger_number`-th
    change of its judge epoch.
    """
    if seen := [row.task for row in audit if row.task in trained or row.role not in ("judge", "tune")]:
        raise EvaluationError(f"tasks {seen[:5]} cannot judge: trained on, or kept for certificates.")
    rows = [row for row in audit if row.role == "judge"]
    note = f"; provisional: {len(audit)} audit rows" if len(audit) < _SMALL else ""
    tune = [row for row in audit if row.role == "tune"]
    if champion is None:
        borrowed = tune if len(rows) < _FEW and not calibrated else []
        verdict = _first(challenger, [*rows, *borrowed], taught, note)
        return verdict if borrowed else replace(verdict, free_rows=len(tune), free_accuracy=_accuracy(challenger, tune))
    right, was_right = _right(challenger, rows), _right(champion, rows)
    d = right.astype(int) - was_right.astype(int)
    promote = policy.promote
    if challenger.recipe == champion.recipe:
        gate, answer = "refresh", refresh_gate(d, max_loss=promote.max_loss, alpha=promote.alpha)
    else:
        gate, answer = "change", change_gate(d, alpha=promote.alpha, challenger_number=challenger_number)
    return Verdict(
        answer.promote,
        answer.reason + note,
        gate,
        challenger.version,
        champion.version,
        len(rows),
        _mean(right),
        _mean(was_right),
        float(answer.e_value),
        answer.detectable,
        len(tune),
        _accuracy(challenger, tune),
        _accuracy(champion, tune),
    )


def _accuracy(model: _Predicts, rows: Sequence[Row]) -> float | None:
    return _mean(_right(model, rows))


def _first(challenger: _Predicts, rows: Sequence[Row], taught: Sequence[Row], note: str) -> Verdict:
    """Judge a first model, which replaces no predictions: it must predict better than the class shares do."""
    if not rows:
        reason = f"no audit row to compare with the class prior{note}"
        return Verdict(False, reason, "first", challenger.version, "", 0, None, None)
    proba = _proba(challenger, rows)
    # a row that the model cannot read is shown without a prediction: it speaks neither for the model nor against it
    is_read: Bools = np.isfinite(proba.sum(axis=1))
    read = list(compress(rows, is_read))
    if not read:
        reason = f"it has no prediction for any of the {len(rows)} audit rows{note}"
        return Verdict(False, reason, "first", challenger.version, "", len(rows), 0.0, None)
    loss, prior_loss = _log_loss(challenger, proba[is_read], read), _prior_loss(read, taught)
    better = loss < prior_loss
    own, prior = (format_number(each, digits=3) for each in (loss, prior_loss))
    comparison = f"log-loss {own} against the class prior's {prior} on {len(read)} audit rows"
    reason = ("" if better else "not better than the class prior: ") + comparison + note
    accuracy = _mean(_is_right(challenger, proba, rows))
    return Verdict(better, reason, "first", challenger.version, "", len(rows), accuracy, None)


def _right(model: _Predicts, rows: Sequence[Row]) -> Bools:
    """Say for each row whether the model's answer is the people's; a row that it cannot read counts as wrong."""
    return _is_right(model, _proba(model, rows), rows) if rows else np.zeros(0, dtype=bool)


def _is_right(model: _Predicts, proba: Floats, rows: Sequence[Row]) -> Bools:
    known = np.nan_to_num(proba, nan=-1.0)
    best = [model.classes[place] for place in known.argmax(axis=1)]
    right = np.array([label == row.label for label, row in zip(best, rows, strict=True)])
    counted: Bools = right & (known.max(axis=1) >= 0)
    return counted


def _proba(model: _Predicts, rows: Sequence[Row]) -> Floats:
    """Return what a model predicts, (n, k); rows that it cannot read are named where tasks are predicted."""
    with collect_left_out():  # the model knows no numbers of tasks
        return np.asarray(model.proba([row.data for row in rows]))


def _log_loss(model: _Predicts, proba: Floats, rows: Sequence[Row]) -> float:
    place = {label: index for index, label in enumerate(model.classes)}
    predicted = [proba[i, place[row.label]] if row.label in place else 0.0 for i, row in enumerate(rows)]
    return float(-np.log(np.clip(predicted, _LEAST, 1.0)).mean())


def _prior_loss(rows: Sequence[Row], taught: Sequence[Row]) -> float:
    """Return the mean log-loss of predicting the class shares of the training rows, one added to each class."""
    counts = Counter(row.label for row in taught)
    total = len(taught) + len(counts)
    predicted = [(counts[row.label] + 1) / total if row.label in counts else 0.0 for row in rows]
    return float(-np.log(np.clip(predicted, _LEAST, 1.0)).mean())


def _mean(right: Bools) -> float | None:
    return round(float(right.mean()), 4) if len(right) else None
